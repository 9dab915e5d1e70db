/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows of the controller's database: anything that a column of its type can hold comes back as
 * records that make sense together, or as one sentence about damage. The policy looks at the
 * records as it does when the controller starts.
 *
 * The input is a list of rows: a byte that chooses the table, then its columns. A number is a byte
 * (its value), or EDGE + n (an edge), or WIDE and eight bytes; a text is a length and its bytes.
 * The rows are written in a transaction that is taken back: nothing is left for the next input.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "controller/server/state.h"
#include "controller/store/state.h"
#include "tests/fuzz/fuzz.h"

enum { CELLS, VMS, FRAGMENTS, TABLES };
enum { EDGE = 0xf0, WIDE = 0xff, ROWS_MAX = 128 };

/* Columns: i number, t text, b bytes. */
static const struct table {
	const char *sql, *columns;
} tables[TABLES] = {
	[CELLS] = {"INSERT OR IGNORE INTO cells VALUES (?,?,?,?,?,?,?,?,?)", "itttiiiii"},
	[VMS] = {"INSERT OR IGNORE INTO vms VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
		 "itiiiiiiiiiiiiittb"},
	[FRAGMENTS] = {"INSERT OR IGNORE INTO fragments VALUES (?,?,?,?,?,?,?,?)", "iiiiitib"},
};

static const int64_t edges[] = {
	-1,	    INT64_MIN, INT64_MAX,	UINT32_MAX,   1ll << 32,     2 << 20,
	64ll << 20, 1ll << 46, (1ll << 46) + 1, 0x7fffffffll, -0x80000000ll, 0xf0};

/* ---- an input ---- */

struct input {
	const uint8_t *at, *end;
};

static uint8_t take_byte(struct input *in)
{
	return in->at < in->end ? *in->at++ : 0;
}

static int64_t take_number(struct input *in)
{
	uint8_t first = take_byte(in);
	int64_t n = 0;

	if (first == WIDE) {
		for (int i = 0; i < 8; i++)
			n = (int64_t)((uint64_t)n << 8 | take_byte(in));
		return n;
	}
	return first >= EDGE ? edges[(unsigned)(first - EDGE) % (sizeof(edges) / sizeof(edges[0]))]
			     : first;
}

static const char *take_text(struct input *in, int *n)
{
	const char *text;

	*n = take_byte(in);
	if (*n > in->end - in->at)
		*n = (int)(in->end - in->at);
	text = (const char *)in->at;
	in->at += *n;
	return text;
}

static void insert_row(sqlite3 *db, struct input *in)
{
	const struct table *table = &tables[take_byte(in) % TABLES];
	sqlite3_stmt *stmt;
	int n;

	if (sqlite3_prepare_v2(db, table->sql, -1, &stmt, NULL))
		abort();
	for (int c = 0; table->columns[c]; c++) {
		if (table->columns[c] == 'i') {
			sqlite3_bind_int64(stmt, c + 1, take_number(in));
			continue;
		}
		const char *text = take_text(in, &n);

		if (table->columns[c] == 't')
			sqlite3_bind_text(stmt, c + 1, text, n, SQLITE_TRANSIENT);
		else if (n)
			sqlite3_bind_blob(stmt, c + 1, text, n, SQLITE_TRANSIENT);
		else
			sqlite3_bind_zeroblob(stmt, c + 1, 0);
	}
	sqlite3_step(stmt);
	sqlite3_finalize(stmt);
}

/* ---- what the controller does with the rows ---- */

struct load {
	struct policy *policy;
	struct body body;
};

static int on_cell(void *context, const struct policy_cell *cell, struct err *e)
{
	struct load *l = context;

	assert(memchr(cell->name, 0, sizeof(cell->name)));
	return policy_load_cell(l->policy, cell, e);
}

/* What was let in has each vCPU on one fragment, each fragment on a cell of its own. */
static void check_vm(const struct policy *p, const struct policy_vm *vm)
{
	uint64_t vcpus = 0, cells = 0;

	assert(vm && vm->members >= 1 && vm->members <= POLICY_MEMBERS_MAX);
	assert(vm->vcpus >= 1 && vm->vcpus <= POLICY_VCPUS_MAX);
	assert(vm->memory && vm->memory % POLICY_MEMORY_UNIT == 0);
	for (unsigned m = 0; m < vm->members; m++) {
		const struct policy_fragment *f = &vm->fragments[m];

		assert(policy_cell_at(p, f->cell) && !(cells & 1ull << f->cell));
		assert(!(f->vcpus & vcpus) && f->state < FRAG_STATES);
		cells |= 1ull << f->cell;
		vcpus |= f->vcpus;
	}
	assert(vcpus == UINT64_MAX >> (64 - vm->vcpus));
}

static int on_vm(void *context, const struct store_vm *record, struct err *e)
{
	struct load *l = context;
	int ret = policy_load_vm(l->policy, record->vm, record->cells, e);

	if (ret)
		return ret;
	check_vm(l->policy, policy_vm_named(l->policy, record->vm->name));
	ret = body_load(&l->body, record, e);
	body_free(&l->body);
	return ret;
}

static void load(struct store *store)
{
	static const struct store_visitor visitor = {on_cell, on_vm};
	static const struct policy_config config = {.next_vm = 1};
	struct load l = {0};
	struct err e = {0};
	void *memory = calloc(1, policy_bytes());

	assert(memory);
	l.policy = policy_init(memory, &config);
	if (store_load(store, &visitor, &l, &e))
		assert(e.code == ERR_SYS && strstr(e.text, "damaged"));
	free(memory);
}

static struct store *the_store(void)
{
	static struct store *store;
	static char directory[64];
	struct err e;

	if (store)
		return store;
	snprintf(directory, sizeof(directory), "/tmp/cellular-fuzz-store.XXXXXX");
	if (!mkdtemp(directory) || store_open(directory, &store, &e))
		abort();
	/* Nothing is ever committed: its files are needed no more by name. */
	for (unsigned i = 0; i < 3; i++) {
		static const char *const names[] = {"controller.db", "controller.db-wal", "lock"};
		char path[128];

		snprintf(path, sizeof(path), "%s/%s", directory, names[i]);
		unlink(path);
	}
	rmdir(directory);
	return store;
}

static void run_sql(sqlite3 *db, const char *sql)
{
	if (sqlite3_exec(db, sql, NULL, NULL, NULL))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct store *store = the_store();
	struct input in = {data, data + size};

	run_sql(store->db, "BEGIN");
	for (int i = 0; i < ROWS_MAX && in.at < in.end; i++)
		insert_row(store->db, &in);
	load(store);
	run_sql(store->db, "ROLLBACK");
	return 0;
}

/* ---- seeds ---- */

struct output {
	uint8_t bytes[2048];
	size_t n;
};

static void number(struct output *o, uint8_t n)
{
	o->bytes[o->n++] = n;
}

static void text(struct output *o, const char *s)
{
	number(o, (uint8_t)strlen(s));
	memcpy(o->bytes + o->n, s, strlen(s));
	o->n += strlen(s);
}

static void add_cell(struct output *o, uint8_t id, const char *name)
{
	number(o, CELLS);
	number(o, id);
	text(o, name);
	text(o, "10.0.0.1");
	text(o, "0.1");
	number(o, 99); /* pid */
	number(o, 4);
	number(o, EDGE + 6); /* memory: 64 MiB */
	number(o, 1);
	number(o, id == 3); /* lost */
}

struct vm {
	const char *name;
	uint8_t id, state, vcpus, members, memory, cause, second; /* cell of member 1 */
};

static void add_vm(struct output *o, const struct vm *vm)
{
	const uint8_t fields[] = {1 /* epoch */,
				  vm->state,
				  vm->memory,
				  vm->vcpus,
				  vm->members,
				  0 /* preserve */,
				  1 /* peers */,
				  0 /* quits */,
				  5,
				  6,
				  vm->cause,
				  0 /* code */,
				  0};

	number(o, VMS);
	number(o, vm->id);
	text(o, vm->name);
	for (unsigned i = 0; i < sizeof(fields); i++)
		number(o, fields[i]);
	text(o, "cell0");
	text(o, "why");
	text(o, "\x0a\x04"
		"demo"); /* spec: field 1, the name */
}

static void add_fragment(struct output *o, uint8_t vm, uint8_t member, uint8_t cell, uint8_t mask)
{
	number(o, FRAGMENTS);
	number(o, vm);
	number(o, member);
	number(o, cell);
	number(o, FRAG_RUNNING);
	number(o, 77);
	text(o, "10.0.0.1:5");
	number(o, mask);
	text(o, member ? "" : "\x10\x05"); /* stat: field 2 */
}

static const struct vm good = {"demo", 7, VM_RUNNING, 3, 2, EDGE + 5, 0, 2};

/* Two cells and a VM on both; `cells` 1: its second cell is missing; `mask`: of member 1. */
static void put_world(fuzz_put put, const struct vm *vm, uint8_t cells, uint8_t mask,
		      uint8_t fragments)
{
	struct output o = {.n = 0};

	for (uint8_t i = 1; i <= cells; i++)
		add_cell(&o, i, i == 1 ? "cell0" : i == 2 ? "cell1" : "cell2");
	add_vm(&o, vm);
	for (uint8_t m = 0; m < fragments; m++)
		add_fragment(&o, vm->id, m, m ? vm->second + m - 1 : 1, m ? mask : 1);
	put(o.bytes, o.n);
}

#define WITH(change)                                                                               \
	do {                                                                                       \
		struct vm vm = good;                                                               \
		change;                                                                            \
		put_world(put, &vm, 2, 6, 2);                                                      \
	} while (0)

static void put_cells(fuzz_put put, uint8_t id, const char *name)
{
	struct output o = {.n = 0};

	add_cell(&o, 1, "cell0");
	add_cell(&o, id, name);
	put(o.bytes, o.n);
}

void fuzz_seeds(fuzz_put put)
{
	char long_name[CELL_NAME_MAX + 2] = {0};
	struct output o = {.n = 0};

	memset(long_name, 'x', sizeof(long_name) - 1);
	put_world(put, &good, 3, 6, 2);
	put_world(put, &good, 1, 6, 2);
	put_world(put, &good, 2, 2, 2);
	put_world(put, &good, 2, 7, 2);
	put_world(put, &good, 2, 6, 1);
	put_world(put, &good, 3, 6, 3);
	WITH(vm.state = 0);
	WITH(vm.state = 200);
	WITH(vm.state = VM_ENDED);
	WITH(vm.memory = EDGE);
	WITH(vm.memory = EDGE + 8);
	WITH(vm.vcpus = 65);
	WITH(vm.members = 0);
	WITH(vm.cause = 100);
	WITH(vm.second = 1);
	WITH(vm.name = "../x");
	WITH(vm.name = long_name);
	put_cells(put, 2, "cell1");
	put_cells(put, 2, ".x");
	put_cells(put, 0, "cell1");
	put_cells(put, EDGE, "cell1");
	put_cells(put, 2, long_name + 1); /* no room for its NUL */
	for (unsigned i = 0; i <= POLICY_CELLS_MAX; i++) {
		char name[16];

		snprintf(name, sizeof(name), "c%u", i);
		add_cell(&o, (uint8_t)(i + 1), name);
	}
	put(o.bytes, o.n);
}
