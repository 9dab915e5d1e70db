/* SPDX-License-Identifier: Apache-2.0 */
#include "node/vm/order.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PLACE_NONE = 255 };

/* protobuf-c has no copy: out and in again. */
static Cellular__FragStart *copy_message(const Cellular__FragStart *in)
{
	size_t n = cellular__frag_start__get_packed_size(in);
	uint8_t *bytes = malloc(n + 1);
	Cellular__FragStart *copy = NULL;

	if (bytes) {
		cellular__frag_start__pack(in, bytes);
		copy = cellular__frag_start__unpack(NULL, n, bytes);
	}
	free(bytes);
	return copy;
}

static int take_places(const Cellular__FragStart *m, struct vm_config *c, struct err *e)
{
	memset(c->place, PLACE_NONE, sizeof(c->place));
	if (!m->spec->vcpus || m->spec->vcpus > GUEST_VCPUS_MAX)
		return err_set(e, ERR_INVALID, "%u vCPUs: 1 to %d are possible", m->spec->vcpus,
			       GUEST_VCPUS_MAX);
	c->vcpus = m->spec->vcpus;
	for (size_t i = 0; i < m->n_vcpus; i++) {
		const Cellular__VcpuPlace *p = m->vcpus[i];

		if (p->vcpu >= c->vcpus || p->member >= m->members ||
		    c->place[p->vcpu] != PLACE_NONE)
			return err_set(e, ERR_INVALID, "vCPU %u is placed wrongly or twice",
				       p->vcpu);
		c->place[p->vcpu] = (uint8_t)p->member;
	}
	for (unsigned i = 0; i < c->vcpus; i++)
		if (c->place[i] == PLACE_NONE)
			return err_set(e, ERR_INVALID, "vCPU %u has no place", i);
	return ERR_OK;
}

static int take_files(const Cellular__VmSpec *spec, struct order *o, struct err *e)
{
	if (spec->n_files > GUEST_FILES_MAX)
		return err_set(e, ERR_TOOBIG, "more than %d files", GUEST_FILES_MAX);
	for (size_t i = 0; i < spec->n_files; i++)
		o->file[i] = (struct load_file){spec->files[i]->name, spec->files[i]->path};
	o->load = (struct load_config){
		.guest = spec->guest,
		.args = (unsigned)spec->n_args,
		.arg = spec->args,
		.files = (unsigned)spec->n_files,
		.file = o->file,
		.vcpus = spec->vcpus,
		.memory = GUEST_LOCAL_BYTES + spec->memory,
	};
	return ERR_OK;
}

static int take(const Cellular__FragStart *m, struct order *o, struct err *e)
{
	struct vm_config *c = &o->vm;
	int rc, n;

	if (!m->spec || m->key.len != CELL_KEY_BYTES)
		return err_set(e, ERR_INVALID, "order without a VM or a key");
	if (!m->members || m->members > DSM_MEMBERS_MAX || m->member >= m->members)
		return err_set(e, ERR_INVALID, "member %u of %u", m->member, m->members);
	n = snprintf(o->listen, sizeof(o->listen), strchr(m->data_address, ':') ? "[%s]:0" : "%s:0",
		     m->data_address);
	if (n < 0 || (size_t)n >= sizeof(o->listen) || !*m->data_address)
		return err_set(e, ERR_INVALID, "data address \"%.80s\"", m->data_address);
	c->id = m->vm_id;
	c->epoch.v = m->epoch;
	c->self.v = (uint8_t)m->member;
	c->members = (uint8_t)m->members;
	c->memory = m->spec->memory;
	c->listen = o->listen;
	memcpy(c->key, m->key.data, sizeof(c->key));
	if ((rc = take_places(m, c, e)))
		return rc;
	return take_files(m->spec, o, e);
}

int order_take(const Cellular__FragStart *message, struct order *out, struct err *e)
{
	int rc;

	memset(out, 0, sizeof(*out));
	out->message = copy_message(message);
	if (!out->message)
		return err_set(e, ERR_NOMEM, "no memory for an order");
	rc = take(out->message, out, e);
	if (rc)
		order_free(out);
	return rc;
}

void order_free(struct order *o)
{
	if (o->message)
		cellular__frag_start__free_unpacked(o->message, NULL);
	o->message = NULL;
}
