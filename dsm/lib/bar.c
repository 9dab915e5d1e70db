/* SPDX-License-Identifier: Apache-2.0 */
#include "dsm/lib/bar.h"

#include <errno.h>
#include <linux/userfaultfd.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

int bar_open(int *nothing, struct err *e)
{
	*nothing = memfd_create("cellular-dsm-end", MFD_CLOEXEC);
	return *nothing < 0 ? err_sys(e, errno, "make an empty file") : ERR_OK;
}

void bar_range(void *base, size_t bytes, int nothing, int uffd)
{
	struct uffdio_range range = {.start = (uintptr_t)base, .len = bytes};
	const int prot = PROT_READ | PROT_WRITE | PROT_EXEC;
	const int flags = MAP_SHARED | MAP_FIXED | MAP_NORESERVE;

	/* The call itself: a race detector takes mmap for a write to every page, and threads that
	 * touch them at this moment are what it is for. Where it is refused, SIGSEGV is the next
	 * best: it does not wait and does not lie. */
	if (syscall(SYS_mmap, base, bytes, prot, flags, nothing, 0) == -1)
		mprotect(base, bytes, PROT_NONE);
	while (ioctl(uffd, UFFDIO_WAKE, &range) && errno == EAGAIN)
		;
}
