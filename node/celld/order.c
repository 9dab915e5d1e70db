/* SPDX-License-Identifier: Apache-2.0 */
#include "node/celld/order.h"

#include "proto/base/text.h"
#include "proto/ids.h"

enum { VCPUS_MAX = 64 };

static const uint64_t memory_max = 1ull << 46;

static int check_vcpus(const Cellular__FragStart *order, uint32_t *mine, struct err *e)
{
	uint64_t seen = 0;

	*mine = 0;
	if (order->n_vcpus < 1 || order->n_vcpus > VCPUS_MAX ||
	    order->n_vcpus != order->spec->vcpus)
		return err_set(e, ERR_INVALID, "the order places %zu vCPUs of %u", order->n_vcpus,
			       order->spec->vcpus);
	for (size_t i = 0; i < order->n_vcpus; i++) {
		const Cellular__VcpuPlace *place = order->vcpus[i];

		if (place->vcpu >= order->n_vcpus || place->member >= order->members ||
		    seen & 1ull << place->vcpu)
			return err_set(
				e, ERR_INVALID,
				"the order places vCPU %u on member %u: no such place, or twice",
				place->vcpu, place->member);
		seen |= 1ull << place->vcpu;
		*mine += place->member == order->member;
	}
	return ERR_OK;
}

int order_check(const Cellular__FragStart *order, uint32_t *vcpus, struct err *e)
{
	if (order->vm_id == 0)
		return err_set(e, ERR_INVALID, "the order names no VM");
	if (order->members < 1 || order->members > DSM_MEMBERS_MAX ||
	    order->member >= order->members)
		return err_set(e, ERR_INVALID, "the order names member %u of %u", order->member,
			       order->members);
	if (order->key.len != CELL_KEY_BYTES)
		return err_set(e, ERR_INVALID, "the order carries a key of %zu bytes",
			       order->key.len);
	if (!order->spec || !name_valid(order->spec->name))
		return err_set(e, ERR_INVALID, "the order carries no VM with a valid name");
	if (order->spec->memory == 0 || order->spec->memory > memory_max)
		return err_set(e, ERR_INVALID, "the order's memory is out of range");
	return check_vcpus(order, vcpus, e);
}
