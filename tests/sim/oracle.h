/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What memory ought to be: one flat array, written at the instant of each simulated write, as if
 * one lock were held round it. Nothing of the protocol is known here. Every write stores a number
 * that was never stored before, so that an old value cannot pass for a new one; a page that was
 * never written is 0.
 */
#ifndef CELLULAR_SIM_ORACLE_H
#define CELLULAR_SIM_ORACLE_H

#include <stdint.h>

struct oracle {
	uint64_t *value; /* of each page */
	uint64_t writes;
};

void oracle_init(struct oracle *o, unsigned pages);
void oracle_clear(struct oracle *o, unsigned pages);
void oracle_free(struct oracle *o);

uint64_t oracle_read(const struct oracle *o, unsigned page);
void oracle_forget(struct oracle *o, unsigned page);	/* zeros are written */
uint64_t oracle_write(struct oracle *o, unsigned page); /* returns the number to be stored */

#endif
