/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The controller that celld meets in its test, and celld as a process under it: one of each, `rig`.
 * Waiting never hangs: what does not come within WAIT_MS fails the test.
 */
#ifndef CELLULAR_TESTS_CELLD_RIG_H
#define CELLULAR_TESTS_CELLD_RIG_H

#include <sys/types.h>

#include "proto/link.h"
#include "tests/unit/unit.h"

enum {
	WAIT_MS = 20000, /* for what should take no time: a loaded machine may be slow */
	REPORTS_MAX = 4096,
	MEMORY_MIB = 64,
	CPUS = 8,
};

/* A report that came. */
struct seen {
	uint64_t vm_id;
	uint32_t member;
	Cellular__FragState state;
	Cellular__EndCause cause;
	int32_t code;
	uint32_t pid;
	char text[ERR_TEXT_MAX], cell[CELL_NAME_MAX];
};

/* The controller of these tests: one loop, one celld. */
struct celld_rig {
	uv_loop_t loop;
	uv_timer_t timer;
	bool late;
	struct link_listener *listener;
	struct link *celld_link;
	pid_t celld;
	char dir[64], address[128];
	unsigned joins;
	Cellular__CelldJoin *join; /* the last */
	Cellular__CellLoad *load;  /* the last */
	struct seen seen[REPORTS_MAX];
	unsigned n_seen;
	Cellular__FragAnswer *answer; /* the last */
	uint64_t next_vm;
};

extern struct celld_rig rig;

typedef bool (*condition_fn)(const void *what);

struct wanted {
	uint64_t vm_id;
	Cellular__FragState state;
};

/* To start a fragment; mode and argument are for fake-vm. */
struct order {
	const char *mode, *argument;
	uint64_t memory_mib;
	uint32_t member, members, vcpus;
	size_t key_bytes;
	uint64_t vm_id; /* 0: a new one */
};

extern const struct order plain; /* {"ok", "0", 4, 0, 1, 1, CELL_KEY_BYTES, 0} */

/* Limits on the start of a fragment: one that no machine exceeds, and one that is worth waiting
 * for. */
extern const char patient[], brisk[];

/* Runs the loop until the condition holds, WAIT_MS or `ms` long at most; whether it holds. */
bool until_ms(condition_fn holds, const void *what, unsigned ms);
bool until(condition_fn holds, const void *what);
bool never(const void *what);
const struct seen *last_seen(uint64_t vm_id);
/* A fragment that went elsewhere is told about: without it a failure in a rare case says nothing.
 */
bool reaches(uint64_t vm_id, Cellular__FragState state);
bool has_joined(const void *what);
bool is_gone(const void *what);
/* A process that is not our child: polled. */
bool dies(pid_t pid);

/* What a controller orders. They return the VM's id. */
uint64_t send_start(const struct order *o);
void send_quit_for(uint64_t vm_id, Cellular__EndCause cause, const char *text, bool forget);
void send_quit(uint64_t vm_id, bool forget);
const Cellular__FragAnswer *ask(uint64_t vm_id, Cellular__QueryKind kind, uint64_t offset);
uint64_t start_running(const struct order *o);
void start_celld(const char *start_timeout);
/* Its fragments die with it; the next one joins with none. */
void restart_celld(const char *start_timeout);
void set_up(void);
void tear_down(void);
/* Descriptors of celld whose target begins with `prefix`. */
unsigned celld_descriptors(const char *prefix);
unsigned files_in_run(void);
bool celld_lets_go(const void *what);
/* Reports come before files and descriptors go. */
bool only_the_lock_is_left(const void *what);

#endif
