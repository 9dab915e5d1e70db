/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "dsm/lib/named_state.h"
#include "proto/base/clock.h"
#include "proto/base/fd.h"
#include "proto/base/rand.h"
#include "proto/base/text.h"
#include "proto/key.h"

/* ---- what is said ---- */

int named_talk(struct named *n, Cellular__CtlOp op, Cellular__SpaceClaim *claim, uint64_t end_ms,
	       Cellular__CtlReply **reply, struct err *e)
{
	Cellular__CtlRequest request = CELLULAR__CTL_REQUEST__INIT;

	request.op = op;
	request.name = n->name;
	request.claim = claim;
	return control_ask(&n->link, &request, end_ms, reply, e);
}

int named_claim(struct named *n, Cellular__CtlOp op, uint64_t end_ms, bool *answered, struct err *e)
{
	Cellular__SpaceClaim claim = CELLULAR__SPACE_CLAIM__INIT;
	Cellular__CtlReply *reply;
	int rc;

	claim.instance = n->place.instance;
	claim.space = n->place.space;
	claim.bytes = n->place.bytes;
	claim.members = n->place.members;
	if (n->place.drawn)
		claim.key = (ProtobufCBinaryData){sizeof(n->place.key), n->place.key};
	claim.created_ms = n->place.created_ms;
	claim.member = n->member;
	claim.address = n->address;
	claim.pid = (uint32_t)getpid();
	rc = named_talk(n, op, &claim, end_ms, &reply, e);
	*answered = !rc;
	if (rc)
		return rc;
	rc = control_refused(reply, e);
	if (!rc && op == CELLULAR__CTL_OP__OP_SPACE_CREATE && reply->n_spaces)
		n->place.created_ms = reply->spaces[0]->created_ms;
	control_free(reply);
	return rc;
}

/* ---- life ---- */

void named_end(struct named *n)
{
	if (!n)
		return;
	if (n->running) {
		named_set_state(n, NAMED_OVER);
		pthread_join(n->thread, NULL);
	}
	control_close(&n->link);
	fd_close(&n->wake);
	pthread_cond_destroy(&n->changed);
	pthread_mutex_destroy(&n->lock);
	explicit_bzero(n, sizeof(*n));
	free(n);
}

static int read_options(struct named *n, const struct cdsm_options *o, struct err *e)
{
	if (!o->cluster || !o->cluster_key_file)
		return err_set(e, ERR_INVALID, "a space by name needs a cluster and its key file");
	if (!name_valid(o->name))
		return err_set(e, ERR_INVALID,
			       "a space's name is 1 to %d characters of A-Z a-z 0-9 . _ -, not . "
			       "or - first",
			       CELL_NAME_MAX - 1);
	if (strlen(o->cluster) >= sizeof(n->link.controller))
		return err_set(e, ERR_INVALID, "the controller's address is too long");
	snprintf(n->name, sizeof(n->name), "%s", o->name);
	snprintf(n->link.controller, sizeof(n->link.controller), "%s", o->cluster);
	n->own_key = o->key || o->key_file;
	return key_file_read(o->cluster_key_file, n->link.cluster_key, e);
}

static int open_wake(struct named *n, struct err *e)
{
	n->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	n->link.stop_fd = n->wake;
	return n->wake < 0 ? err_set(e, ERR_SYS, "cannot make an eventfd") : ERR_OK;
}

int named_begin(const struct cdsm_options *o, struct named **out, struct err *e)
{
	struct named *n = calloc(1, sizeof(*n));
	int rc;

	if (!n)
		return err_set(e, ERR_NOMEM, "no memory for a name");
	control_init(&n->link);
	n->wake = -1;
	pthread_mutex_init(&n->lock, NULL);
	pthread_cond_init(&n->changed, NULL);
	rc = read_options(n, o, e);
	if (!rc)
		rc = open_wake(n, e);
	if (!rc)
		rc = control_open(&n->link, clock_ms() + NAMED_DIAL_MS, e);
	/* Now: once this is a member, nothing that fails may end it. */
	if (!rc)
		rc = named_start_thread(n, e);
	if (rc)
		named_end(n);
	else
		*out = n;
	return rc;
}

/* ---- creating ---- */

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

int named_draw(struct named *n, struct dsm_config *config, struct err *e)
{
	int rc = rand_bytes(&n->place.instance, sizeof(n->place.instance), e);

	n->place.instance |= 1; /* 0 is none */
	n->place.drawn = !n->own_key;
	if (rc || n->own_key)
		return rc;
	rc = rand_bytes(n->place.key, sizeof(n->place.key), e);
	memcpy(config->key, n->place.key, sizeof(config->key));
	return rc;
}

/* A controller that was just started learns its names first. */
static int claim_until(struct named *n, uint64_t end_ms, struct err *e)
{
	bool answered;
	int rc;

	for (;;) {
		rc = control_open(&n->link, earlier(end_ms, clock_ms() + NAMED_DIAL_MS), e);
		if (!rc)
			rc = named_claim(n, CELLULAR__CTL_OP__OP_SPACE_CREATE,
					 earlier(end_ms, clock_ms() + NAMED_ASK_MS), &answered, e);
		if (rc != ERR_BUSY)
			return rc;
		if (clock_ms() + NAMED_AGAIN_MS >= end_ms)
			return e->code = ERR_TIMEOUT;
		usleep(NAMED_AGAIN_MS * 1000);
	}
}

int named_create(struct named *n, const struct dsm_config *config, uint64_t bytes,
		 const char *address, struct err *e)
{
	n->place.space = config->space.v;
	n->place.bytes = bytes;
	n->place.members = config->members;
	n->member = 0;
	snprintf(n->address, sizeof(n->address), "%s", address);
	return claim_until(n, clock_ms() + NAMED_CREATE_MS, e);
}

/* ---- joining ---- */

static int find_once(struct named *n, uint64_t end_ms, struct err *e)
{
	Cellular__CtlReply *reply;
	int rc = control_open(&n->link, earlier(end_ms, clock_ms() + NAMED_DIAL_MS), e);

	if (!rc)
		rc = named_talk(n, CELLULAR__CTL_OP__OP_SPACE_FIND, NULL,
				earlier(end_ms, clock_ms() + NAMED_ASK_MS), &reply, e);
	if (rc)
		return rc;
	rc = control_refused(reply, e);
	if (!rc && reply->n_spaces != 1)
		rc = err_set(e, ERR_PROTOCOL, "the controller answers with %zu spaces",
			     reply->n_spaces);
	if (!rc)
		rc = place_read(reply->spaces[0], n->name, &n->place, e);
	control_free(reply);
	return rc;
}

int named_find(struct named *n, uint64_t end_ms, const struct place **out, struct err *e)
{
	int rc;

	while ((rc = find_once(n, end_ms, e)) == ERR_BUSY) {
		if (clock_ms() + NAMED_AGAIN_MS >= end_ms)
			return e->code = ERR_TIMEOUT;
		usleep(NAMED_AGAIN_MS * 1000);
	}
	*out = &n->place;
	return rc;
}

int named_apply(const struct named *n, struct dsm_config *config, struct err *e)
{
	config->space = (struct space_id){n->place.space};
	if (n->own_key)
		return ERR_OK;
	if (!n->place.drawn)
		return err_set(e, ERR_INVALID, "%s has a key of its own: who joins must know it",
			       n->name);
	memcpy(config->key, n->place.key, sizeof(config->key));
	return ERR_OK;
}

void named_joined(struct named *n, unsigned member, const char *address)
{
	bool answered;
	struct err e;

	n->member = member;
	snprintf(n->address, sizeof(n->address), "%s", address);
	if (n->link.fd >= 0)
		named_claim(n, CELLULAR__CTL_OP__OP_SPACE_HOLD, clock_ms() + NAMED_ASK_MS,
			    &answered, &e);
}
