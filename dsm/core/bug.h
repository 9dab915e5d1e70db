/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Planted bugs: what the simulator must be able to find. In the library `dsm-core` DSM_BUG() is
 * constant false and nothing of this exists; in `dsm-core-bugs` (compiled with -DDSM_BUGS) one of
 * them can be switched on by name.
 *
 * DSM_INVARIANT is an assert in `dsm-core`. In `dsm-core-bugs` a broken invariant ends the space
 * instead (LOST, ERR_PROTOCOL, naming this member), so that a simulator outlives what it finds.
 */
#ifndef CELLULAR_DSM_CORE_BUG_H
#define CELLULAR_DSM_CORE_BUG_H

#define DSM_BUG_LIST(X)                                                                            \
	X(write_before_last_ack, "a writer goes on before all sharers acked")                      \
	X(skip_invalidate, "home forgets one sharer of a page that is to be written")              \
	X(read_before_protect, "an owner reads a page out before it protects it")                  \
	X(home_forgets_queue, "home drops the requests that wait behind a finished one")           \
	X(stale_put_accepted, "home takes a page back from one who is not its owner any more")     \
	X(owner_keeps_page, "an owner that gave a page to a writer keeps a copy to read")          \
	X(endless_hold, "a request that was held back is never served")                            \
	X(upgrade_without_check, "an overtaken UPGRADE is granted without the data")               \
	X(put_forgets_data, "an evictor forgets the page before home acknowledged it")             \
	X(hold_counts_a_page, "what a stalled thread gets is held a page, not a set")              \
	X(window_never_grows, "what is held for a thread or a device is never held longer")        \
	X(old_epoch_accepted, "a message of the epoch before is taken for one of this one")        \
	X(release_serves_nobody, "what waited for a released page goes on waiting")                \
	X(grant_wakes_nobody, "a thread is not told that its page came")                           \
	X(version_stays, "an upgrade is granted under the version before")                         \
	X(queue_is_a_stack, "home serves first who came last")                                     \
	X(hold_ignored, "a fresh grant is given away at once")                                     \
	X(written_page_zero, "a page that came as zeros is taken for zero when it was written")    \
	X(loss_tells_no_device, "an acquire that waits is not told that the space ended")          \
	X(wake_for_nothing, "a reader that wants to write is woken, and nothing else")             \
	X(handover_forgets_sharers, "a home that moves does not tell who has copies")              \
	X(handover_loses_queue, "a home that moves drops the requests that wait")                  \
	X(move_without_waiting, "a home moves while transactions are under way")                   \
	X(move_without_fence, "a home moves while grants of its own are on their way")             \
	X(unblock_where_asked, "UNBLOCK goes to the home that was asked, not the one that began")  \
	X(bye_before_drops, "a member that leaves says so before it gave its pages back")          \
	X(newcomer_taken_late, "a newcomer is taken in when it is heard of, not when it is said")  \
	X(newcomer_without_heirs, "a newcomer does not know who stands for those that left")       \
	X(home_moves_unheard, "a home moves to a newcomer that not all know yet")                  \
	X(loss_before_here, "a newcomer that was not heard of yet may be lost for nothing")        \
	X(split_after_grant, "home splits a whole chunk when it has answered, not before")         \
	X(whole_taken_for_fresh, "home takes a page of a whole chunk for one nobody has")          \
	X(whole_moves_as_nothing, "a home that moves says nothing of a chunk that was whole")

#ifdef DSM_BUGS

#include <stdbool.h>

enum dsm_bug {
	DSM_BUG_none,
#define X(name, text) DSM_BUG_##name,
	DSM_BUG_LIST(X)
#undef X
};

extern enum dsm_bug dsm_bug_selected;
extern const char *const dsm_bug_names[]; /* NULL at the end */

/* Switches one bug on for all cores of the process; NULL: none. 0, or -1: no bug of that name. */
int dsm_bug_select(const char *name);

#define DSM_BUG(name) (dsm_bug_selected == DSM_BUG_##name)
#define DSM_INVARIANT(core, cond)                                                                  \
	do {                                                                                       \
		if (!(cond))                                                                       \
			dsm_end((core), (core)->config.self, ERR_PROTOCOL);                        \
	} while (0)

#else

#include <assert.h>

#define DSM_BUG(name)		  false
#define DSM_INVARIANT(core, cond) assert(cond)

#endif
#endif
