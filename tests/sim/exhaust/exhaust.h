/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exhaustive exploration of the real core: every state that a few members and pages can reach, by
 * every order in which messages (per pair in their order, T1 of dsm/transport.h), faults,
 * evictions, discards, acquires, timers, moves of homes, members that leave or come and losses can
 * follow each other. What is stepped is the simulator's rack (tests/sim/world.h) - the cores
 * themselves, its fake memories and links -, and what must hold in each state are the simulator's
 * invariants (tests/sim/check.h): there is no second model. Explicit-state search as in Spin
 * (Holzmann, "The Spin Model Checker", 2003) and Murphi (Dill, CAV 1996).
 *
 * Two things are shown:
 *  - no reachable state breaks an invariant, and
 *  - from every state rest is reached: the states are a graph whose edges are the moves of the rack
 *    alone (deliveries, timers, news of a loss, threads that fault again; no new fault, eviction,
 *    acquire, move of a home or loss). A state without such a move must be a state of rest (else:
 *    deadlock). If the graph has no circle, every schedule ends in one; if it has, each state must
 *    still have a path to rest, which any fair schedule takes (else: livelock).
 *
 * Reductions. A state is stored in a canonical form that is itself a state of the rack, bit by bit
 * what the cores hold but for what is named here; so a field that nobody thought of makes more
 * states, never fewer. Each form below is sound because the code cannot tell the two states apart:
 *  - counters (dsm_core_stats): nothing reads them. They must not count a refusal (I7).
 *  - numbers of transactions: only compared for equality with the one open for the page (C8 of
 *    dsm/PROTOCOL.md): numbered anew, from 1, in the order in which a fixed walk finds them.
 *  - indices of transactions, and their slots: a transaction moves to the index of its page's
 *    number; slot i belongs to transaction i, nothing else tells indices apart.
 *  - pools (waiting, held-back requests) and their free lists: entries are named by index only;
 *    they move to the front, in the order of their queue or heap.
 *  - versions of a page: only "equal" and "the next" are asked (C8, R17): equal ones stay equal,
 *    next ones next, larger gaps become two; the lowest becomes 0.
 *  - versions of the map of homes (R32 to R35), each chunk's: where its home may move N times they
 *    are 0 to N and kept as they are, for how often it may still move is part of the state. Where
 *    homes move without end nobody asks that. A version is then only compared with others (lower,
 *    equal, higher), and only the home makes one: the next after its own, which nobody has, for
 *    its own is the highest that any member knows (checked in each state, I2). So only their order
 *    counts. They become 0, 1, 2 and so on in it, which takes away common shifts and gaps. "Where
 *    it was at first" is said as the member that was: nothing else asks for it.
 *  - a handover needs no form of its own: chunks, lines and the handover are part of the core's
 *    bytes, and what was handed over is letters. Messages whose map nobody reads have none.
 *  - clocks: each member's runs on its own and only differences are used. Now is a constant, ages
 *    are cut at the hold time, which is all that is asked of them.
 *  - contents: the core never looks at them. They are the last write, an older one, or zero, which
 *    is a constant: a page that is discarded (R43) was last written zero. A thread that may write
 *    does so at once: else an old copy could not be told from the page. The number of the next
 *    write is one that no copy holds.
 *  - what is dead: the version of a page that is not here, slots of no transaction, letters'
 *    versions that no receiver reads, the map by which somebody asked who was answered, the inside
 *    of a core that has ended but for whether home was there. (The age of a grant is not dead when
 *    its page leaves: a page that comes back to its home has the old one.)
 *  - symmetry (Ip & Dill, "Better verification through symmetry", 1996): members are told apart
 *    only by the pages whose home they are. Of all renamings of members and pages that take homes
 *    to homes the least form is kept. Where homes move, who is home is part of the state and is
 *    renamed with it: so any renaming of members will do. (Only those are compared that give the
 *    number 0 to the newest home that a living member knows. Pages are not renamed where acquires
 *    name runs of them, or a home hands them over in their order.)
 *
 *    Where members leave or come there is none: heirs are found by number, and of two that leave
 *    the lower one goes first. A rack then has no chunk but those of the pages, for a member that
 *    leaves hands over all. A member that has no core yet is all zeros.
 *
 * Instructions that need several pages at once (R40 to R42; --sets K): each member has one thread,
 * and its instruction writes K pages, touched in any order, and retires when all can be written at
 * the moment it runs. Whether it ever does is a question of time, so time is not free here: all
 * members have one clock, and it goes on - to what is due next - only when there is nothing to
 * deliver and no thread that can run. Messages are fast, that is, and windows are slow; at each
 * instant every order is tried. A woken thread runs at once, in its turn, or always --late N
 * patiences later. Then retiring is no luck: a circle of the rack's own moves is a violation, for
 * some fair schedule would never end.
 *  - times are multiples of patience (dsm_patience): what a step takes of it, 1 us so that no two
 *    grants have one stamp, is forgotten again. Stamps of grants that a thread has seen are "the
 *    same", or another.
 *  - ages of grants and stalls are asked for by who runs for 64 patiences without a stall (R42):
 *    no thread does. The number of rounds is at most 64 and that of windows 12 doublings; both
 *    stay small without a bound of their own, for a thread that is N late needs some N rounds.
 *  - not shown: windows that close because a message is slow (R27); instructions that only read;
 *    more than one thread a member.
 *
 * After a loss, where homes move, less is asked: whether a page's version goes back within a step
 * only, and who has a transaction is not compared with the directory, for it may wait for a letter
 * that was lost.
 *
 * None of the reductions is only believed: of every EXHAUST_PROBE-th transition (all with
 * check_reductions) the state as it was before it was reduced is stepped, too, by every possible
 * move, and must come to the same canonical states.
 *
 * Deterministic: the same options give the same figures. Memory: bounded by options.memory_mib; a
 * search that reaches the bound says so and is not exhaustive.
 */
#ifndef CELLULAR_SIM_EXHAUST_H
#define CELLULAR_SIM_EXHAUST_H

#include "tests/sim/options.h"

/* Exit codes of cellsim --exhaust. */
enum { EXHAUST_CLEAN = 0, EXHAUST_VIOLATED = 1, EXHAUST_USAGE = 2, EXHAUST_NOT_ALL = 3 };

/* Explores as the options say and prints the figures. A violation is printed as the shortest run
 * that leads to it. */
int exhaust_main(const struct options *options);

#endif
