/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Several TCP transports in one process, over loopback; and a raw peer that speaks the hello
 * properly and then whatever the test wants.
 */
#ifndef CELLULAR_TEST_TCP_RACK_H
#define CELLULAR_TEST_TCP_RACK_H

#include <pthread.h>
#include <stdbool.h>

#include "dsm/transport.h"

enum {
	RACK_MAX = 4,
	RACK_PAGES = 4096,
	RACK_TIMEOUT_MS =
		20000, /* patience with a loaded machine; nothing that succeeds waits for it */
};

struct rack {
	int n;
	struct transport_config config; /* of all; self is set for each */
	struct transport *t[RACK_MAX];
	char address[RACK_MAX][TRANSPORT_ADDRESS_MAX];
	const char *peers[RACK_MAX];
	pthread_t thread[RACK_MAX];
	int rc[RACK_MAX];
	struct err why[RACK_MAX];
};

/* The configuration of all tests; change rack->config before rack_open. */
void rack_init(struct rack *rack, int n);
/* Opens members [first, n). */
void rack_open(struct rack *rack, int first);
/* Connects member m in a thread of its own; rack_join waits for it and returns its code. */
void rack_connect_start(struct rack *rack, int m, int timeout_ms);
int rack_join(struct rack *rack, int m);
/* init, open, connect, all fine. */
void rack_up(struct rack *rack, int n);
void rack_connect_all(struct rack *rack);
void rack_close(struct rack *rack);

/* Polls member m until an event comes, for at most RACK_TIMEOUT_MS. */
struct transport_event rack_wait(struct rack *rack, int m);
/* Polls member m for so long; true if nothing came. */
bool rack_quiet(struct rack *rack, int m, int ms);

struct transport_stats rack_stats(const struct rack *rack, int m);
struct dsm_msg rack_post(void);		   /* a POST */
struct dsm_msg rack_grant(uint32_t pages); /* a GRANT with data of so many pages */
void rack_send_number(struct rack *rack, int from, int to,
		      uint32_t number); /* POST with a number as payload, flushed */
uint32_t rack_number(const struct transport_event *event);

/* A connected blocking socket to member `to`, after a good hello as member `from`. */
int raw_peer(const struct rack *rack, int from, int to);
/* A connected blocking socket, without a word. */
int raw_connect(const char *address);

#endif
