/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A VM over several cell-vm processes of this machine, with the test in the place of celld and
 * controller: it speaks the control protocol over socket pairs, passes the addresses on, and keeps
 * what it is told. Data travels over TCP on loopback.
 *
 * Threads: one.
 */
#ifndef CELLULAR_TESTS_RACK_H
#define CELLULAR_TESTS_RACK_H

#include <stdbool.h>
#include <sys/types.h>
#include <uv.h>

#include "node/guest/abi.h"
#include "proto/link.h"

enum { RACK_VM_ID = 7, RACK_EPOCH = 3, RACK_MEMBERS_MAX = 8, RACK_CONSOLE_MAX = 1 << 20 };

struct rack;

struct rack_config {
	const char *cell_vm; /* path of the program; NULL: bin/cell-vm */
	unsigned members;
	unsigned vcpus;
	uint8_t place[GUEST_VCPUS_MAX]; /* member of each vCPU */
	uint64_t memory;		/* bytes */
	const char *guest;
	unsigned args;
	char **arg;
	unsigned files;
	const char *const (*file)[2];		/* name, path */
	const Cellular__FragStart *first_order; /* NULL: made of what stands above */
	bool wrong_key;				/* the last member gets another key */
	/* Where member `from` is told that `to` is, when all listen; NULL: where it is. */
	const char *(*route)(const struct rack *r, unsigned from, unsigned to);
};

struct rack_fragment {
	struct rack *rack;
	unsigned member;
	pid_t pid; /* 0: reaped */
	int status;
	struct link *link;     /* NULL: over */
	int uffd_socket, uffd; /* the duplicate it handed over, -1: not yet */
	Cellular__FragState state;
	uint64_t stopped_ms; /* clock_ms() when STOPPED came */
	char address[128];
	Cellular__FragReport *report; /* the last with a reason, else the last */
	Cellular__FragAnswer *answer;
};

struct rack {
	const struct rack_config *config;
	uv_loop_t loop;
	uv_timer_t timer;
	struct rack_fragment fragment[RACK_MEMBERS_MAX];
	bool peers_sent, run_sent, hold_run;
	char *console; /* NUL-terminated, the first RACK_CONSOLE_MAX bytes */
	size_t console_bytes;
};

/* Why no VM can run on this machine, for unit_skip; NULL: one can. */
const char *rack_impossible(void);

/* Starts the processes and orders them to start. Fatal (exit 1) on errors of this process. */
void rack_open(struct rack *r, const struct rack_config *config);

/* Turns the loop until done(r) or ms are over; returns done(r). Addresses are passed on when all
 * listen; the run order, unless hold_run, when all are ready. */
bool rack_until(struct rack *r, bool (*done)(const struct rack *r), int ms);

bool rack_running(const struct rack *r); /* all fragments said RUNNING, or more */
bool rack_stopped(const struct rack *r); /* all fragments said STOPPED, or are gone */
bool rack_over(const struct rack *r);	 /* all processes are reaped */

/* Asks one member, waits for the answer; NULL: none within ms. Valid until the next query. */
const Cellular__FragAnswer *rack_query(struct rack *r, unsigned member, Cellular__QueryKind kind,
				       int ms);

/* A counter of a figure, 0 if it has no such. */
uint64_t rack_counter(const Cellular__DsmStat *stat, const char *name);

/* Any message to one member, right or wrong. */
void rack_send(struct rack *r, unsigned member, uint16_t type, const ProtobufCMessage *m);

void rack_quit(struct rack *r, const char *why);    /* the word to all that live */
void rack_kill(struct rack *r, unsigned member);    /* SIGKILL */
void rack_hang_up(struct rack *r, unsigned member); /* closes its link without a word */

/* Quits, waits, kills what is left; closes everything. */
void rack_close(struct rack *r);

#endif
