/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "controller/server/state.h"
#include "proto/base/rand.h"

static void blob_free(struct blob *b)
{
	free(b->bytes);
	*b = (struct blob){0};
}

void body_free(struct body *body)
{
	blob_free(&body->spec);
	if (body->message)
		cellular__vm_spec__free_unpacked(body->message, NULL);
	for (unsigned m = 0; m < POLICY_MEMBERS_MAX; m++)
		blob_free(&body->stats[m]);
	memset(body, 0, sizeof(*body));
}

static int keep_spec(struct body *body, const uint8_t *bytes, size_t n, struct err *e)
{
	body->message = cellular__vm_spec__unpack(NULL, n, bytes);
	if (!body->message)
		return err_set(e, ERR_INVALID, "the specification cannot be read");
	body->spec.bytes = malloc(n + 1);
	if (!body->spec.bytes)
		return err_set(e, ERR_NOMEM, "no memory for the specification");
	memcpy(body->spec.bytes, bytes, n);
	body->spec.n = n;
	return ERR_OK;
}

int body_take_spec(struct body *body, const Cellular__VmSpec *spec, struct err *e)
{
	uint8_t packed[SERVER_SPEC_MAX];
	size_t n = cellular__vm_spec__get_packed_size(spec);
	int ret;

	body_free(body);
	if (n > sizeof(packed))
		return err_set(e, ERR_TOOBIG,
			       "the VM's description takes %zu bytes; at most %zu are possible", n,
			       sizeof(packed));
	cellular__vm_spec__pack(spec, packed);
	ret = keep_spec(body, packed, n, e);
	if (!ret)
		ret = rand_bytes(body->key, sizeof(body->key), e);
	if (ret)
		body_free(body);
	return ret;
}

int body_load(struct body *body, const struct store_vm *record, struct err *e)
{
	int ret = keep_spec(body, record->spec.bytes, record->spec.n, e);

	body->id = record->vm->id;
	for (unsigned m = 0; !ret && m < record->vm->members; m++) {
		const struct store_blob *stat = &record->stats[m];

		if (!stat->n)
			continue;
		body->stats[m].bytes = malloc(stat->n);
		if (!body->stats[m].bytes)
			return err_set(e, ERR_NOMEM, "no memory for figures");
		memcpy(body->stats[m].bytes, stat->bytes, stat->n);
		body->stats[m].n = stat->n;
	}
	return ret;
}

void body_set_stat(struct body *body, unsigned member, const Cellular__DsmStat *stat)
{
	struct blob *old = &body->stats[member];
	size_t n = cellular__dsm_stat__get_packed_size(stat);
	uint8_t *bytes;

	if (n > SERVER_STAT_MAX)
		return;
	bytes = realloc(old->bytes, n + 1);
	if (!bytes)
		return; /* the older figures stay */
	old->bytes = bytes;
	old->n = cellular__dsm_stat__pack(stat, bytes);
}
