/* SPDX-License-Identifier: Apache-2.0 */
/* Entry of every vCPU (abi.h): RDI = vcpu, RSI = GUEST_BOOT, RSP = 8 below the top of its stack. */
	.text
	.globl _start
	.type _start, @function
_start:
	xorl %ebp, %ebp
	andq $-16, %rsp
	call g_start
	ud2
	.size _start, . - _start

	.section .note.GNU-stack, "", @progbits
