/* SPDX-License-Identifier: Apache-2.0 */
/* The order to start a fragment, as celld checks it and as cell-vm takes it: a packed FragStart. */
#include <assert.h>

#include "node/celld/order.h"
#include "node/vm/order.h"
#include "proto/base/text.h"
#include "proto/control.h"
#include "tests/fuzz/fuzz.h"

static void try_celld(const Cellular__FragStart *order)
{
	struct err e = {0};
	uint32_t vcpus;

	if (order_check(order, &vcpus, &e)) {
		assert(e.code == ERR_INVALID && e.text[0]);
		return;
	}
	assert(order->vm_id && order->member < order->members);
	assert(order->members <= DSM_MEMBERS_MAX && name_valid(order->spec->name));
	assert(vcpus <= order->spec->vcpus && order->key.len == CELL_KEY_BYTES);
}

static void try_vm(const Cellular__FragStart *message)
{
	struct err e = {0};
	struct order o;

	if (order_take(message, &o, &e)) {
		assert(e.code && e.text[0]);
		return;
	}
	assert(o.vm.self.v < o.vm.members && o.vm.members <= DSM_MEMBERS_MAX);
	assert(o.vm.vcpus >= 1 && o.vm.vcpus <= GUEST_VCPUS_MAX);
	for (unsigned i = 0; i < o.vm.vcpus; i++)
		assert(o.vm.place[i] < o.vm.members);
	assert(o.load.files <= GUEST_FILES_MAX && o.load.guest);
	order_free(&o);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	ProtobufCMessage *message;

	if (ctl_unpack(CTL_TYPE_FRAG_START, data, size, &message, NULL))
		return 0;
	try_celld((const Cellular__FragStart *)message);
	try_vm((const Cellular__FragStart *)message);
	ctl_free(message);
	return 0;
}

/* ---- seeds: a good order, then each with one thing wrong ---- */

enum { VCPUS = 3, FILES = 2, FILES_MANY = GUEST_FILES_MAX + 1 };

struct sample {
	Cellular__FragStart order;
	Cellular__VmSpec spec;
	Cellular__VcpuPlace place[VCPUS], *places[VCPUS];
	Cellular__VmFile file, *files[FILES_MANY];
	uint8_t key[CELL_KEY_BYTES];
};

static void fill(struct sample *s)
{
	cellular__frag_start__init(&s->order);
	cellular__vm_spec__init(&s->spec);
	cellular__vm_file__init(&s->file);
	s->file.name = s->file.path = (char *)"/etc/words";
	for (unsigned i = 0; i < FILES_MANY; i++)
		s->files[i] = &s->file;
	for (unsigned i = 0; i < VCPUS; i++) {
		cellular__vcpu_place__init(&s->place[i]);
		s->place[i].vcpu = i;
		s->place[i].member = i % 2;
		s->places[i] = &s->place[i];
	}
	s->spec.name = (char *)"demo";
	s->spec.guest = (char *)"/g.elf";
	s->spec.memory = 64 << 20;
	s->spec.vcpus = VCPUS;
	s->spec.files = s->files;
	s->spec.n_files = FILES;
	s->order.vm_id = 7;
	s->order.epoch = 1;
	s->order.members = 2;
	s->order.spec = &s->spec;
	s->order.vcpus = s->places;
	s->order.n_vcpus = VCPUS;
	s->order.key = (ProtobufCBinaryData){sizeof(s->key), s->key};
	s->order.data_address = (char *)"127.0.0.1";
}

static void put_sample(fuzz_put put, const struct sample *s)
{
	uint8_t packed[4096];

	assert(cellular__frag_start__get_packed_size(&s->order) <= sizeof(packed));
	put(packed, cellular__frag_start__pack(&s->order, packed));
}

#define WITH(change)                                                                               \
	do {                                                                                       \
		struct sample s = {0};                                                             \
		fill(&s);                                                                          \
		change;                                                                            \
		put_sample(put, &s);                                                               \
	} while (0)

void fuzz_seeds(fuzz_put put)
{
	WITH((void)0);
	WITH(s.order.data_address = (char *)"fe80::1");
	WITH(s.order.data_address = (char *)"");
	WITH(s.order.vm_id = 0);
	WITH(s.order.member = 2);
	WITH(s.order.members = DSM_MEMBERS_MAX + 1);
	WITH(s.order.key.len = 5);
	WITH(s.order.spec = NULL);
	WITH(s.spec.name = (char *)"../x");
	WITH(s.spec.memory = 0);
	WITH(s.spec.vcpus = 0);
	WITH(s.spec.vcpus = GUEST_VCPUS_MAX + 1);
	WITH(s.order.n_vcpus = 2);
	WITH(s.place[1].vcpu = 0);
	WITH(s.place[1].member = 9);
	WITH(s.spec.n_files = FILES_MANY);
}
