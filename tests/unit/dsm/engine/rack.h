/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A rack for tests: each member a process of its own with a real dsm - userfaultfd, TCP on
 * loopback, forked before anything else happens. A page of ordinary shared memory (struct rack)
 * carries addresses, barriers and results; the space itself is shared by nothing but the DSM.
 *
 *	rack_run(3, &config, body)
 *
 * body(m) runs in every member's process, with the space connected. With CELLULAR_INLINE_FAULTS in
 * the environment faults are served in the faulting threads.
 */
#ifndef CELLULAR_TEST_RACK_H
#define CELLULAR_TEST_RACK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "dsm/dsm.h"
#include "dsm/engine.h"

enum {
	RACK_MEMBERS = 3,
	RACK_MEMBERS_MAX = DSM_MEMBERS_MAX, /* with newcomers */
	RACK_COUNTERS = 1024,		    /* what a test wants to add up over processes */
	RACK_TIMEOUT_MS = 40000,
};

/* What all processes see. */
struct rack {
	atomic_uint joined, published;
	atomic_uint arrived[64]; /* barriers, by number */
	atomic_bool broken;	 /* a member failed: nobody waits any more */
	atomic_uint failures;
	atomic_uint step; /* the parent's word to the members */
	char address[RACK_MEMBERS_MAX][TRANSPORT_ADDRESS_MAX];
	pid_t pid[RACK_MEMBERS_MAX]; /* founders, then newcomers as they were started */
	struct rack_seen {
		atomic_uint lost, left, came; /* callbacks */
		atomic_uint culprit;
		atomic_int code;
		atomic_uint mark; /* for tests */
		atomic_ullong count;
	} member[RACK_MEMBERS_MAX];
	atomic_ullong counter[RACK_COUNTERS];
};

struct rack_member;

struct rack_config {
	uint64_t pages;
	uint8_t numbers; /* of the space, newcomers' too; 0: as many as members start it */
	uint32_t silence_ms;
	uint32_t hold_us;
	bool never_whole;
	uint8_t locals;
	struct dsm_range local[DSM_LOCALS_MAX];
	const struct mem_ops *mem; /* NULL: mem_uffd */
	const int *recorder;	   /* flight recorder of each member, or NULL: none */
	void (*post)(void *context, struct member_id from, const void *bytes, uint32_t n);
	/* Where member `self` dials `to`, if not at the address `to` gave; NULL: there. In the
	 * member's process, when all addresses are known. */
	const char *(*route)(const struct rack_member *m, uint8_t to);
	/* Runs in member 1's process in place of a dsm; NULL: none. `said` is its own to tell. */
	void (*impostor)(struct rack *rack, atomic_uint *said);
	bool wrong_key; /* the last member has another key */
	int connect_ms; /* 0: RACK_TIMEOUT_MS */
	bool may_fail_to_connect;
};

/* A member as its body sees it. */
struct rack_member {
	struct rack *rack;
	const struct rack_config *config;
	_Atomic uint8_t self; /* a newcomer does not know it at first, when callbacks may come */
	uint8_t members;      /* founders */
	struct dsm *dsm;      /* NULL if it may fail to connect and did */
	struct err why;	      /* then */
	uint8_t *base;
	uint32_t barrier; /* next */
};

/* Makes the shared page and starts the members. NULL: skipped, with a reason (no userfaultfd). */
struct rack *rack_start(uint8_t members, const struct rack_config *config,
			void (*body)(struct rack_member *));
/* Starts a newcomer in the place-th process, that calls member `host`; with may_fail_to_connect its
 * body is called in any case. In the parent. */
void rack_add(struct rack *rack, uint8_t place, uint8_t host, const struct rack_config *config,
	      void (*body)(struct rack_member *));
/* Waits for the members' ends; those that do not end are killed and count as failures. `killed`:
 * members the test killed (a set). */
void rack_finish(struct rack *rack, uint8_t members, uint64_t killed);
void rack_run(uint8_t members, const struct rack_config *config,
	      void (*body)(struct rack_member *));

/* In a member: waits for the others; false if the rack is broken. */
bool rack_barrier(struct rack_member *m);
/* An agreed end: barrier, quiesce, barrier, close. */
void rack_leave(struct rack_member *m);
/* In the parent and in members: waits until *value >= at_least; false after a generous time. */
bool rack_wait(struct rack *rack, atomic_uint *value, unsigned at_least);
void rack_failed(struct rack *rack, const char *file, int line, const char *what);
/* The page of the space. */
static inline void *rack_page(const struct rack_member *m, uint64_t page)
{
	return m->base + (page << DSM_PAGE_SHIFT);
}

#define EXPECT(rack, what) ((what) ? (void)0 : rack_failed(rack, __FILE__, __LINE__, #what))

#endif
