/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sweeps: a scenario is run in a child again and again, with the first call of its armed part
 * failing, then the second, until one run makes no failure any more: that N is past the last call.
 * Or, where calls are many and threads mix them: each site once (inject.h), until a round finds no
 * site that was not tried.
 *
 * A child: the scenario once without a failure (it must succeed; libraries fill their caches), once
 * with it, once more without (what failed must have left nothing that hurts). Around the second run
 * are counted: allocations that are left, open descriptors, mappings, children.
 */
#ifndef CELLULAR_TESTS_SWEEP_H
#define CELLULAR_TESTS_SWEEP_H

#include "tests/inject/inject.h"

enum { SWEEP_LIMIT_S = 90 }; /* a child that takes longer hangs */

enum sweep_outcome {
	SWEEP_DONE,	    /* all the same: with the right result */
	SWEEP_REFUSED = 40, /* a stated failure */
	SWEEP_LIBRARY,	    /* a library ended the process: sweep_library_died */
	SWEEP_WRONG,	    /* anything else; said on stderr why */
};

/*
 * Two libraries do not bear the failure of their own calls: libuv aborts if epoll_ctl or the growth
 * of its table fails (uv__io_poll, maybe_resize), libcrypto 3.0 uses what it could not allocate.
 * True if it was a call of theirs that failed: the process is gone, others must bear that.
 */
bool sweep_library_died(void);

struct sweep {
	const char *name;
	/* Calls sweep_arm before and sweep_disarm after what is swept; result as above. */
	enum sweep_outcome (*run)(void *context);
	void *context;
	bool by_site;
	unsigned part;	 /* of the sites every part-th; 0, 1: each */
	unsigned frames; /* how finely sites are told apart, as in inject.h */
	bool alone;	 /* the scenario is other processes: once, with the failure, is enough */
	bool loose; /* the armed part frees what was there before, or keeps something: count nothing
		     */
};

void sweep_arm(void);
void sweep_disarm(void);

/* In a scenario of several processes: this one, and what it forks, is not meant; is again. */
void sweep_stay_out(void);
void sweep_take_part(void);

/* For a scenario that starts programs: what it tells them, and of which. */
struct inject *sweep_inject(void);

/* Allocations made while armed and not freed. */
long sweep_left(void);

/* Both kinds of failure. Prints what was reached. False: a failure did harm; said where.
 */
bool sweep_all(const struct sweep *s);

/* The outcome for an error value: REFUSED if it states something. */
enum sweep_outcome sweep_refused(int rc, const char *text);

#endif
