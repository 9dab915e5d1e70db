/* SPDX-License-Identifier: Apache-2.0 */
/* A sound ELF, and the same with one thing wrong at a time. */
#include "node/vm/elf.h"

#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/unit.h"

#define LOW 0x400000ull

enum { SEGMENTS = 2, FILE_BYTES = 0x2000 };

/* Headers, then code at 0x1000 for 0x100 bytes, then data with a tail of zeros. */
static union {
	struct {
		Elf64_Ehdr header;
		Elf64_Phdr segment[ELF_SEGMENTS_MAX + 1];
	};
	uint8_t bytes[FILE_BYTES];
} file;

static void make_sound(void)
{
	memset(&file, 0, sizeof(file));
	file.header = (Elf64_Ehdr){
		.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB,
			    EV_CURRENT},
		.e_type = ET_EXEC,
		.e_machine = EM_X86_64,
		.e_version = EV_CURRENT,
		.e_entry = LOW + 0x10,
		.e_phoff = sizeof(Elf64_Ehdr),
		.e_ehsize = sizeof(Elf64_Ehdr),
		.e_phentsize = sizeof(Elf64_Phdr),
		.e_phnum = SEGMENTS,
	};
	file.segment[0] = (Elf64_Phdr){.p_type = PT_LOAD,
				       .p_flags = PF_R | PF_X,
				       .p_offset = 0x1000,
				       .p_vaddr = LOW,
				       .p_filesz = 0x100,
				       .p_memsz = 0x100};
	file.segment[1] = (Elf64_Phdr){.p_type = PT_LOAD,
				       .p_flags = PF_R | PF_W,
				       .p_offset = 0x1100,
				       .p_vaddr = LOW + 0x1000,
				       .p_filesz = 0x10,
				       .p_memsz = 0x5000};
}

static void takes_a_sound_one(void)
{
	struct elf_image image;
	struct err e;

	make_sound();
	CU_ASSERT_EQUAL_FATAL(elf_parse(&file, FILE_BYTES, (struct gpa){LOW}, &image, &e), ERR_OK);
	CU_ASSERT_EQUAL(image.n, SEGMENTS);
	CU_ASSERT_EQUAL(image.entry.v, LOW + 0x10);
	CU_ASSERT_EQUAL(image.end.v, LOW + 0x6000);
	CU_ASSERT_EQUAL(image.segment[1].offset, 0x1100);
	CU_ASSERT_EQUAL(image.segment[1].bytes, 0x10);
	CU_ASSERT_EQUAL(image.segment[1].memory, 0x5000);
}

#define SPOIL(fn, statement)                                                                       \
	static void fn(void)                                                                       \
	{                                                                                          \
		statement;                                                                         \
	}

SPOIL(bad_magic, file.bytes[0] = 'x')
SPOIL(bad_class, file.header.e_ident[EI_CLASS] = ELFCLASS32)
SPOIL(bad_endian, file.header.e_ident[EI_DATA] = ELFDATA2MSB)
SPOIL(bad_machine, file.header.e_machine = EM_AARCH64)
SPOIL(bad_version, file.header.e_version = 2)
SPOIL(is_object, file.header.e_type = ET_REL)
SPOIL(is_shared, file.header.e_type = ET_DYN)
SPOIL(no_headers, file.header.e_phnum = 0)
SPOIL(many_headers, file.header.e_phnum = UINT16_MAX)
SPOIL(odd_header_size, file.header.e_phentsize = 32)
SPOIL(headers_outside, file.header.e_phoff = FILE_BYTES - 8)
SPOIL(headers_far_outside, file.header.e_phoff = UINT64_MAX - 8)
SPOIL(segment_outside, file.segment[0].p_offset = FILE_BYTES - 0x80)
SPOIL(segment_far_outside, file.segment[0].p_offset = UINT64_MAX - 0x80)
SPOIL(segment_wraps, file.segment[0].p_memsz = file.segment[0].p_filesz = UINT64_MAX - 0x800)
SPOIL(file_larger, file.segment[1].p_memsz = 8)
SPOIL(too_low, file.segment[0].p_vaddr = LOW - 0x1000)
SPOIL(at_null, file.segment[0].p_vaddr = 0)
SPOIL(too_high, file.segment[1].p_vaddr = 1ull << 47)
SPOIL(address_wraps, file.segment[1].p_vaddr = UINT64_MAX - 0x100)
SPOIL(memory_wraps, file.segment[1].p_memsz = UINT64_MAX - 0x100)
SPOIL(overlap, file.segment[1].p_vaddr = LOW + 0x80)
SPOIL(out_of_order, file.segment[1].p_vaddr = LOW - 0)
SPOIL(entry_outside, file.header.e_entry = LOW + 0x100)
SPOIL(entry_in_data, file.header.e_entry = LOW + 0x1000)
SPOIL(entry_null, file.header.e_entry = 0)
SPOIL(interpreter, file.segment[1].p_type = PT_INTERP)
SPOIL(dynamic, file.segment[1].p_type = PT_DYNAMIC)
SPOIL(nothing_to_load, file.segment[0].p_type = file.segment[1].p_type = PT_NOTE)

static void many_segments(void)
{
	file.header.e_phnum = ELF_SEGMENTS_MAX + 1;
	for (unsigned i = 1; i <= ELF_SEGMENTS_MAX; i++) {
		file.segment[i] = file.segment[0];
		file.segment[i].p_vaddr = LOW + i * 0x1000;
	}
}

static const struct {
	const char *name;
	void (*spoil)(void);
	int code;
	const char *says;
} bad[] = {
	{"magic", bad_magic, ERR_INVALID, "not an ELF"},
	{"class", bad_class, ERR_INVALID, "not a 64-bit x86 ELF"},
	{"endian", bad_endian, ERR_INVALID, "not a 64-bit x86 ELF"},
	{"machine", bad_machine, ERR_INVALID, "not a 64-bit x86 ELF"},
	{"version", bad_version, ERR_INVALID, "version"},
	{"object", is_object, ERR_INVALID, "static executable"},
	{"shared", is_shared, ERR_INVALID, "static executable"},
	{"no headers", no_headers, ERR_INVALID, "no program headers"},
	{"many headers", many_headers, ERR_INVALID, "outside the file"},
	{"header size", odd_header_size, ERR_INVALID, "program headers"},
	{"headers outside", headers_outside, ERR_INVALID, "outside the file"},
	{"headers far outside", headers_far_outside, ERR_INVALID, "outside the file"},
	{"segment outside", segment_outside, ERR_INVALID, "outside the file"},
	{"segment far outside", segment_far_outside, ERR_INVALID, "outside the file"},
	{"segment wraps", segment_wraps, ERR_INVALID, "outside the file"},
	{"file larger", file_larger, ERR_INVALID, "larger in the file"},
	{"too low", too_low, ERR_INVALID, "not linked for"},
	{"at null", at_null, ERR_INVALID, "not linked for"},
	{"too high", too_high, ERR_INVALID, "not linked for"},
	{"address wraps", address_wraps, ERR_INVALID, "not linked for"},
	{"memory wraps", memory_wraps, ERR_INVALID, "not linked for"},
	{"overlap", overlap, ERR_INVALID, "overlap"},
	{"out of order", out_of_order, ERR_INVALID, "overlap"},
	{"entry outside", entry_outside, ERR_INVALID, "entry"},
	{"entry in data", entry_in_data, ERR_INVALID, "entry"},
	{"entry null", entry_null, ERR_INVALID, "entry"},
	{"interpreter", interpreter, ERR_INVALID, "dynamic linker"},
	{"dynamic", dynamic, ERR_INVALID, "dynamic linker"},
	{"nothing to load", nothing_to_load, ERR_INVALID, "entry"},
	{"many segments", many_segments, ERR_TOOBIG, "segments"},
};

static void refuses_bad_ones(void)
{
	for (unsigned i = 0; i < UNIT_COUNT(bad); i++) {
		struct elf_image image;
		struct err e = {0};

		make_sound();
		bad[i].spoil();
		CU_ASSERT_EQUAL(elf_parse(&file, FILE_BYTES, (struct gpa){LOW}, &image, &e),
				bad[i].code);
		if (!strstr(e.text, bad[i].says)) {
			CU_FAIL("wrong sentence");
			fprintf(stderr, "%s: \"%s\" does not say \"%s\"\n", bad[i].name, e.text,
				bad[i].says);
		}
	}
}

/* Cut anywhere, it is refused or, where nothing that counts is missing, still sound; nothing
 * outside is read (sanitizers). */
static void survives_every_cut(void)
{
	struct elf_image image;

	make_sound();
	for (size_t n = 0; n < FILE_BYTES; n++) {
		uint8_t *copy = malloc(n + 1);

		memcpy(copy, &file, n);
		CU_ASSERT_EQUAL(elf_parse(copy, n, (struct gpa){LOW}, &image, NULL) == ERR_OK,
				n >= 0x1110);
		free(copy);
	}
}

/* Any single byte of the headers changed: refused, or what comes out holds what elf.h promises. */
static void keeps_its_promise(void)
{
	struct elf_image image;

	for (unsigned at = 0; at < sizeof(Elf64_Ehdr) + SEGMENTS * sizeof(Elf64_Phdr); at++)
		for (unsigned v = 0; v < 256; v++) {
			make_sound();
			file.bytes[at] = (uint8_t)v;
			if (elf_parse(&file, FILE_BYTES, (struct gpa){LOW}, &image, NULL))
				continue;
			for (unsigned i = 0; i < image.n; i++) {
				const struct elf_segment *s = &image.segment[i];

				CU_ASSERT_TRUE(s->offset + s->bytes <= FILE_BYTES &&
					       s->bytes <= s->memory);
				CU_ASSERT_TRUE(s->address.v >= LOW && s->memory);
				CU_ASSERT_TRUE(!i ||
					       s->address.v >= image.segment[i - 1].address.v +
								       image.segment[i - 1].memory);
			}
		}
}

int main(void)
{
	static const struct unit_case cases[] = {
		UNIT_CASE(takes_a_sound_one),
		UNIT_CASE(refuses_bad_ones),
		UNIT_CASE(survives_every_cut),
		UNIT_CASE(keeps_its_promise),
	};
	return unit_main("elf", cases, UNIT_COUNT(cases));
}
