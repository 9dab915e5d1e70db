/* SPDX-License-Identifier: Apache-2.0 */
#include "node/vm/load.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "node/vm/boot.h"
#include "node/vm/elf.h"
#include "proto/base/fd.h"

#define STRINGS_AT (GUEST_BOOT + DSM_PAGE_SIZE)

enum { COPY_BYTES = 256 << 10 };

struct load {
	const struct load_config *c;
	int guest; /* the ELF; -1: read */
	uint64_t guest_bytes;
	uint8_t *elf; /* its bytes */
	struct elf_image image;
	int fd[GUEST_FILES_MAX]; /* input files */
	struct guest_boot boot;
	uint64_t strings; /* bytes of arguments with their NULs */
};

struct gpa load_stack_top(uint64_t memory, unsigned vcpus, unsigned vcpu)
{
	return (struct gpa){memory - (uint64_t)(vcpus - 1 - vcpu) * GUEST_STACK_BYTES};
}

static int open_regular(const char *path, int *out, uint64_t *bytes, struct err *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), rc = ERR_OK;
	struct stat st;

	if (fd < 0)
		return err_sys(e, errno, "%s", path);
	if (fstat(fd, &st))
		rc = err_sys(e, errno, "%s", path);
	else if (!S_ISREG(st.st_mode))
		rc = err_set(e, ERR_INVALID, "%s: not a regular file", path);
	if (rc) {
		close(fd);
		return rc;
	}
	*out = fd;
	*bytes = (uint64_t)st.st_size;
	return ERR_OK;
}

/* Reads exactly n bytes: fewer means that the file shrank. */
static int read_all(int fd, const char *path, void *out, size_t n, struct err *e)
{
	for (size_t done = 0; done < n;) {
		ssize_t got = read(fd, (char *)out + done, n - done);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return err_sys(e, errno, "%s", path);
		if (!got)
			return err_set(e, ERR_SYS, "%s: became shorter while it was read", path);
		done += (size_t)got;
	}
	return ERR_OK;
}

static int open_guest(struct load *l, struct err *e)
{
	int rc = open_regular(l->c->guest, &l->guest, &l->guest_bytes, e);

	if (rc)
		return err_wrap(e, rc, "guest");
	if (l->guest_bytes > LOAD_ELF_MAX)
		return err_set(e, ERR_TOOBIG, "guest %s: larger than %d MiB", l->c->guest,
			       LOAD_ELF_MAX >> 20);
	return ERR_OK;
}

static int read_elf(struct load *l, struct err *e)
{
	const char *path = l->c->guest;
	int rc;

	l->elf = malloc(l->guest_bytes + 1);
	rc = l->elf ? read_all(l->guest, path, l->elf, l->guest_bytes, e)
		    : err_set(e, ERR_NOMEM, "%s: no memory", path);
	if (rc)
		return err_wrap(e, rc, "guest");
	rc = elf_parse(l->elf, l->guest_bytes, (struct gpa){GUEST_IMAGE}, &l->image, e);
	return rc ? err_wrap(e, rc, "guest %s", path) : ERR_OK;
}

static int plan_args(struct load *l, struct err *e)
{
	const struct load_config *c = l->c;

	if (c->args > GUEST_ARGS_MAX)
		return err_set(e, ERR_TOOBIG, "more than %d arguments", GUEST_ARGS_MAX);
	for (unsigned i = 0; i < c->args; i++) {
		l->boot.argv[i] = STRINGS_AT + l->strings;
		l->strings += strlen(c->arg[i]) + 1;
		if (l->strings > GUEST_IMAGE - STRINGS_AT)
			return err_set(e, ERR_TOOBIG, "arguments longer than %d KiB in all",
				       (int)((GUEST_IMAGE - STRINGS_AT) >> 10));
	}
	l->boot.argc = c->args;
	return ERR_OK;
}

static uint64_t page_up(uint64_t v)
{
	return (v + DSM_PAGE_SIZE - 1) & -(uint64_t)DSM_PAGE_SIZE;
}

static int open_file(struct load *l, unsigned i, struct err *e)
{
	const struct load_file *f = &l->c->file[i];
	struct guest_file *g = &l->boot.file[i];
	int fd = -1, rc;

	if (!*f->name || strlen(f->name) >= sizeof(g->name))
		return err_set(e, ERR_INVALID, "name of file %u: empty, or longer than %d bytes", i,
			       GUEST_FILE_NAME_MAX - 1);
	if ((rc = open_regular(f->path, &fd, &g->bytes, e)))
		return err_wrap(e, rc, "file \"%s\"", f->name);
	l->fd[i] = fd;
	l->boot.files = i + 1;
	memcpy(g->name, f->name, strlen(f->name) + 1);
	if (g->bytes > BOOT_MEMORY_MAX)
		return err_set(e, ERR_TOOBIG, "file %s: too large", f->path);
	return ERR_OK;
}

static int open_files(struct load *l, struct err *e)
{
	int rc = ERR_OK;

	if (l->c->files > GUEST_FILES_MAX)
		return err_set(e, ERR_TOOBIG, "more than %d files", GUEST_FILES_MAX);
	for (unsigned i = 0; !rc && i < l->c->files; i++)
		rc = open_file(l, i, e);
	return rc;
}

/* Places everything; *at: first free address after the program. */
static int plan(struct load *l, struct err *e)
{
	const struct load_config *c = l->c;
	uint64_t at = page_up(l->image.end.v), stacks = (uint64_t)c->vcpus * GUEST_STACK_BYTES;
	int rc;

	if ((rc = plan_args(l, e)))
		return rc;
	for (unsigned i = 0; i < l->boot.files; i++) {
		l->boot.file[i].address = at;
		at = page_up(at + l->boot.file[i].bytes);
	}
	if (at > c->memory || c->memory - at < stacks)
		return err_set(
			e, ERR_NOSPACE, "guest too large: needs %llu MiB, VM has %llu MiB",
			(unsigned long long)((at + stacks - GUEST_LOCAL_BYTES + 0xfffff) >> 20),
			(unsigned long long)((c->memory - GUEST_LOCAL_BYTES) >> 20));
	l->boot.version = GUEST_ABI_VERSION;
	l->boot.vcpus = c->vcpus;
	l->boot.memory_end = c->memory;
	l->boot.entry = l->image.entry.v;
	l->boot.heap_start = at;
	l->boot.heap_end = c->memory - stacks;
	for (unsigned i = 0; i < c->vcpus; i++)
		l->boot.stack_top[i] = load_stack_top(c->memory, c->vcpus, i).v;
	return ERR_OK;
}

int load_open(const struct load_config *config, struct load **out, struct err *e)
{
	struct load *l = calloc(1, sizeof(*l));
	int rc;

	if (!l)
		return err_set(e, ERR_NOMEM, "no memory to load the guest");
	l->c = config;
	l->guest = -1;
	if ((rc = open_guest(l, e)) || (rc = open_files(l, e))) {
		load_close(l);
		return rc;
	}
	*out = l;
	return ERR_OK;
}

int load_read(struct load *l, struct err *e)
{
	int rc = read_elf(l, e);

	fd_close(&l->guest);
	return rc ? rc : plan(l, e);
}

/* Through a buffer: a device never lets the kernel write to guest memory directly. */
static int copy_file(struct load *l, unsigned i, const struct guest_memory *m, uint8_t *buffer,
		     struct err *e)
{
	const struct guest_file *g = &l->boot.file[i];

	for (uint64_t done = 0; done < g->bytes;) {
		size_t n = g->bytes - done < COPY_BYTES ? (size_t)(g->bytes - done) : COPY_BYTES;
		void *to = guest_range(m, (struct gpa){g->address + done}, n, 1);
		int rc;

		if (!to)
			return err_set(e, ERR_NOSPACE, "file %s: outside memory", g->name);
		if ((rc = read_all(l->fd[i], l->c->file[i].path, buffer, n, e)))
			return rc;
		memcpy(to, buffer, n);
		done += n;
	}
	return ERR_OK;
}

static int copy_bytes(const struct guest_memory *m, uint64_t to, const void *from, size_t n,
		      struct err *e)
{
	void *host = guest_range(m, (struct gpa){to}, n, 1);

	if (!host)
		return err_set(e, ERR_NOSPACE, "guest does not fit its memory");
	memcpy(host, from, n);
	return ERR_OK;
}

int load_copy(struct load *l, const struct guest_memory *m, uint64_t tsc_khz, struct err *e)
{
	uint8_t *buffer = malloc(COPY_BYTES);
	int rc = ERR_OK;

	if (!buffer)
		return err_set(e, ERR_NOMEM, "no memory to load the guest");
	for (unsigned i = 0; !rc && i < l->image.n; i++) {
		const struct elf_segment *s = &l->image.segment[i];

		rc = copy_bytes(m, s->address.v, l->elf + s->offset, s->bytes, e);
	}
	for (unsigned i = 0; !rc && i < l->boot.argc; i++)
		rc = copy_bytes(m, l->boot.argv[i], l->c->arg[i], strlen(l->c->arg[i]) + 1, e);
	for (unsigned i = 0; !rc && i < l->boot.files; i++)
		rc = copy_file(l, i, m, buffer, e);
	l->boot.tsc_khz = tsc_khz;
	if (!rc)
		rc = copy_bytes(m, GUEST_BOOT, &l->boot, sizeof(l->boot), e);
	free(buffer);
	return rc;
}

void load_close(struct load *l)
{
	if (!l)
		return;
	for (unsigned i = 0; i < l->boot.files; i++)
		close(l->fd[i]);
	fd_close(&l->guest);
	free(l->elf);
	free(l);
}
