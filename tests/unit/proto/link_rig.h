/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two ends of a control link and a listener on one loop, and strangers on raw sockets: what the
 * link tests stand on. A rig that is late has failed; it does not hang.
 */
#ifndef CELLULAR_TESTS_LINK_RIG_H
#define CELLULAR_TESTS_LINK_RIG_H

#include "proto/link.h"
#include "tests/unit/unit.h"

/* One end as its user sees it. */
struct side {
	struct link *link;
	int opens, messages, closes;
	uint16_t last_type;
	uint64_t last_request;
	size_t last_text;
	bool gap; /* requests did not count up by one */
	bool close_on_message;
	bool echo;
	struct err why;
};

struct rig {
	uv_loop_t loop;
	uv_timer_t guard;
	uint64_t deadline;
	bool late;
	char directory[64];
	char address[LINK_ADDRESS_MAX];
	struct link_listener *listener;
	struct side dialer, server;
	struct link_identity identity;
	int accepts;
	bool refuse; /* accept closes */
	bool ignore; /* accept names nobody */
	enum hello_kind kind;
};

extern const struct link_ops rig_ops; /* their context is a struct side */

/* Runs the loop until the condition holds; the test fails, and does not hang, if it never does. */
#define RUN_UNTIL(rig, condition)                                                                  \
	do {                                                                                       \
		while (!(condition) && !(rig)->late)                                               \
			uv_run(&(rig)->loop, UV_RUN_ONCE);                                         \
		CU_ASSERT_TRUE(condition);                                                         \
	} while (0)

/* Names link_ops and context of an accepted link, unless the rig says otherwise. */
void rig_accept(void *context, struct link *link, enum hello_kind kind);
/* On a unix socket, or on TCP; the rig listens. */
void rig_init(struct rig *rig, bool unix_socket);
void rig_listen(struct rig *rig, const char *address);
void rig_dial(struct rig *rig);
/* Everything that is left must end by itself: a handle that stays open would hang here until the
 * guard speaks. */
void rig_end(struct rig *rig);

void rig_request(struct link *link, uint64_t n, const char *text);

#endif
