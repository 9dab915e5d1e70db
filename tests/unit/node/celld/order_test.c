/* SPDX-License-Identifier: Apache-2.0 */
#include "node/celld/order.h"

#include <string.h>

#include "proto/ids.h"
#include "tests/unit/unit.h"

/* A good order: 4 vCPUs on members 0, 0, 1, 2 of 3; this cell is member 1. */
static struct {
	Cellular__FragStart start;
	Cellular__VmSpec spec;
	Cellular__VcpuPlace place[64], *places[64];
	uint8_t key[CELL_KEY_BYTES];
	uint32_t mine;
	struct err e;
} rig;

static void make_good(void)
{
	static const uint32_t members[] = {0, 0, 1, 2};

	memset(&rig, 0, sizeof(rig));
	cellular__frag_start__init(&rig.start);
	cellular__vm_spec__init(&rig.spec);
	for (uint32_t v = 0; v < 64; v++) {
		cellular__vcpu_place__init(&rig.place[v]);
		rig.place[v].vcpu = v;
		rig.place[v].member = v < 4 ? members[v] : 1;
		rig.places[v] = &rig.place[v];
	}
	rig.spec.name = (char *)"vm";
	rig.spec.memory = 4 << 20;
	rig.spec.vcpus = 4;
	rig.start.vm_id = 1;
	rig.start.member = 1;
	rig.start.members = 3;
	rig.start.spec = &rig.spec;
	rig.start.vcpus = rig.places;
	rig.start.n_vcpus = 4;
	rig.start.key.data = rig.key;
	rig.start.key.len = sizeof(rig.key);
}

static int check(void)
{
	int rc = order_check(&rig.start, &rig.mine, &rig.e);

	if (rc)
		CU_ASSERT(rig.e.text[0] != '\0');
	return rc;
}

static void good_order_passes(void)
{
	make_good();
	CU_ASSERT_EQUAL(check(), ERR_OK);
	CU_ASSERT_EQUAL(rig.mine, 1);
	rig.start.member = 0;
	CU_ASSERT_EQUAL(check(), ERR_OK);
	CU_ASSERT_EQUAL(rig.mine, 2);
	rig.start.n_vcpus = rig.spec.vcpus = 64;
	CU_ASSERT_EQUAL(check(), ERR_OK);
}

#define BROKEN(statement)                                                                          \
	do {                                                                                       \
		make_good();                                                                       \
		statement;                                                                         \
		CU_ASSERT_EQUAL(check(), ERR_INVALID);                                             \
	} while (0)

static void each_broken_field_is_refused(void)
{
	BROKEN(rig.start.vm_id = 0);
	BROKEN(rig.start.members = 0);
	BROKEN(rig.start.members = 65);
	BROKEN(rig.start.member = 3);
	BROKEN(rig.start.key.len = 31);
	BROKEN(rig.start.key.len = 0);
	BROKEN(rig.start.spec = NULL);
	BROKEN(rig.spec.name = (char *)"../x");
	BROKEN(rig.spec.name = (char *)"");
	BROKEN(rig.spec.memory = 0);
	BROKEN(rig.spec.memory = (1ull << 46) + 1);
	BROKEN(rig.spec.vcpus = 5);
	BROKEN(rig.start.n_vcpus = 0);
	BROKEN(rig.start.n_vcpus = rig.spec.vcpus = 65);
	BROKEN(rig.place[3].vcpu = 4);
	BROKEN(rig.place[3].vcpu = UINT32_MAX);
	BROKEN(rig.place[3].vcpu = 0);
	BROKEN(rig.place[0].member = 3);
}

int main(void)
{
	static const struct unit_case cases[] = {
		UNIT_CASE(good_order_passes),
		UNIT_CASE(each_broken_field_is_refused),
	};

	return unit_main("celld-order", cases, UNIT_COUNT(cases));
}
