/* SPDX-License-Identifier: Apache-2.0 */
/* The store on a real SQLite file: what went in comes out, whatever dies in between, and damage is
 * told in a sentence. */
#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "controller/store/store.h"
#include "tests/unit/unit.h"

static char dir[] = "/tmp/cellular-store.XXXXXX";
static char path[64];
static struct store *store;
static struct err e;

static void wipe(void)
{
	static const char *const files[] = {"controller.db", "controller.db-wal",
					    "controller.db-shm", "controller.db-journal", "lock"};
	char file[64];

	for (unsigned i = 0; i < UNIT_COUNT(files); i++) {
		snprintf(file, sizeof(file), "%s/%s", dir, files[i]);
		unlink(file);
	}
}

static void open_store(void)
{
	CU_ASSERT_EQUAL_FATAL(store_open(dir, &store, &e), ERR_OK);
}

static void close_store(void)
{
	store_close(store);
	store = NULL;
}

/* ---- what is found ---- */

static struct {
	unsigned n_cells, n_vms;
	struct policy_cell cell;
	struct policy_vm vm; /* the last one */
	struct cell_id cells[POLICY_MEMBERS_MAX];
	char spec[64], stat[64];
	int refuse;
} found;

static int see_cell(void *context, const struct policy_cell *cell, struct err *err)
{
	(void)context;
	(void)err;
	found.cell = *cell;
	found.n_cells++;
	return ERR_OK;
}

static int see_vm(void *context, const struct store_vm *record, struct err *err)
{
	(void)context;
	if (found.refuse)
		return err_set(err, ERR_INVALID, "nonsense");
	found.vm = *record->vm;
	memcpy(found.cells, record->cells, sizeof(found.cells));
	snprintf(found.spec, sizeof(found.spec), "%.*s", (int)record->spec.n,
		 (const char *)record->spec.bytes);
	snprintf(found.stat, sizeof(found.stat), "%.*s", (int)record->stats[1].n,
		 (const char *)record->stats[1].bytes);
	found.n_vms++;
	return ERR_OK;
}

static int look(void)
{
	static const struct store_visitor visitor = {see_cell, see_vm};
	int refuse = found.refuse;

	memset(&found, 0, sizeof(found));
	found.refuse = refuse;
	return store_load(store, &visitor, NULL, &e);
}

/* ---- records ---- */

static const struct policy_cell a_cell = {
	.used = true,
	.id = {7},
	.state = POLICY_CELL_LOST,
	.name = "cell-7",
	.data_address = "10.0.0.7",
	.software = "0.1",
	.pid = 4294967295u,
	.cpus = 96,
	.memory = 1ull << 41,
	.joined_ms = 1790000000123,
};

static struct policy_vm a_vm(uint64_t id)
{
	struct policy_vm vm = {
		.used = true,
		.state = VM_RUNNING,
		.id = {id},
		.epoch = {3},
		.memory = 64 << 20,
		.vcpus = 64,
		.members = 2,
		.preserve = true,
		.peers = true,
		.started_ms = 1790000000456,
		.reason = {.cause = END_EXIT,
			   .code = -1,
			   .member = 1,
			   .cell = "cell-7",
			   .text = "it's \"over\"; --"},
	};

	snprintf(vm.name, sizeof(vm.name), "vm%llu", (unsigned long long)id);
	vm.fragments[0] = (struct policy_fragment){
		.state = FRAG_RUNNING, .pid = 1, .vcpus = ~0ull, .address = "a:1"};
	vm.fragments[1] = (struct policy_fragment){.state = FRAG_READY, .pid = 2, .address = "b:2"};
	return vm;
}

static struct store_vm record_of(const struct policy_vm *vm)
{
	return (struct store_vm){
		.vm = vm,
		.cells = {{7}, {8}},
		.spec = {(const uint8_t *)"spec", 4},
		.stats = {{NULL, 0}, {(const uint8_t *)"stat\n", 5}},
	};
}

static void save(const struct policy_vm *vm)
{
	struct store_vm record = record_of(vm);

	CU_ASSERT_EQUAL(store_begin(store, &e), ERR_OK);
	CU_ASSERT_EQUAL(store_save_vm(store, &record, &e), ERR_OK);
	CU_ASSERT_EQUAL(store_commit(store, &e), ERR_OK);
}

static void check_cell(const struct policy_cell *a, const struct policy_cell *b)
{
	CU_ASSERT_EQUAL(a->id.v, b->id.v);
	CU_ASSERT_EQUAL(a->state, b->state);
	CU_ASSERT_STRING_EQUAL(a->name, b->name);
	CU_ASSERT_STRING_EQUAL(a->data_address, b->data_address);
	CU_ASSERT_STRING_EQUAL(a->software, b->software);
	CU_ASSERT_EQUAL(a->pid, b->pid);
	CU_ASSERT_EQUAL(a->cpus, b->cpus);
	CU_ASSERT_EQUAL(a->memory, b->memory);
	CU_ASSERT_EQUAL(a->joined_ms, b->joined_ms);
}

static void check_vm(const struct policy_vm *a, const struct policy_vm *b)
{
	CU_ASSERT_EQUAL(a->state, b->state);
	CU_ASSERT_EQUAL(a->id.v, b->id.v);
	CU_ASSERT_EQUAL(a->epoch.v, b->epoch.v);
	CU_ASSERT_STRING_EQUAL(a->name, b->name);
	CU_ASSERT_EQUAL(a->memory, b->memory);
	CU_ASSERT_EQUAL(a->vcpus, b->vcpus);
	CU_ASSERT_EQUAL(a->members, b->members);
	CU_ASSERT_EQUAL(a->preserve, b->preserve);
	CU_ASSERT_EQUAL(a->peers, b->peers);
	CU_ASSERT_EQUAL(a->quits, b->quits);
	CU_ASSERT_EQUAL(a->started_ms, b->started_ms);
	CU_ASSERT_EQUAL(a->ended_ms, b->ended_ms);
	CU_ASSERT_EQUAL(a->reason.cause, b->reason.cause);
	CU_ASSERT_EQUAL(a->reason.code, b->reason.code);
	CU_ASSERT_EQUAL(a->reason.member, b->reason.member);
	CU_ASSERT_STRING_EQUAL(a->reason.cell, b->reason.cell);
	CU_ASSERT_STRING_EQUAL(a->reason.text, b->reason.text);
	for (unsigned m = 0; m < a->members && m < b->members; m++) {
		CU_ASSERT_EQUAL(a->fragments[m].state, b->fragments[m].state);
		CU_ASSERT_EQUAL(a->fragments[m].pid, b->fragments[m].pid);
		CU_ASSERT_EQUAL(a->fragments[m].vcpus, b->fragments[m].vcpus);
		CU_ASSERT_STRING_EQUAL(a->fragments[m].address, b->fragments[m].address);
	}
}

/* ---- cases ---- */

static void comes_back_as_it_went_in(void)
{
	struct policy_vm vm = a_vm(5);

	wipe();
	open_store();
	CU_ASSERT_EQUAL(store_epoch(store), 1);
	CU_ASSERT_EQUAL(store_next_vm(store), 1);
	CU_ASSERT_EQUAL(store_begin(store, &e), ERR_OK);
	CU_ASSERT_EQUAL(store_save_cell(store, &a_cell, &e), ERR_OK);
	CU_ASSERT_EQUAL(store_commit(store, &e), ERR_OK);
	save(&vm);
	close_store();
	open_store();
	CU_ASSERT_EQUAL(store_epoch(store), 2);
	CU_ASSERT_EQUAL(store_next_vm(store), 6);
	CU_ASSERT_EQUAL(look(), ERR_OK);
	CU_ASSERT_EQUAL(found.n_cells, 1);
	CU_ASSERT_EQUAL(found.n_vms, 1);
	check_cell(&found.cell, &a_cell);
	check_vm(&found.vm, &vm);
	CU_ASSERT_EQUAL(found.cells[1].v, 8);
	CU_ASSERT_STRING_EQUAL(found.spec, "spec");
	CU_ASSERT_STRING_EQUAL(found.stat, "stat\n");
	close_store();
}

static void changes_and_forgets(void)
{
	struct policy_vm vm = a_vm(1), other = a_vm(2);

	wipe();
	open_store();
	save(&vm);
	save(&other);
	other.state = VM_ENDED;
	other.fragments[1].state = FRAG_GONE;
	save(&other);
	CU_ASSERT_EQUAL(look(), ERR_OK);
	CU_ASSERT_EQUAL(found.n_vms, 2);
	CU_ASSERT_EQUAL(found.vm.state, VM_ENDED);
	CU_ASSERT_EQUAL(found.vm.fragments[1].state, FRAG_GONE);
	/* Its name goes to a new one in one transaction. */
	snprintf(vm.name, sizeof(vm.name), "vm2");
	vm.id.v = 3;
	CU_ASSERT_EQUAL(store_begin(store, &e), ERR_OK);
	CU_ASSERT_EQUAL(store_forget_vm(store, (struct space_id){2}, &e), ERR_OK);
	CU_ASSERT_EQUAL(
		store_save_vm(store, &(struct store_vm){.vm = &vm, .cells = {{7}, {8}}}, &e),
		ERR_OK);
	CU_ASSERT_EQUAL(store_save_cell(store, &a_cell, &e), ERR_OK);
	CU_ASSERT_EQUAL(store_forget_cell(store, a_cell.id, &e), ERR_OK);
	CU_ASSERT_EQUAL(store_commit(store, &e), ERR_OK);
	CU_ASSERT_EQUAL(look(), ERR_OK);
	CU_ASSERT_EQUAL(found.n_vms, 2);
	CU_ASSERT_EQUAL(found.vm.id.v, 3);
	CU_ASSERT_EQUAL(found.n_cells, 0);
	close_store();
	open_store();
	CU_ASSERT_EQUAL(store_next_vm(store), 4);
	close_store();
}

static void one_controller_a_directory(void)
{
	struct store *second;

	wipe();
	open_store();
	CU_ASSERT_EQUAL(store_open(dir, &second, &e), ERR_EXISTS);
	CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "another controller"));
	close_store();
	open_store();
	close_store();
}

/* Writes VMs in pairs, each pair in one transaction, and tells the pipe after each commit. */
static void write_until_killed(int told)
{
	for (uint64_t id = 1;; id += 2) {
		struct policy_vm first = a_vm(id), second = a_vm(id + 1);
		struct store_vm a = record_of(&first), b = record_of(&second);

		if (store_begin(store, NULL) || store_save_vm(store, &a, NULL) ||
		    store_save_vm(store, &b, NULL) || store_commit(store, NULL) ||
		    write(told, &id, sizeof(id)) != sizeof(id))
			_exit(1);
	}
}

static void killed_in_the_middle(void)
{
	for (unsigned round = 0; round < 12; round++) {
		uint64_t id, last = 0;
		int fds[2], status;
		pid_t pid;

		wipe();
		CU_ASSERT_EQUAL_FATAL(pipe2(fds, O_CLOEXEC), 0);
		pid = fork();
		if (!pid) {
			if (store_open(dir, &store, NULL))
				_exit(1);
			write_until_killed(fds[1]);
		}
		close(fds[1]);
		/* Some commits, then a while that falls anywhere in a transaction. */
		for (unsigned i = 0; i <= round && read(fds[0], &id, sizeof(id)) == sizeof(id); i++)
			last = id;
		usleep(round * 137);
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
		CU_ASSERT(WIFSIGNALED(status));
		while (read(fds[0], &id, sizeof(id)) == sizeof(id))
			last = id;
		close(fds[0]);
		open_store();
		CU_ASSERT_EQUAL(look(), ERR_OK);
		CU_ASSERT(last > 0);
		CU_ASSERT(found.n_vms >= last + 1);  /* all that was told */
		CU_ASSERT_EQUAL(found.n_vms % 2, 0); /* whole transactions */
		CU_ASSERT_EQUAL(store_next_vm(store), found.vm.id.v + 1);
		CU_ASSERT_EQUAL(store_epoch(store), 2);
		close_store();
	}
}

/* ---- damage ---- */

static void write_file(const void *bytes, size_t n)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	CU_ASSERT_EQUAL(write(fd, bytes, n), (ssize_t)n);
	close(fd);
}

static void expect_sentence(int code, const char *part)
{
	struct store *out;

	CU_ASSERT_EQUAL(store_open(dir, &out, &e), code);
	CU_ASSERT_PTR_NOT_NULL(strstr(e.text, part));
	CU_ASSERT_PTR_NULL(strchr(e.text, '\n'));
}

static void sql(const char *text)
{
	sqlite3 *db;

	CU_ASSERT_EQUAL_FATAL(sqlite3_open(path, &db), SQLITE_OK);
	CU_ASSERT_EQUAL(sqlite3_exec(db, text, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
}

static void not_a_database(void)
{
	static char junk[8192];

	wipe();
	memset(junk, 'x', sizeof(junk));
	write_file(junk, sizeof(junk));
	expect_sentence(ERR_SYS, "is damaged");
	wipe();
	sql("CREATE TABLE t (x)");
	expect_sentence(ERR_SYS, "something else");
	wipe();
	write_file("",
		   0); /* an empty file is a new database: it was made, and nothing written yet */
	open_store();
	close_store();
}

static void a_newer_schema(void)
{
	wipe();
	open_store();
	close_store();
	sql("PRAGMA user_version = 2");
	expect_sentence(ERR_VERSION, "has schema 2; this controller knows 1");
}

static void bytes_that_rotted(void)
{
	struct stat st;
	unsigned refused = 0;

	wipe();
	open_store();
	for (uint64_t id = 1; id <= 40; id++) {
		struct policy_vm vm = a_vm(id);

		save(&vm);
	}
	close_store();
	CU_ASSERT_EQUAL_FATAL(stat(path, &st), 0);
	/* Never a crash; refused, or every record still holds. */
	for (off_t at = 4096; at < st.st_size; at += 1361) {
		uint8_t was[64], rot[64];
		int fd = open(path, O_RDWR);

		CU_ASSERT(pread(fd, was, sizeof(was), at) > 0);
		memset(rot, 0xa5, sizeof(rot));
		CU_ASSERT(pwrite(fd, rot, sizeof(rot), at) > 0);
		if (store_open(dir, &store, &e) == ERR_OK) {
			refused += look() != ERR_OK;
			close_store();
		} else {
			refused++;
		}
		CU_ASSERT(pwrite(fd, was, sizeof(was), at) > 0);
		close(fd);
	}
	CU_ASSERT(refused > 0);
}

static void records_out_of_range(void)
{
	static const char *const damage[] = {
		"UPDATE vms SET state = 9",
		"UPDATE vms SET members = 65",
		"UPDATE vms SET members = 3",
		"UPDATE vms SET members = 1",
		"UPDATE vms SET members = -1",
		"UPDATE vms SET epoch = -1",
		"UPDATE vms SET cause = 99",
		"UPDATE vms SET name = hex(zeroblob(40))",
		"UPDATE vms SET reason_text = hex(zeroblob(400))",
		"UPDATE fragments SET state = 7 WHERE member = 1",
		"UPDATE fragments SET address = hex(zeroblob(40)) WHERE member = 1",
		"UPDATE fragments SET member = 5 WHERE member = 1",
		"DELETE FROM fragments WHERE member = 0",
		"UPDATE cells SET lost = 2",
		"UPDATE cells SET cpus = -1",
		"UPDATE cells SET name = name || char(0) || 'x'",
	};

	for (unsigned i = 0; i < UNIT_COUNT(damage); i++) {
		struct policy_vm vm = a_vm(1);

		wipe();
		open_store();
		save(&vm);
		CU_ASSERT_EQUAL(store_begin(store, &e), ERR_OK);
		CU_ASSERT_EQUAL(store_save_cell(store, &a_cell, &e), ERR_OK);
		CU_ASSERT_EQUAL(store_commit(store, &e), ERR_OK);
		close_store();
		sql(damage[i]);
		open_store();
		if (look() != ERR_SYS)
			fprintf(stderr, "not found: %s\n", damage[i]);
		CU_ASSERT_EQUAL(e.code, ERR_SYS);
		CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "is damaged"));
		close_store();
	}
}

static void a_record_the_visitor_refuses(void)
{
	struct policy_vm vm = a_vm(1);

	wipe();
	open_store();
	save(&vm);
	found.refuse = 1;
	CU_ASSERT_EQUAL(look(), ERR_SYS);
	CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "is damaged: nonsense"));
	found.refuse = 0;
	close_store();
}

static void no_directory(void)
{
	struct store *out;
	char long_path[5000];

	CU_ASSERT_EQUAL(store_open("/nonexistent/x", &out, &e), ERR_NOTFOUND);
	memset(long_path, 'x', sizeof(long_path) - 1);
	long_path[sizeof(long_path) - 1] = '\0';
	CU_ASSERT_NOT_EQUAL(store_open(long_path, &out, &e), ERR_OK);
	CU_ASSERT_NOT_EQUAL(store_open("/dev/null", &out, NULL), ERR_OK);
}

int main(void)
{
	static const struct unit_case cases[] = {
		UNIT_CASE(comes_back_as_it_went_in),
		UNIT_CASE(changes_and_forgets),
		UNIT_CASE(one_controller_a_directory),
		UNIT_CASE(killed_in_the_middle),
		UNIT_CASE(not_a_database),
		UNIT_CASE(a_newer_schema),
		UNIT_CASE(bytes_that_rotted),
		UNIT_CASE(records_out_of_range),
		UNIT_CASE(a_record_the_visitor_refuses),
		UNIT_CASE(no_directory),
	};
	int ret;

	if (!mkdtemp(dir))
		return 1;
	snprintf(path, sizeof(path), "%s/controller.db", dir);
	ret = unit_main("controller-store", cases, UNIT_COUNT(cases));
	wipe();
	rmdir(dir);
	return ret;
}
