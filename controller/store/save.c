/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/store/state.h"

int store_begin(struct store *store, struct err *e)
{
	return store_run(store, STORE_BEGIN, "write", e);
}

int store_commit(struct store *store, struct err *e)
{
	return store_run(store, STORE_COMMIT, "write", e);
}

static void bind_text(sqlite3_stmt *stmt, int at, const char *text)
{
	sqlite3_bind_text(stmt, at, text, -1, SQLITE_STATIC);
}

/* The same bits as a signed number: SQLite has no other. */
static void bind_u64(sqlite3_stmt *stmt, int at, uint64_t value)
{
	sqlite3_bind_int64(stmt, at, (sqlite3_int64)value);
}

int store_save_cell(struct store *store, const struct policy_cell *cell, struct err *e)
{
	sqlite3_stmt *stmt = store_stmt(store, STORE_SAVE_CELL);

	bind_u64(stmt, 1, cell->id.v);
	bind_text(stmt, 2, cell->name);
	bind_text(stmt, 3, cell->data_address);
	bind_text(stmt, 4, cell->software);
	bind_u64(stmt, 5, cell->pid);
	bind_u64(stmt, 6, cell->cpus);
	bind_u64(stmt, 7, cell->memory);
	bind_u64(stmt, 8, cell->joined_ms);
	bind_u64(stmt, 9, cell->state == POLICY_CELL_LOST);
	return store_run(store, STORE_SAVE_CELL, "write", e);
}

static int save_fragment(struct store *store, const struct store_vm *record, unsigned member,
			 struct err *e)
{
	const struct policy_fragment *f = &record->vm->fragments[member];
	const struct store_blob *stat = &record->stats[member];
	sqlite3_stmt *stmt = store_stmt(store, STORE_SAVE_FRAGMENT);

	bind_u64(stmt, 1, record->vm->id.v);
	bind_u64(stmt, 2, member);
	bind_u64(stmt, 3, record->cells[member].v);
	bind_u64(stmt, 4, f->state);
	bind_u64(stmt, 5, f->pid);
	bind_text(stmt, 6, f->address);
	bind_u64(stmt, 7, f->vcpus);
	if (stat->n)
		sqlite3_bind_blob64(stmt, 8, stat->bytes, stat->n, SQLITE_STATIC);
	return store_run(store, STORE_SAVE_FRAGMENT, "write", e);
}

static int save_next_vm(struct store *store, uint64_t id, struct err *e)
{
	sqlite3_stmt *stmt = store_stmt(store, STORE_SET_META);

	if (id < store->next_vm)
		return ERR_OK;
	store->next_vm = id + 1;
	bind_text(stmt, 1, "next_vm");
	bind_u64(stmt, 2, store->next_vm);
	return store_run(store, STORE_SET_META, "write", e);
}

int store_save_vm(struct store *store, const struct store_vm *record, struct err *e)
{
	const struct policy_vm *vm = record->vm;
	sqlite3_stmt *stmt = store_stmt(store, STORE_SAVE_VM);
	int ret;

	bind_u64(stmt, 1, vm->id.v);
	bind_text(stmt, 2, vm->name);
	bind_u64(stmt, 3, vm->epoch.v);
	bind_u64(stmt, 4, vm->state);
	bind_u64(stmt, 5, vm->memory);
	bind_u64(stmt, 6, vm->vcpus);
	bind_u64(stmt, 7, vm->members);
	bind_u64(stmt, 8, vm->preserve);
	bind_u64(stmt, 9, vm->peers);
	bind_u64(stmt, 10, vm->quits);
	bind_u64(stmt, 11, vm->started_ms);
	bind_u64(stmt, 12, vm->ended_ms);
	bind_u64(stmt, 13, vm->reason.cause);
	sqlite3_bind_int64(stmt, 14, vm->reason.code);
	bind_u64(stmt, 15, vm->reason.member);
	bind_text(stmt, 16, vm->reason.cell);
	bind_text(stmt, 17, vm->reason.text);
	sqlite3_bind_blob64(stmt, 18, record->spec.n ? (const void *)record->spec.bytes : "",
			    record->spec.n, SQLITE_STATIC);
	ret = store_run(store, STORE_SAVE_VM, "write", e);
	for (unsigned m = 0; !ret && m < vm->members; m++)
		ret = save_fragment(store, record, m, e);
	return ret ? ret : save_next_vm(store, vm->id.v, e);
}

static int forget(struct store *store, enum store_statement statement, uint64_t id, struct err *e)
{
	bind_u64(store_stmt(store, statement), 1, id);
	return store_run(store, statement, "write", e);
}

int store_forget_cell(struct store *store, struct cell_id id, struct err *e)
{
	return forget(store, STORE_FORGET_CELL, id.v, e);
}

int store_forget_vm(struct store *store, struct space_id id, struct err *e)
{
	int ret = forget(store, STORE_FORGET_FRAGMENTS, id.v, e);

	return ret ? ret : forget(store, STORE_FORGET_VM, id.v, e);
}
