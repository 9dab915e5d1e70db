/* SPDX-License-Identifier: Apache-2.0 */
/* What open.c, save.c and load.c share. */
#ifndef CELLULAR_CONTROLLER_STORE_STATE_H
#define CELLULAR_CONTROLLER_STORE_STATE_H

#include <sqlite3.h>

#include "controller/store/store.h"

/* Statements, prepared once. An upsert, not a replace: a VM's specification never changes, and need
 * not be written again. */
#define STORE_STATEMENTS(X)                                                                        \
	X(BEGIN, "BEGIN IMMEDIATE")                                                                \
	X(COMMIT, "COMMIT")                                                                        \
	X(SET_META, "INSERT INTO meta VALUES (?1, ?2) ON CONFLICT DO UPDATE SET value = ?2")       \
	X(SAVE_CELL, "INSERT OR REPLACE INTO cells (id, name, data_address, software, pid, cpus, " \
		     "memory, joined_ms, lost)"                                                    \
		     " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)")                               \
	X(SAVE_VM,                                                                                 \
	  "INSERT INTO vms (id, name, epoch, state, memory, vcpus, members, preserve, peers, "     \
	  "quits, started_ms, ended_ms,"                                                           \
	  " cause, code, reason_member, reason_cell, reason_text, spec)"                           \
	  " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, "  \
	  "?18)"                                                                                   \
	  " ON CONFLICT (id) DO UPDATE SET epoch = ?3, state = ?4, peers = ?9, quits = ?10, "      \
	  "ended_ms = ?12,"                                                                        \
	  " cause = ?13, code = ?14, reason_member = ?15, reason_cell = ?16, reason_text = ?17")   \
	X(SAVE_FRAGMENT,                                                                           \
	  "INSERT OR REPLACE INTO fragments (vm, member, cell, state, pid, address, vcpus, stat)"  \
	  " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")                                              \
	X(FORGET_CELL, "DELETE FROM cells WHERE id = ?1")                                          \
	X(FORGET_VM, "DELETE FROM vms WHERE id = ?1")                                              \
	X(FORGET_FRAGMENTS, "DELETE FROM fragments WHERE vm = ?1")                                 \
	X(LOAD_META, "SELECT value FROM meta WHERE key = ?1")                                      \
	X(LOAD_CELLS, "SELECT id, name, data_address, software, pid, cpus, memory, joined_ms, "    \
		      "lost FROM cells ORDER BY id")                                               \
	X(LOAD_VMS,                                                                                \
	  "SELECT id, name, epoch, state, memory, vcpus, members, preserve, peers, quits, "        \
	  "started_ms, ended_ms,"                                                                  \
	  " cause, code, reason_member, reason_cell, reason_text, spec FROM vms ORDER BY id")      \
	X(LOAD_FRAGMENTS, "SELECT member, cell, state, pid, address, vcpus, stat FROM fragments "  \
			  "WHERE vm = ?1 ORDER BY member")

enum store_statement {
#define X(name, sql) STORE_##name,
	STORE_STATEMENTS(X)
#undef X
		STORE_STATEMENT_COUNT
};

struct store {
	sqlite3 *db;
	sqlite3_stmt *statements[STORE_STATEMENT_COUNT];
	int lock;
	uint32_t epoch;
	uint64_t next_vm;
	char path[4096];
};

/* Converts an SQLite result code; the text says what was tried and SQLite's own words. */
int store_error(struct store *store, int rc, const char *what, struct err *e);

/* Runs a statement that returns no row, and makes it ready for the next use. */
int store_run(struct store *store, enum store_statement statement, const char *what, struct err *e);

static inline sqlite3_stmt *store_stmt(struct store *store, enum store_statement statement)
{
	return store->statements[statement];
}

#endif
