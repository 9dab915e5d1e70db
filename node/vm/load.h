/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Puts a guest into its memory: program, arguments, input files, boot page. In three steps:
 * load_open opens the files and looks at nothing of them, so that it can be done by a process that
 * still has rights; load_read reads and checks the program, so that all that can be wrong is known
 * before the fragments connect; load_copy only copies.
 *
 * Order in memory (node/guest/abi.h): boot page, argument strings, program, files, heap, stacks.
 */
#ifndef CELLULAR_NODE_LOAD_H
#define CELLULAR_NODE_LOAD_H

#include "node/vm/memory.h"
#include "proto/base/err.h"

enum { LOAD_ELF_MAX = 64 << 20 };

struct load_file {
	const char *name;
	const char *path;
};

struct load_config {
	const char *guest; /* path of the ELF */
	unsigned args;
	char *const *arg;
	unsigned files;
	const struct load_file *file;
	unsigned vcpus;
	uint64_t memory; /* end of coherent memory */
};

struct load;

/*
 * config and what it points to must outlive the load. NOTFOUND, DENIED, SYS: a file cannot be
 * opened; INVALID: not a file, a bad name; TOOBIG: too many or too large.
 */
int load_open(const struct load_config *config, struct load **out, struct err *e);

/* SYS: the program cannot be read; INVALID: not an ELF for us; TOOBIG: too many or too long
 * arguments; NOSPACE: "guest too large: needs ..., VM has ...". */
int load_read(struct load *l, struct err *e);

/* Writes it all; may block on other members. SYS: a file changed or cannot be read any more. */
int load_copy(struct load *l, const struct guest_memory *m, uint64_t tsc_khz, struct err *e);

void load_close(struct load *l); /* NULL is allowed */

/* Where the stack of a vCPU begins: the stacks end with the memory, that of vCPU 0 lowest. */
struct gpa load_stack_top(uint64_t memory, unsigned vcpus, unsigned vcpu);

#endif
