/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sweeps inside one process over the parts that open, load and save things. Every allocation and
 * every call fails once; what comes out is the right result or a stated failure, nothing is left
 * behind, and what is on disk is the old state or the new one.
 *
 * usage: test-inject-units [NAME]
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "controller/cli/vm_file.h"
#include "controller/store/store.h"
#include "node/celld/run_dir.h"
#include "node/celld/spawn.h"
#include "node/vm/load.h"
#include "proto/key.h"
#include "tests/inject/sweep.h"
#include "tests/unit/node/run_vm.h"

enum { MEMORY = 64 << 20 };

static char dir[64]; /* of this run */

static const char *in_dir(const char *name)
{
	static char path[4][128];
	static unsigned next;
	char *p = path[next++ % 4];

	snprintf(p, sizeof(path[0]), "%s/%s", dir, name);
	return p;
}

static enum sweep_outcome wrong(const char *what)
{
	fprintf(stderr, "  %s\n", what);
	return SWEEP_WRONG;
}

/* ---- the controller's store ---- */

static struct {
	unsigned cells, vms;
	uint32_t cpus;
	bool damaged;
} found;

static int see_cell(void *context, const struct policy_cell *cell, struct err *e)
{
	(void)context, (void)e;
	found.cells++;
	found.cpus = cell->cpus;
	found.damaged |= strcmp(cell->name, "cell-7") || cell->id.v != 7;
	return ERR_OK;
}

static int see_vm(void *context, const struct store_vm *r, struct err *e)
{
	(void)context, (void)e;
	found.vms++;
	found.damaged |=
		strcmp(r->vm->name, "a") || r->spec.n != 4 || memcmp(r->spec.bytes, "spec", 4);
	return ERR_OK;
}

static int write_records(struct store *s, uint32_t cpus, struct err *e)
{
	struct policy_cell cell = {
		.used = true, .id = {7}, .name = "cell-7", .cpus = cpus, .memory = 1 << 30};
	struct policy_vm vm = {.used = true, .id = {1}, .epoch = {1}, .name = "a", .members = 1};
	struct store_vm record = {.vm = &vm, .cells = {{7}}, .spec = {(const uint8_t *)"spec", 4}};
	int rc = store_begin(s, e);

	if (!rc)
		rc = store_save_cell(s, &cell, e);
	if (!rc)
		rc = store_save_vm(s, &record, e);
	return rc ? rc : store_commit(s, e);
}

static enum sweep_outcome store_saves(void *context)
{
	static const struct store_visitor visitor = {see_cell, see_vm};
	static bool known;	   /* what this process's first load found */
	static uint32_t committed; /* number of the last save that came back without an error */
	static uint32_t tried;
	struct store *s = NULL;
	struct err e = {0};
	int rc;

	(void)context;
	memset(&found, 0, sizeof(found));
	sweep_arm();
	rc = store_open(in_dir("store"), &s, &e);
	if (!rc)
		rc = store_load(s, &visitor, NULL, &e);
	if (!rc && (found.damaged || found.cells != (found.cpus != 0) || found.vms != found.cells))
		rc = -1;
	if (!rc && !known) {
		committed = tried = found.cpus;
		known = true;
	}
	if (!rc && found.cpus != committed && found.cpus != tried)
		rc = -2;
	if (!rc && !(rc = write_records(s, ++tried, &e)))
		committed = tried;
	store_close(s);
	sweep_disarm();
	if (rc < 0)
		return wrong(rc == -1 ? "a record is damaged"
				      : "a save that was confirmed is gone");
	return rc ? sweep_refused(rc, e.text) : SWEEP_DONE;
}

/* ---- files ---- */

static enum sweep_outcome vm_file(void *context)
{
	Cellular__VmSpec *spec = NULL;
	struct err e = {0};
	bool right = true;
	int rc;

	(void)context;
	sweep_arm();
	rc = vm_file_load(in_dir("vm.yaml"), &spec, &e);
	if (!rc) {
		right = !strcmp(spec->name, "demo") && spec->n_args == 2 &&
			spec->memory == MEMORY && !strcmp(spec->args[1], "two");
		cellular__vm_spec__free_unpacked(spec, NULL);
	}
	sweep_disarm();
	if (!right)
		return wrong("the VM file was read wrongly");
	return rc ? sweep_refused(rc, e.text) : SWEEP_DONE;
}

static enum sweep_outcome guest_load(void *context)
{
	const char *path = in_dir("text");
	struct load_file file = {"text", path};
	char *arg[] = {(char *)"one"};
	struct load_config c = {.guest = "guests/hello.elf",
				.args = 1,
				.arg = arg,
				.files = 1,
				.file = &file,
				.vcpus = 2,
				.memory = MEMORY};
	struct guest_memory m = {.bytes = MEMORY};
	const struct guest_boot *boot;
	struct load *l = NULL;
	struct err e = {0};
	bool right;
	int rc;

	(void)context;
	m.base = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	boot = (const struct guest_boot *)(m.base + GUEST_BOOT);
	sweep_arm();
	rc = load_open(&c, &l, &e);
	if (!rc && !(rc = load_read(l, &e)))
		rc = load_copy(l, &m, 1, &e);
	load_close(l);
	sweep_disarm();
	right = rc || (boot->version == GUEST_ABI_VERSION && boot->file[0].bytes == 5 &&
		       !memcmp(m.base + boot->file[0].address, "words", 5));
	munmap(m.base, MEMORY);
	if (!right)
		return wrong("the guest was loaded wrongly");
	return rc ? sweep_refused(rc, e.text) : SWEEP_DONE;
}

static enum sweep_outcome keys_and_directories(void *context)
{
	uint8_t made[CELL_KEY_BYTES], read[CELL_KEY_BYTES];
	struct err e = {0};
	int lock = -1, rc;

	(void)context;
	unlink(in_dir("key"));
	sweep_arm();
	rc = key_file_make(in_dir("key"), made, &e);
	if (!rc)
		rc = key_file_read(in_dir("key"), read, &e);
	if (!rc && memcmp(made, read, sizeof(made)))
		rc = -1;
	if (!rc)
		rc = run_dir_open(in_dir("run"), &lock, &e);
	if (!rc)
		rc = ready_file_write(in_dir("ready"), "ready\n", &e);
	if (lock >= 0)
		close(lock);
	sweep_disarm();
	if (rc < 0)
		return wrong("another key was read than made");
	return rc ? sweep_refused(rc, e.text) : SWEEP_DONE;
}

/* ---- a process ---- */

static enum sweep_outcome spawning(void *context)
{
	const struct spawn_rights rights = {.keep = true};
	struct spawned child;
	struct err e = {0};
	int rc, status = -1;

	(void)context;
	sweep_arm();
	rc = spawn_vm("/bin/true", &rights, in_dir("spawn.log"), &child, &e);
	sweep_disarm();
	if (rc)
		return access(in_dir("spawn.log"), F_OK) ? sweep_refused(rc, e.text)
							 : wrong("its log was left");
	close(child.control);
	close(child.uffd);
	close(child.flight);
	if (waitpid(child.pid, &status, 0) != child.pid || status)
		return wrong("the program did not run");
	unlink(in_dir("spawn.log"));
	return SWEEP_DONE;
}

/* ---- a VM: start, run, end ---- */

static enum sweep_outcome whole_vm(void *context)
{
	struct run_vm *r = context;
	struct err e = {0};
	int rc;

	r->load.guest = "guests/hello.elf";
	r->vcpus = 2;
	sweep_arm();
	rc = run_vm(r, &e);
	sweep_disarm();
	if (rc)
		return sweep_refused(rc, e.text);
	if (r->end.cause != CELLULAR__END_CAUSE__END_EXIT)
		return sweep_refused((int)r->end.cause, r->end.text);
	return r->end.code == 0 && strstr(r->console, "result hello greeted=2")
		       ? SWEEP_DONE
		       : wrong("the guest's result is wrong");
}

/* ---- */

static void put_file(const char *name, const char *text)
{
	int fd = open(in_dir(name), O_WRONLY | O_CREAT | O_TRUNC, 0644);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		abort();
	close(fd);
}

int main(int argc, char **argv)
{
	static struct run_vm vm;
	const struct sweep sweeps[] = {
		{.name = "files", .run = keys_and_directories},
		{.name = "spawn", .run = spawning},
		{.name = "guest", .run = guest_load},
		{.name = "vm-file", .run = vm_file},
		{.name = "store", .run = store_saves, .by_site = !CELLULAR_LONG, .frames = 3},
		{.name = "vm", .run = whole_vm, .context = &vm},
	};
	bool good = true;
	char command[96];

	/* in memory, if there is such a place: the store syncs a thousand times */
	snprintf(dir, sizeof(dir), "%s/cellular-units.XXXXXX",
		 access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
	if (!mkdtemp(dir))
		return 1;
	put_file("vm.yaml",
		 "name: demo\nguest: hello.elf\nargs: [one, two]\nmemory: 64MiB\nvcpus: 2\n");
	put_file("text", "words");
	for (size_t i = 0; i < sizeof(sweeps) / sizeof(sweeps[0]); i++) {
		if (argc > 1 && strcmp(argv[1], sweeps[i].name))
			continue;
		if (sweeps[i].run == whole_vm && access("/dev/kvm", R_OK | W_OK)) {
			puts("vm: no /dev/kvm");
			continue;
		}
		good = sweep_all(&sweeps[i]) && good;
	}
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	return system(command) || !good;
}
