/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads a static 64-bit x86 ELF executable (System V ABI, AMD64 supplement; gABI ch. 4, 5): what to
 * copy where. Pure: the file is a buffer and hostile.
 */
#ifndef CELLULAR_NODE_ELF_H
#define CELLULAR_NODE_ELF_H

#include <stddef.h>
#include <stdint.h>

#include "proto/base/err.h"
#include "proto/ids.h"

enum { ELF_SEGMENTS_MAX = 16 };

struct elf_segment {
	uint64_t offset; /* in the file, all of [offset, offset + bytes) is inside */
	uint64_t bytes;	 /* to copy; the rest up to `memory` is zero */
	struct gpa address;
	uint64_t memory;
};

struct elf_image {
	struct gpa entry; /* inside an executable segment */
	struct gpa end;	  /* first byte after the last segment */
	unsigned n;
	struct elf_segment
		segment[ELF_SEGMENTS_MAX]; /* ascending, disjoint, not empty, from `low` on */
};

/*
 * Checks file[0, n) and fills out. Segments lie in [low, 2^47); how large the memory is, is the
 * caller's business. INVALID with "not a ..." and what is wrong; TOOBIG: too many segments.
 */
int elf_parse(const void *file, size_t n, struct gpa low, struct elf_image *out, struct err *e);

#endif
