/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cellsim --replay FILE...: flight recordings (dsm/core/journal.h) of members of one space are run
 * through fresh cores, in the order of their times, and told like a seed's transcript. What a core
 * does must be what was recorded.
 */
#ifndef CELLULAR_SIM_REPLAY_H
#define CELLULAR_SIM_REPLAY_H

/* The arguments after --replay. Ends with 0 (all did again what was recorded), 1 (one did not) or 2
 * (usage, or a file that is no recording of this version). */
int replay_main(int argc, char **argv);

#endif
