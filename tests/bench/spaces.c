/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bench/spaces.h"

#include <stdio.h>
#include <string.h>

#include <cellular/dsm.h>

#include "tests/bench/floor.h"
#include "tests/bench/team.h"

enum {
	CONNECT_MS = 20000,
	JOIN_TRIES = 3,
	SILENCE_MS = 30000, /* a busy machine is no loss; who dies closes its links */
};

static const unsigned char key[CELL_KEY_BYTES] = "no secret: one machine, loopback";

_Static_assert((int)CELL_KEY_BYTES == (int)CDSM_KEY_BYTES, "one key for both");

/* ---- dsm.h ---- */

static void on_lost(void *context, struct member_id member, const struct err *why)
{
	team_fail(context, "member %u is gone: %s", member.v, why->text);
}

static struct dsm_config config_of(struct seat *s, unsigned space)
{
	const struct bench *b = s->bench;
	struct dsm_config config = {
		.space = {1 + space},
		.epoch = {1},
		.self = {(uint8_t)s->self},
		.members = (uint8_t)s->members,
		.pages = b->pages(s),
		.listen = "127.0.0.1:0",
		.silence_ms = SILENCE_MS,
		.hold_us = space && b->second_hold_us ? b->second_hold_us : b->hold_us,
		.inline_faults = s->options->inline_faults,
		.context = s,
		.lost = on_lost,
		.post = b->post,
	};

	memcpy(config.key, key, sizeof(config.key));
	return config;
}

int spaces_core(const struct seat *s, unsigned space)
{
	return s->options->shards > 1 ? team_core(s->self + space) : s->core;
}

static void open_one(struct seat *s, unsigned space)
{
	const struct dsm_config config = config_of(s, space);
	const char *peers[BENCH_MEMBERS_MAX];
	struct err e = {0};

	team_pin(spaces_core(s, space)); /* its thread will inherit that */
	if (dsm_open(&config, &s->space[space], &e))
		team_fail(s, "%s", e.text);
	s->bases[space] = dsm_base(s->space[space]);
	s->dsm = s->space[0]; /* callbacks want it */
	dsm_address(s->space[space], s->board->address[space][s->self]);
	team_meet(s);
	for (unsigned m = 0; m < s->members; m++)
		peers[m] = s->board->address[space][m];
	if (dsm_connect(s->space[space], peers, CONNECT_MS, -1, &e))
		team_fail(s, "%s", e.text);
	team_pin(s->core);
}

/* ---- the library ---- */

/* Who lets a newcomer in does not wait for ever until it has connected: on a busy machine it tries
 * again. */
static void join_library(struct seat *s, const struct cdsm_options *options, const char *address)
{
	struct cdsm_error why;
	int rc = CDSM_ELOST;

	for (int i = 0; i < JOIN_TRIES && rc == CDSM_ELOST; i++) {
		rc = cdsm_join(options, address, CONNECT_MS, &s->library, &why);
		if (rc)
			fprintf(stderr, "cellbench: %s: member %u: %s\n", s->bench->name, s->self,
				why.text);
	}
	if (rc)
		team_fail(s, "cannot join");
}

static void open_library(struct seat *s)
{
	struct cdsm_options options = CDSM_OPTIONS;
	char *address = s->board->address[0][0];
	struct cdsm_error why;

	options.key = key;
	options.members = s->members * JOIN_TRIES; /* a number is used once */
	options.silence_ms = SILENCE_MS;
	options.hold_us = s->bench->hold_us;
	options.faults = s->options->inline_faults ? CDSM_FAULTS_INLINE : CDSM_FAULTS_THREAD;
	if (s->self == 0) {
		if (cdsm_create(&options, s->bench->pages(s) * FLOOR_PAGE, &s->library, &why))
			team_fail(s, "%s", why.text);
		strncpy(address, cdsm_address(s->library), TRANSPORT_ADDRESS_MAX - 1);
	}
	team_meet(s);
	if (s->self)
		join_library(s, &options, address);
	s->bases[0] = cdsm_map(s->library, NULL);
	s->spaces = 1;
}

/* ---- both ---- */

void spaces_open(struct seat *s)
{
	if (s->bench->library) {
		open_library(s);
	} else {
		s->spaces = s->bench->second_hold_us ? 2 : s->options->shards;
		for (unsigned space = 0; space < s->spaces; space++)
			open_one(s, space);
	}
	s->base = s->bases[0];
}

/* Nobody leaves in order: that would carry all pages to who is left. */
void spaces_close(struct seat *s)
{
	team_meet(s);
	for (unsigned i = 0; i < s->spaces && s->dsm; i++)
		dsm_quiesce(s->space[i]);
	team_meet(s);
	for (unsigned i = 0; i < s->spaces; i++)
		dsm_close(s->space[i]);
	cdsm_close(s->library);
}
