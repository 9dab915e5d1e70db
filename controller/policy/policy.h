/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The policy: what the controller decides, as a pure function. Events in, orders out.
 *
 * It has no clock (each event brings the time), no thread, no system call, and allocates nothing:
 * the caller gives it policy_bytes() of zeroed memory once. It never walks in hash order, so the
 * same events give the same orders. All tables have fixed sizes; what does not fit is refused in
 * one sentence.
 *
 * Orders come in two lists. *Saves* must be durable before the first of the *sends* leaves: what a
 * cell or a client was told is then never unknown to a controller that was killed and started
 * again.
 *
 *   Placement   as named in the file, else on the fewest cells that fit: for k = 1, 2, ... take the
 * k cells with the most free CPUs (then most free memory, then lowest id) among those with room for
 * their share of the memory; the first k whose free CPUs suffice wins. vCPUs are dealt one by one
 * to the cell with the most CPUs left, then numbered so that each cell runs neighbours. Fragment 0
 * is on the cell dealt first, or named first. Charges     every fragment is charged one CPU a vCPU,
 * and an equal share of the memory in whole chunks, ceil(chunks / members) * 2 MiB: homes are dealt
 * evenly, and today no fragment gives pages back. Charged from the order to start until the
 * fragment is known to be gone. CPUs and memory are never promised twice. Life        see life.c;
 * the reason a VM ended is the one with the lowest enum end_cause of all its fragments' reports,
 * and it is final only when every fragment is accounted for, so that a consequence is not told as
 * the cause. Cells       a cell whose link is lost, or silent, is AWAY and takes no new VM; if it
 * does not come back in time it is LOST and its fragments count as lost.
 *
 * Threads: one at a time.
 */
#ifndef CELLULAR_CONTROLLER_POLICY_H
#define CELLULAR_CONTROLLER_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/err.h"
#include "proto/ids.h"

enum {
	POLICY_CELLS_MAX = 64,
	POLICY_VMS_MAX =
		1024, /* with the records of those that ended; the oldest of these make room */
	POLICY_VCPUS_MAX = 64,	   /* a VM: one bit each in a mask */
	POLICY_MEMBERS_MAX = 64,   /* fragments of a VM, one a cell */
	POLICY_WAITERS_MAX = 1024, /* requests that wait for something to happen to a VM */
	POLICY_REPORTS_MAX = 2048, /* fragments one cell may report at once */
	POLICY_TEXT_MAX = 64,	   /* addresses, software versions */
	POLICY_MEMORY_UNIT = DSM_CHUNK_PAGES * DSM_PAGE_SIZE,
};

#define POLICY_MEMORY_MAX (1ull << 46)

/* The numbers of these three enums are those of proto/control.proto; the server asserts it. */
enum vm_state { VM_UNKNOWN, VM_STARTING, VM_RUNNING, VM_EXITED, VM_ENDING, VM_ENDED, VM_STATES };

enum frag_state {
	FRAG_NONE,
	FRAG_STARTING,
	FRAG_LISTENING,
	FRAG_READY,
	FRAG_RUNNING,
	FRAG_STOPPED,
	FRAG_GONE,
	FRAG_STATES
};

enum end_cause {
	END_NONE,
	END_EXIT,
	END_GUEST_FAULT,
	END_KILLED,
	END_START_FAILED,
	END_PROCESS_DIED,
	END_CELL_LOST,
	END_MEMBER_LOST,
	END_MONITOR,
	END_CAUSES
};

struct policy_reason {
	enum end_cause cause;
	int32_t code;	 /* EXIT: of the guest; START_FAILED: enum err_code */
	uint32_t member; /* as in EndReason */
	char cell[CELL_NAME_MAX];
	char text[ERR_TEXT_MAX];
};

enum policy_cell_state {
	POLICY_CELL_UP,
	POLICY_CELL_AWAY, /* its link is down, and it has some time to come back */
	POLICY_CELL_LOST,
};

struct policy_cell {
	bool used;
	struct cell_id id;
	enum policy_cell_state state;
	uint64_t link; /* the caller's number of the link, not 0; 0: none */
	char name[CELL_NAME_MAX];
	char data_address[POLICY_TEXT_MAX];
	char software[POLICY_TEXT_MAX];
	uint32_t pid;
	uint32_t cpus;
	uint64_t memory;	  /* bytes */
	uint32_t vcpus_used;	  /* charged */
	uint64_t memory_used;	  /* charged, bytes */
	uint64_t memory_resident; /* as the cell said last, bytes */
	uint64_t rejected;	  /* links its celld rejected, as it said last */
	uint64_t joined_ms;	  /* unix time */
	uint64_t deadline_ms;	  /* UP: silent since too long then; AWAY: lost then */
};

struct policy_fragment {
	uint8_t cell;  /* slot of the cell */
	uint8_t state; /* enum frag_state, as reported last */
	bool quit;     /* FRAG_QUIT was ordered on the cell's present link */
	uint32_t pid;
	uint64_t vcpus; /* bit v: runs vCPU v */
	uint64_t seen;	/* link on which it was reported last */
	char address[POLICY_TEXT_MAX];
};

struct policy_vm {
	bool used;
	enum vm_state state;
	struct space_id id;
	struct epoch epoch;
	char name[CELL_NAME_MAX];
	uint64_t memory; /* bytes */
	uint64_t share;	 /* bytes charged to each fragment's cell */
	uint32_t vcpus;
	uint32_t members;
	bool preserve;	/* keep the fragments when the guest has exited */
	bool peers;	/* FRAG_PEERS was ordered */
	uint32_t quits; /* times FRAG_QUIT was ordered to all; 0: not ending by force */
	uint64_t started_ms, ended_ms; /* unix time */
	uint64_t deadline_ms;	       /* of the present state; 0: none */
	uint64_t saved;		       /* step that ordered the last save */
	struct policy_reason reason;
	struct policy_fragment fragments[POLICY_MEMBERS_MAX]; /* by member */
};

struct policy_place {
	const char *cell;
	const uint32_t *vcpus;
	size_t n;
};

/* What the policy has to know of a VM's specification. Pointers are used during the call only. */
struct policy_spec {
	const char *name;
	uint64_t memory; /* bytes */
	uint32_t vcpus;
	bool preserve;
	const struct policy_place *places;
	size_t n_places; /* 0: the policy chooses */
};

struct policy_report {
	struct space_id vm;
	struct epoch epoch;
	uint32_t member;
	uint32_t state;
	uint32_t pid;
	char address[POLICY_TEXT_MAX];
	struct policy_reason reason;
};

struct policy_join {
	const char *name;
	const char *data_address;
	const char *software;
	uint64_t memory;
	uint32_t cpus;
	uint32_t pid;
};

enum policy_event_kind {
	POLICY_EV_LOADED,    /* once, after all policy_load_*: reconcile what was found */
	POLICY_EV_JOIN,	     /* link, join, reports: all that runs there */
	POLICY_EV_LINK_LOST, /* link */
	POLICY_EV_LOAD,	     /* link, resident, rejected, reports: all that runs there */
	POLICY_EV_REPORT,    /* link, reports */
	POLICY_EV_START,     /* waiter, timeout_ms, spec */
	POLICY_EV_END,	     /* waiter, timeout_ms, name, text: ends a VM */
	POLICY_EV_WAIT, /* waiter, timeout_ms, name: until the guest has exited or the VM has ended
			 */
	POLICY_EV_CLIENT_GONE, /* waiter: nobody waits any more */
	POLICY_EV_TIMER,       /* the time of the last TIMER order has come */
};

struct policy_event {
	enum policy_event_kind kind;
	uint64_t now_ms;  /* monotonic, never 0, never going back */
	uint64_t unix_ms; /* for the records only */
	uint64_t link;
	uint64_t waiter;     /* the caller's number of a request, unique among those that wait */
	uint64_t timeout_ms; /* 0: as long as it takes */
	const char *name;
	const char *text; /* END: the reason in a sentence */
	struct policy_join join;
	struct policy_spec spec;
	uint64_t resident;
	uint64_t rejected;
	const struct policy_report *reports;
	size_t n_reports; /* those above POLICY_REPORTS_MAX are not looked at */
};

enum policy_order_kind {
	/* saves */
	POLICY_SAVE_CELL,   /* cell */
	POLICY_SAVE_VM,	    /* vm: record and fragments */
	POLICY_FORGET_CELL, /* cell_id */
	POLICY_FORGET_VM,   /* vm_id; its slot may have a new tenant already */
	/* sends */
	POLICY_WELCOME,	   /* number = link, cell */
	POLICY_CLOSE,	   /* number = link, answer: why */
	POLICY_FRAG_START, /* cell, vm, member */
	POLICY_FRAG_PEERS, /* cell, vm */
	POLICY_FRAG_RUN,   /* cell, vm */
	POLICY_FRAG_QUIT,  /* cell, vm_id, epoch, reason, forget */
	POLICY_ANSWER,	   /* number = waiter, answer; vm_id of the VM it is about, 0: none */
	POLICY_TIMER, /* number = time of the next TIMER event; 0: none. Replaces the one before */
};

struct policy_order {
	enum policy_order_kind kind;
	bool forget;
	uint8_t member;
	uint16_t cell; /* slot */
	uint16_t vm;   /* slot */
	struct cell_id cell_id;
	struct space_id vm_id;
	struct epoch epoch;
	uint64_t number;
	const struct err *answer;
	const struct policy_reason *reason;
};

/* Valid until the next step, as is all they point to. */
struct policy_orders {
	const struct policy_order *saves;
	size_t n_saves;
	const struct policy_order *sends;
	size_t n_sends;
};

/* Milliseconds. */
struct policy_times {
	uint32_t start; /* for a VM to run after the order to start */
	uint32_t stop;	/* for all fragments to stop after the guest's end, before they are made to
			   quit */
	uint32_t quit_again;	/* FRAG_QUIT is ordered again after this */
	uint32_t grace;		/* from AWAY to LOST */
	uint32_t grace_restart; /* the same for cells found in the store: they have to find the
				   controller first */
	uint32_t silent;	/* a cell that said nothing for so long is AWAY */
};

extern const struct policy_times policy_times_default;

struct policy_config {
	struct policy_times times;
	uint64_t next_vm; /* id of the next VM, from 1; never used before */
};

struct policy;

/* Address space touched lazily. */
size_t policy_bytes(void);
/* `memory`: zeroed, aligned for any type; it stays the caller's. */
struct policy *policy_init(void *memory, const struct policy_config *config);

/*
 * Puts a record of the store back; before POLICY_EV_LOADED. Of a cell: id, name, addresses, pid,
 * cpus, memory, joined_ms, state (UP or LOST). Of a VM all but deadline, saved, share;
 * fragments[].cell is then given in cells[] by id. INVALID with a sentence: the record contradicts
 * itself or another one.
 */
int policy_load_cell(struct policy *p, const struct policy_cell *record, struct err *e);
int policy_load_vm(struct policy *p, const struct policy_vm *record,
		   const struct cell_id cells[POLICY_MEMBERS_MAX], struct err *e);

/* Never fails: what makes no sense is refused in the answer, or dropped. */
struct policy_orders policy_step(struct policy *p, const struct policy_event *event);

/* What the policy knows, to be shown. Slots run from 0 to POLICY_*_MAX - 1; NULL: free. */
const struct policy_cell *policy_cell_at(const struct policy *p, unsigned slot);
const struct policy_vm *policy_vm_at(const struct policy *p, unsigned slot);
const struct policy_cell *policy_cell_named(const struct policy *p, const char *name);
const struct policy_vm *policy_vm_named(const struct policy *p, const char *name);
const struct policy_cell *policy_cell_linked(const struct policy *p, uint64_t link);
unsigned policy_vm_slot(const struct policy *p, const struct policy_vm *vm);

/* Whether fragment `member` of a VM lives on a cell that can be asked now. */
bool policy_fragment_reachable(const struct policy *p, const struct policy_vm *vm, unsigned member);

/* Why the loss of member's cell ends the VM: "runs vCPU 0 and 1, home of 1/3 of the memory, console
 * and files". */
void policy_exposure(const struct policy_vm *vm, unsigned member, char *out, size_t size);

/* As a sentence goes on after the VM's name: "is running", "has ended". */
const char *policy_vm_is(enum vm_state state);

/* For tests: ERR_OK if all that must always hold does, else ERR_STATE with a sentence. */
int policy_check(const struct policy *p, struct err *e);

#endif
