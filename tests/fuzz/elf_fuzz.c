/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ELF of a guest: parsed, and loaded into memory as cell-vm does it. The first byte says how
 * large the VM is and what comes with the ELF, which is the rest.
 */
#include <assert.h>
#include <elf.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "node/vm/elf.h"
#include "node/vm/load.h"
#include "tests/fuzz/fuzz.h"

enum {
	WITH_ARGS = 0x80,    /* bits of the first byte */
	WITH_MISFITS = 0x40, /* arguments or files that cannot be taken */
	WITH_FILES = 0x20,
	CHUNKS = 0x07, /* memory: so many times 2 MiB more than the least */
	CHUNK = 2 << 20,
	MEMORY_LEAST = (int)GUEST_IMAGE + CHUNK,
	GUARD = 4096, /* behind the memory, without access */
};

static void check_image(const struct elf_image *image, size_t size)
{
	uint64_t end = GUEST_IMAGE;

	assert(image->n >= 1 && image->n <= ELF_SEGMENTS_MAX);
	assert(image->entry.v >= GUEST_IMAGE && image->entry.v < image->end.v);
	for (unsigned i = 0; i < image->n; i++) {
		const struct elf_segment *s = &image->segment[i];

		assert(s->address.v >= end && s->memory && s->bytes <= s->memory);
		assert(s->offset <= size && s->bytes <= size - s->offset);
		end = s->address.v + s->memory;
	}
	assert(end == image->end.v && end <= 1ull << 47);
}

/* ---- a file without a directory ---- */

static int make_file(const uint8_t *data, size_t size, char path[32])
{
	int fd = memfd_create("guest", MFD_CLOEXEC);

	assert(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	snprintf(path, 32, "/proc/self/fd/%d", fd);
	return fd;
}

/* ---- the memory of the VM: nothing but what was loaded may be there afterwards ---- */

static struct guest_memory memory_of(uint64_t bytes)
{
	uint8_t *base = mmap(NULL, bytes + GUARD, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	assert(base != MAP_FAILED && mprotect(base + bytes, GUARD, PROT_NONE) == 0);
	return (struct guest_memory){base, bytes};
}

static void check_boot(const struct guest_memory *m, const struct load_config *c)
{
	const struct guest_boot *boot = (const struct guest_boot *)(m->base + GUEST_BOOT);

	assert(boot->version == GUEST_ABI_VERSION && boot->vcpus == c->vcpus);
	assert(boot->heap_start <= boot->heap_end && boot->heap_end <= m->bytes);
	assert(boot->argc == c->args && boot->files == c->files);
	for (unsigned i = 0; i < boot->argc; i++)
		assert(!strcmp((const char *)m->base + boot->argv[i], c->arg[i]));
}

static void load(const struct load_config *c)
{
	struct guest_memory m;
	struct load *l = NULL;
	struct err e = {0};

	if (load_open(c, &l, &e) || load_read(l, &e)) {
		assert(e.code && e.text[0]);
		load_close(l);
		return;
	}
	m = memory_of(c->memory);
	assert(load_copy(l, &m, 1, &e) == ERR_OK);
	check_boot(&m, c);
	munmap(m.base, m.bytes + GUARD);
	load_close(l);
}

static void load_file(uint8_t choice, const uint8_t *data, size_t size)
{
	static char one[] = "one", two[] = "", long_one[(int)GUEST_IMAGE - (int)GUEST_BOOT + 1];
	static char *const good_args[] = {one, two}, *const bad_args[] = {one, long_one};
	char path[32];
	int fd = make_file(data, size, path);
	const struct load_file good[] = {{"self", path}, {"again", path}};
	const struct load_file bad[] = {{"self", path}, {"", path}};
	bool misfits = choice & WITH_MISFITS;
	struct load_config c = {
		.guest = path,
		.args = choice & WITH_ARGS ? 2 : 0,
		.arg = misfits ? bad_args : good_args,
		.files = choice & WITH_FILES ? 2 : 0,
		.file = misfits ? bad : good,
		.vcpus = 1 + choice % 3,
		.memory = MEMORY_LEAST + (uint64_t)(choice & CHUNKS) * CHUNK,
	};

	memset(long_one, 'x', sizeof(long_one) - 1);
	load(&c);
	close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct elf_image image;

	if (!size)
		return 0;
	if (!elf_parse(data + 1, size - 1, (struct gpa){GUEST_IMAGE}, &image, NULL))
		check_image(&image, size - 1);
	load_file(data[0], data + 1, size - 1);
	return 0;
}

/* ---- seeds: good ones, then each with one thing wrong ---- */

enum { SEGMENTS = 3, CODE = 64 };

struct image {
	uint8_t choice;
	Elf64_Ehdr header;
	Elf64_Phdr segment[SEGMENTS];
	uint8_t code[CODE];
} __attribute__((packed));

static struct image good_image(void)
{
	struct image f = {
		.header = {.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB,
				       EV_CURRENT},
			   .e_type = ET_EXEC,
			   .e_machine = EM_X86_64,
			   .e_version = EV_CURRENT,
			   .e_entry = GUEST_IMAGE + 16,
			   .e_phoff = sizeof(Elf64_Ehdr),
			   .e_phentsize = sizeof(Elf64_Phdr),
			   .e_phnum = SEGMENTS},
	};

	for (unsigned i = 0; i < SEGMENTS; i++)
		f.segment[i] = (Elf64_Phdr){.p_type = i < 2 ? PT_LOAD : PT_NOTE,
					    .p_flags = i ? PF_R | PF_W : PF_R | PF_X,
					    .p_offset = offsetof(struct image, code) - 1,
					    .p_vaddr = GUEST_IMAGE + i * 0x2000,
					    .p_filesz = CODE,
					    .p_memsz = CODE + i * 0x1000};
	return f;
}

static void put_good(fuzz_put put)
{
	static const uint8_t choices[] = {0,
					  CHUNKS,
					  CHUNKS | WITH_ARGS,
					  CHUNKS | WITH_FILES,
					  CHUNKS | WITH_ARGS | WITH_FILES,
					  CHUNKS | WITH_ARGS | WITH_MISFITS,
					  CHUNKS | WITH_FILES | WITH_MISFITS};

	for (unsigned i = 0; i < sizeof(choices); i++) {
		struct image f = good_image();

		f.choice = choices[i];
		put(&f, sizeof(f));
	}
}

#define BAD(change)                                                                                \
	do {                                                                                       \
		struct image f = good_image();                                                     \
		change;                                                                            \
		put(&f, sizeof(f));                                                                \
	} while (0)

void fuzz_seeds(fuzz_put put)
{
	put_good(put);
	BAD(f.header.e_ident[0] = 0);
	BAD(f.header.e_machine = EM_AARCH64);
	BAD(f.header.e_version = 2);
	BAD(f.header.e_type = ET_DYN);
	BAD(f.header.e_phnum = 0);
	BAD(f.header.e_phnum = 9);
	BAD(f.header.e_phoff = UINT64_MAX);
	BAD(f.header.e_entry = 0);
	BAD(f.segment[0].p_filesz = UINT64_MAX);
	BAD(f.segment[0].p_offset = UINT64_MAX);
	BAD(f.segment[0].p_vaddr = 0x1000);
	BAD(f.segment[0].p_memsz = 1ull << 47);
	BAD(f.segment[1].p_memsz = 1ull << 30); /* does not fit */
	BAD(f.segment[1].p_vaddr = GUEST_IMAGE);
	BAD(f.segment[2].p_type = PT_INTERP);
}
