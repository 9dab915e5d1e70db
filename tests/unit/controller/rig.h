/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A rig for cell-controller: the real program as a child, and around it, in this process on one
 * libuv loop, cells played over real links and clients that ask. Each rig_ function runs the loop
 * until what it waits for came, or RIG_PATIENCE_MS are over (then the test fails; no test asserts
 * speed).
 */
#ifndef CELLULAR_TESTS_RIG_H
#define CELLULAR_TESTS_RIG_H

#include <stdlib.h>
#include <sys/types.h>

#include "proto/link.h"
#include "tests/unit/unit.h"

enum { RIG_PATIENCE_MS = 30000, RIG_CELLS = 4, RIG_FRAGMENTS = 16 };

#define RIG_MIB (1ull << 20)

struct rig;

struct rig_fragment {
	uint64_t vm; /* 0: free */
	uint32_t epoch, member, members;
	Cellular__FragState state; /* of a fragment in GONE the entry is freed */
};

/* What a played cell does not do. */
enum rig_fault {
	RIG_NO_LISTEN = 1 << 0, /* never says LISTENING */
	RIG_NO_ANSWER = 1 << 1, /* answers no question */
	RIG_NO_QUIT = 1 << 2,	/* does not let fragments go */
	RIG_NO_REDIAL = 1 << 3, /* stays away once its link is lost */
	RIG_BAD_GUEST = 1 << 4, /* cannot start: no such guest */
};

struct rig_cell {
	struct rig *rig;
	char name[16];
	struct link *link; /* NULL: none */
	bool welcome;
	uint32_t controller_epoch;
	unsigned faults;
	uint32_t cpus;
	uint64_t memory;
	unsigned starts, quits, forgets; /* orders heard */
	struct rig_fragment fragments[RIG_FRAGMENTS];
	uv_timer_t redial;
};

struct rig {
	uv_loop_t loop;
	uv_timer_t alarm;
	bool late;
	char dir[64], state[80], key_file[80], ready[80], log[80];
	char address[LINK_ADDRESS_MAX]; /* tcp */
	uint8_t key[CELL_KEY_BYTES];
	pid_t controller;
	struct rig_cell cells[RIG_CELLS];
	struct link *client;
	struct err client_why; /* why the client's link was closed */
	bool client_closed;
	uint64_t request;
	Cellular__CtlReply *reply; /* the last one; freed by the next request */
};

/* What must be there, else the test ends. */
static inline __attribute__((returns_nonnull)) void *rig_need(void *thing)
{
	if (!thing) {
		CU_FAIL_FATAL("something is missing");
		abort();
	}
	return thing;
}

/* Path of the program; from main's arguments. */
extern const char *rig_program;

void rig_new(struct rig *r); /* a directory and a loop; no controller yet */
void rig_start_controller(
	struct rig *r, const char *const *more); /* more arguments, NULL-terminated; NULL: none */
void rig_kill_controller(struct rig *r);	 /* SIGKILL, and forgets the client */
int rig_await_end(struct rig *r);		 /* of itself; its exit status */
int rig_term_controller(struct rig *r);		 /* SIGTERM; its exit status */
void rig_free(struct rig *r);			 /* ends all, checks that SIGTERM gives 0 */

void rig_join(struct rig *r, unsigned cell, uint32_t cpus,
	      uint64_t memory);			 /* until it is welcome */
void rig_await_cells(struct rig *r, unsigned n); /* until 0..n-1 are welcome again */
void rig_report(struct rig_cell *c, struct rig_fragment *f, Cellular__FragState state,
		Cellular__EndCause cause, const char *text);
struct rig_fragment *rig_fragment(struct rig_cell *c, uint64_t vm);
unsigned rig_fragments(const struct rig *r); /* on all cells */

/* A link of its own to the controller, with the client's callbacks. */
struct link *rig_dial(struct rig *r, enum hello_kind kind, const uint8_t *key);

/* Asks and waits for the answer. The number of the request is filled in. */
const Cellular__CtlReply *rig_ask(struct rig *r, Cellular__CtlRequest *request);
void rig_send(struct rig *r, Cellular__CtlRequest *request); /* asks without waiting */
const Cellular__CtlReply *rig_reply(struct rig *r);	     /* waits for the answer to the last */
void rig_client_goes(
	struct rig *r); /* closes the client's link; the next question opens a new one */

/* The commonest questions. */
const Cellular__CtlReply *rig_op(struct rig *r, Cellular__CtlOp op, const char *name);
const Cellular__CtlReply *rig_start(struct rig *r, const char *name, uint32_t vcpus,
				    uint64_t memory);
const Cellular__VmInfo *rig_show(struct rig *r, const char *name);

/* Runs the loop until done(context) is true. */
void rig_until(struct rig *r, bool (*done)(void *context), void *context);
void rig_spin(struct rig *r, unsigned ms);

/* Runs the program to its end; its exit status; what it said on stderr is in said. */
int rig_run(const char *const *args, char *said, size_t size);

#endif
