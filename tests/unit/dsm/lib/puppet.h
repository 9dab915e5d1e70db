/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Processes that do with the library what they are told, one thing at a time: for tests in which
 * who creates, joins and leaves when is the point. Fork them before anything else happens.
 */
#ifndef CELLULAR_TEST_LIB_PUPPET_H
#define CELLULAR_TEST_LIB_PUPPET_H

#include <cellular/dsm.h>
#include <stdbool.h>
#include <sys/types.h>

enum puppet_act {
	PUPPET_CREATE,
	PUPPET_JOIN,  /* by name, or by `address` */
	PUPPET_LEAVE, /* and close */
	PUPPET_CHECK,
	PUPPET_READ, /* the space's first word */
	PUPPET_ADD,  /* value to it */
};

/* "" or 0: not given. */
struct puppet_order {
	enum puppet_act act;
	char cluster[128], cluster_key_file[128], name[128], listen[64], address[64];
	unsigned char key[CDSM_KEY_BYTES]; /* if its first byte is not 0 */
	int timeout_ms;
	uint64_t value;
};

struct puppet_answer {
	struct cdsm_error why; /* code 0: done */
	uint64_t value;
	unsigned self;
	unsigned ms; /* that it took */
};

struct puppet {
	pid_t pid; /* 0: none */
	int fd;
};

bool puppet_start(struct puppet *p);
struct puppet_answer puppet_do(struct puppet *p, const struct puppet_order *order);
void puppet_kill(struct puppet *p); /* with -9; again does nothing */

#endif
