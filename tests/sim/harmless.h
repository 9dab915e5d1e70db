/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a core may be given at any moment and must not heed (I12): messages that are the link's
 * business, of another epoch, from who is gone or from nobody, news of who is gone, events that
 * are none; and all of them once the space has ended or it has left. It must count what it refuses,
 * and change nothing else: no effect, no other byte of what it keeps of itself.
 */
#ifndef CELLULAR_SIM_HARMLESS_H
#define CELLULAR_SIM_HARMLESS_H

struct world;

/* Now and then, before something happens at m. */
void harmless_try(struct world *w, unsigned m);

#endif
