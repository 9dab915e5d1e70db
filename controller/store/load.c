/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows become records. A number out of its range or a text that is too long is damage; whether the
 * records make sense together is the visitor's business.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controller/store/state.h"

/* A row on its way in: the first column that does not fit spoils it. */
struct row {
	sqlite3_stmt *stmt;
	int at;
	bool bad;
};

static uint64_t number(struct row *row, uint64_t max)
{
	sqlite3_int64 v = sqlite3_column_int64(row->stmt, row->at++);

	if ((uint64_t)v > max)
		row->bad = true;
	return (uint64_t)v > max ? 0 : (uint64_t)v;
}

static void text(struct row *row, char *out, size_t size)
{
	const unsigned char *v = sqlite3_column_text(row->stmt, row->at);
	size_t n = (size_t)sqlite3_column_bytes(row->stmt, row->at++);

	if (!v || n >= size || memchr(v, '\0', n)) {
		row->bad = true;
		return;
	}
	memcpy(out, v, n);
	out[n] = '\0';
}

/* Valid until the statement steps on. */
static struct store_blob blob(struct row *row)
{
	const void *bytes = sqlite3_column_blob(row->stmt, row->at);

	return (struct store_blob){bytes, (size_t)sqlite3_column_bytes(row->stmt, row->at++)};
}

static int damaged(struct store *store, const char *what, struct err *e)
{
	return err_set(e, ERR_SYS, "the database %s is damaged: %s makes no sense", store->path,
		       what);
}

/* What a visitor refuses is damage too. */
static int refused(struct store *store, struct err *e)
{
	err_wrap(e, ERR_SYS, "the database %s is damaged", store->path);
	e->code = ERR_SYS;
	return ERR_SYS;
}

static int load_cell(struct store *store, sqlite3_stmt *stmt, const struct store_visitor *visitor,
		     void *context, struct err *e)
{
	struct row row = {stmt, 0, false};
	struct policy_cell cell = {.used = true};

	cell.id.v = (uint32_t)number(&row, UINT32_MAX);
	text(&row, cell.name, sizeof(cell.name));
	text(&row, cell.data_address, sizeof(cell.data_address));
	text(&row, cell.software, sizeof(cell.software));
	cell.pid = (uint32_t)number(&row, UINT32_MAX);
	cell.cpus = (uint32_t)number(&row, UINT32_MAX);
	cell.memory = number(&row, UINT64_MAX);
	cell.joined_ms = number(&row, UINT64_MAX);
	cell.state = number(&row, 1) ? POLICY_CELL_LOST : POLICY_CELL_UP;
	if (row.bad)
		return damaged(store, "the record of a cell", e);
	return visitor->cell(context, &cell, e) ? refused(store, e) : ERR_OK;
}

/* Fragments 0, 1, ... of a VM, neither more nor fewer than it has members. Their stats are copied
 * to *pool. */
static int load_fragments(struct store *store, struct policy_vm *vm, struct store_vm *record,
			  uint8_t **pool, struct err *e)
{
	sqlite3_stmt *stmt = store_stmt(store, STORE_LOAD_FRAGMENTS);
	unsigned m = 0;
	int rc;

	sqlite3_bind_int64(stmt, 1, (sqlite3_int64)vm->id.v);
	for (; (rc = sqlite3_step(stmt)) == SQLITE_ROW; m++) {
		struct row row = {stmt, 0, false};
		struct policy_fragment *f = &vm->fragments[m < vm->members ? m : 0];
		struct store_blob stat;

		if (m >= vm->members || number(&row, UINT32_MAX) != m)
			break;
		record->cells[m].v = (uint32_t)number(&row, UINT32_MAX);
		f->state = (uint8_t)number(&row, FRAG_STATES - 1);
		f->pid = (uint32_t)number(&row, UINT32_MAX);
		text(&row, f->address, sizeof(f->address));
		f->vcpus = number(&row, UINT64_MAX);
		stat = blob(&row);
		if (row.bad)
			break;
		pool[m] = stat.n ? malloc(stat.n) : NULL;
		if (!pool[m])
			continue;
		memcpy(pool[m], stat.bytes, stat.n);
		record->stats[m] = (struct store_blob){pool[m], stat.n};
	}
	sqlite3_reset(stmt);
	if (rc == SQLITE_DONE && m == vm->members)
		return ERR_OK;
	return rc == SQLITE_DONE || rc == SQLITE_ROW ? damaged(store, "the record of a fragment", e)
						     : store_error(store, rc, "read", e);
}

static bool load_record(struct row *row, struct policy_vm *vm)
{
	vm->id.v = number(row, UINT64_MAX);
	text(row, vm->name, sizeof(vm->name));
	vm->epoch.v = (uint32_t)number(row, UINT32_MAX);
	vm->state = (enum vm_state)number(row, VM_STATES - 1);
	vm->memory = number(row, UINT64_MAX);
	vm->vcpus = (uint32_t)number(row, POLICY_VCPUS_MAX);
	vm->members = (uint32_t)number(row, POLICY_MEMBERS_MAX);
	vm->preserve = number(row, 1);
	vm->peers = number(row, 1);
	vm->quits = (uint32_t)number(row, UINT32_MAX);
	vm->started_ms = number(row, UINT64_MAX);
	vm->ended_ms = number(row, UINT64_MAX);
	vm->reason.cause = (enum end_cause)number(row, END_CAUSES - 1);
	vm->reason.code = (int32_t)sqlite3_column_int64(row->stmt, row->at++);
	vm->reason.member = (uint32_t)number(row, UINT32_MAX);
	text(row, vm->reason.cell, sizeof(vm->reason.cell));
	text(row, vm->reason.text, sizeof(vm->reason.text));
	return !row->bad;
}

static int load_vm(struct store *store, sqlite3_stmt *stmt, const struct store_visitor *visitor,
		   void *context, struct err *e)
{
	struct row row = {stmt, 0, false};
	struct policy_vm vm = {.used = true};
	struct store_vm record = {.vm = &vm};
	uint8_t *pool[POLICY_MEMBERS_MAX] = {NULL};
	int ret;

	if (!load_record(&row, &vm))
		return damaged(store, "the record of a VM", e);
	record.spec = blob(&row);
	ret = load_fragments(store, &vm, &record, pool, e);
	if (!ret && visitor->vm(context, &record, e))
		ret = refused(store, e);
	for (unsigned m = 0; m < POLICY_MEMBERS_MAX; m++)
		free(pool[m]);
	return ret;
}

typedef int (*load_row)(struct store *store, sqlite3_stmt *stmt,
			const struct store_visitor *visitor, void *context, struct err *e);

static int load_all(struct store *store, enum store_statement statement, load_row load,
		    const struct store_visitor *visitor, void *context, struct err *e)
{
	sqlite3_stmt *stmt = store_stmt(store, statement);
	int rc, ret = ERR_OK;

	while (!ret && (rc = sqlite3_step(stmt)) != SQLITE_DONE)
		ret = rc == SQLITE_ROW ? load(store, stmt, visitor, context, e)
				       : store_error(store, rc, "read", e);
	sqlite3_reset(stmt);
	return ret;
}

int store_load(struct store *store, const struct store_visitor *visitor, void *context,
	       struct err *e)
{
	struct err scratch = {0};
	int ret;

	e = e ? e : &scratch;
	ret = load_all(store, STORE_LOAD_CELLS, load_cell, visitor, context, e);
	return ret ? ret : load_all(store, STORE_LOAD_VMS, load_vm, visitor, context, e);
}
