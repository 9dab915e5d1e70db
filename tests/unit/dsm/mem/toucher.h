/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A thread that touches one byte and says when it got through: the way to see whether an access
 * waits. Also the small helpers every test of the memory adapter wants.
 */
#ifndef CELLULAR_TOUCHER_H
#define CELLULAR_TOUCHER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "dsm/mem.h"

struct toucher {
	pthread_t thread;
	volatile uint8_t *at;
	bool write;
	uint8_t value; /* written, or read */
	atomic_uint tid;
	atomic_bool through;
};

/* Starts a read of the byte, or a write of value to it. */
void touch_read(struct toucher *t, volatile uint8_t *at);
void touch_write(struct toucher *t, volatile uint8_t *at, uint8_t value);
/* True if the access is over within a generous time; then the thread is joined. */
bool touch_done(struct toucher *t);
/* True if the access still waits after a moment. */
bool touch_waits(struct toucher *t);

/* Opens mem_uffd, or skips the test program and returns NULL. */
struct mem *mem_or_skip(const struct mem_config *config);
/* The next fault within a generous time. */
bool next_fault(struct mem *m, struct mem_fault *out);
/* No fault waits, now and after a moment. */
bool no_fault(struct mem *m);
uint8_t *page_at(struct mem *m, uint64_t page);

#endif
