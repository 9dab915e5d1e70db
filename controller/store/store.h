/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the controller must not forget: cells, VMs, fragments, in an SQLite database
 * DIR/controller.db.
 *
 * Durability: write-ahead log with synchronous=FULL. What store_commit returned for is on disk,
 * whatever is killed after it; a transaction cut short leaves no trace. (A write-ahead log, because
 * a commit is then one append and one fsync; the rollback journal needs three. There is one process
 * and one connection, so the log's index stays in its memory: locking_mode=EXCLUSIVE.) One
 * controller a directory: a lock on DIR/lock, held until store_close or the end of the process.
 *
 * Errors: EXISTS: another controller holds the directory. DENIED, NOTFOUND: the directory. VERSION:
 * written by a newer controller. NOSPACE: the disk is full. SYS: damaged, or the disk failed. After
 * an error the store is good for store_close only, and the caller stops: it must not tell others
 * what it could not write down.
 *
 * Threads: one. store_* calls block for the time of an fsync.
 */
#ifndef CELLULAR_CONTROLLER_STORE_H
#define CELLULAR_CONTROLLER_STORE_H

#include "controller/policy/policy.h"

struct store;

struct store_blob {
	const uint8_t *bytes;
	size_t n;
};

/* A VM with what the policy does not know of it. Bytes are borrowed. */
struct store_vm {
	const struct policy_vm *vm;
	struct cell_id cells[POLICY_MEMBERS_MAX];    /* by member */
	struct store_blob spec;			     /* packed VmSpec */
	struct store_blob stats[POLICY_MEMBERS_MAX]; /* packed DsmStat, as reported last */
};

/* Makes the directory and the database if missing. Counts the controller's epoch up, durably. */
int store_open(const char *dir, struct store **out, struct err *e);
void store_close(struct store *store); /* NULL is allowed */

uint32_t store_epoch(const struct store *store);   /* of this controller, from 1 */
uint64_t store_next_vm(const struct store *store); /* above the id of every VM ever saved */

/* Visits all cells, then all VMs, by id. Stops at the first visit that does not return ERR_OK, and
 * returns that as SYS: a record that makes no sense is damage. */
struct store_visitor {
	int (*cell)(void *context, const struct policy_cell *cell, struct err *e);
	int (*vm)(void *context, const struct store_vm *vm, struct err *e);
};
int store_load(struct store *store, const struct store_visitor *visitor, void *context,
	       struct err *e);

/* One transaction: begin, any of the others, commit. */
int store_begin(struct store *store, struct err *e);
int store_save_cell(struct store *store, const struct policy_cell *cell, struct err *e);
int store_save_vm(struct store *store, const struct store_vm *vm, struct err *e);
int store_forget_cell(struct store *store, struct cell_id id, struct err *e);
int store_forget_vm(struct store *store, struct space_id id, struct err *e);
int store_commit(struct store *store, struct err *e);

#endif
