/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/guard.h"

#include <setjmp.h>
#include <signal.h>
#include <stddef.h>
#include <sys/time.h>

enum { ABORTED = 1, LOOPS };

static sigjmp_buf leave;
static volatile sig_atomic_t in_run;
static volatile sig_atomic_t watched; /* guard_alive was called in this run */
static volatile sig_atomic_t alive;   /* ... since the last tick */
static int left;

static void on_abort(int signal_number)
{
	(void)signal_number;
	if (in_run)
		siglongjmp(leave, ABORTED);
}

static void on_tick(int signal_number)
{
	(void)signal_number;
	if (in_run && watched && !alive)
		siglongjmp(leave, LOOPS);
	alive = 0;
}

static void tick(bool on)
{
	const struct itimerval second = {.it_interval = {.tv_sec = on}, .it_value = {.tv_sec = on}};
	watched = 0;
	setitimer(ITIMER_VIRTUAL, &second, NULL);
}

bool guard_run(void (*fn)(void *arg), void *arg)
{
	const struct sigaction act = {.sa_handler = on_abort, .sa_flags = SA_NODEFER};
	const struct sigaction tick_act = {.sa_handler = on_tick, .sa_flags = SA_NODEFER};
	struct sigaction old, old_tick;
	sigaction(SIGABRT, &act, &old);
	sigaction(SIGVTALRM, &tick_act, &old_tick);
	tick(true);
	in_run = 1;
	left = sigsetjmp(leave, 1);
	if (!left)
		fn(arg);
	in_run = 0;
	tick(false);
	sigaction(SIGABRT, &old, NULL);
	sigaction(SIGVTALRM, &old_tick, NULL);
	return !left;
}

void guard_alive(void)
{
	watched = alive = 1;
}

const char *guard_why(void)
{
	return left == LOOPS ? "a step does not end" : "an assert failed";
}
