/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/guard.h"

#include <setjmp.h>
#include <signal.h>
#include <stddef.h>

static sigjmp_buf aborted;
static volatile sig_atomic_t in_run;

static void on_abort(int signal_number)
{
	(void)signal_number;
	if (in_run)
		siglongjmp(aborted, 1);
}

bool guard_run(void (*fn)(void *arg), void *arg)
{
	struct sigaction act = {.sa_handler = on_abort, .sa_flags = SA_NODEFER}, old;
	volatile bool whole = false;
	sigaction(SIGABRT, &act, &old);
	in_run = 1;
	if (!sigsetjmp(aborted, 1)) {
		fn(arg);
		whole = true;
	}
	in_run = 0;
	sigaction(SIGABRT, &old, NULL);
	return whole;
}
