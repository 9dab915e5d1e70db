/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes of cell-vm one that evicts: linked with --wrap, it starts an evictor when the space is
 * connected and stops it before the space is closed. All else is cell-vm as it is.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/torture/evictor.h"

int __real_dsm_open(const struct dsm_config *config, struct dsm **out, struct err *e);
int __wrap_dsm_open(const struct dsm_config *config, struct dsm **out, struct err *e);
int __real_dsm_connect(struct dsm *d, const char *const *peers, int timeout_ms, int stop_fd,
		       struct err *e);
int __wrap_dsm_connect(struct dsm *d, const char *const *peers, int timeout_ms, int stop_fd,
		       struct err *e);
void __real_dsm_close(struct dsm *d);
void __wrap_dsm_close(struct dsm *d);

/* A fragment has one space. */
static uint64_t first, pages;
static struct evictor *evictor;

int __wrap_dsm_open(const struct dsm_config *config, struct dsm **out, struct err *e)
{
	/* A VM has one local range, at its start. */
	first = config->locals ? config->local[0].first + config->local[0].pages : 0;
	pages = config->pages - first;
	return __real_dsm_open(config, out, e);
}

int __wrap_dsm_connect(struct dsm *d, const char *const *peers, int timeout_ms, int stop_fd,
		       struct err *e)
{
	uint64_t seed = (uint64_t)getpid();
	int rc = __real_dsm_connect(d, peers, timeout_ms, stop_fd, e);

	if (rc)
		return rc;
	evictor = evictor_start(d, first, pages, seed);
	if (!evictor)
		return err_set(e, ERR_NOMEM, "no evictor");
	fprintf(stderr, "evicts at random, seed %llu\n", (unsigned long long)seed);
	return ERR_OK;
}

void __wrap_dsm_close(struct dsm *d)
{
	evictor_stop(evictor);
	evictor = NULL;
	__real_dsm_close(d);
}
