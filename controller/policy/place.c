/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a VM goes. The rules are stated in policy.h; here is why they give the fewest cells: for a
 * given number k of cells the share of memory is known, which leaves a set of cells that have room
 * for it, and of these the k with the most free CPUs have more of them together than any other k.
 * So if they do not suffice, no k cells do.
 */
#include "controller/policy/state.h"
#include "proto/base/text.h"

#include <stdio.h>
#include <string.h>

uint64_t policy_share(uint64_t memory, unsigned members)
{
	uint64_t chunks = memory / POLICY_MEMORY_UNIT;

	return (chunks + members - 1) / members * POLICY_MEMORY_UNIT;
}

static uint64_t mib(uint64_t bytes)
{
	return bytes >> 20;
}

/* A cell that joins again with less than it had may have promised more than it has. */
static uint64_t free_memory(const struct policy_cell *cell)
{
	return cell->memory > cell->memory_used ? cell->memory - cell->memory_used : 0;
}

static uint32_t free_cpus(const struct policy_cell *cell)
{
	return cell->cpus > cell->vcpus_used ? cell->cpus - cell->vcpus_used : 0;
}

static bool before(const struct policy_cell *a, const struct policy_cell *b)
{
	if (free_cpus(a) != free_cpus(b))
		return free_cpus(a) > free_cpus(b);
	if (free_memory(a) != free_memory(b))
		return free_memory(a) > free_memory(b);
	return a->id.v < b->id.v;
}

/* Slots of the cells that are up, the freest first. */
static unsigned rank_cells(const struct policy *p, uint8_t slots[POLICY_CELLS_MAX])
{
	unsigned n = 0;

	for (unsigned i = 0; i < POLICY_CELLS_MAX; i++) {
		unsigned at = n;

		if (!p->cells[i].used || p->cells[i].state != POLICY_CELL_UP)
			continue;
		for (; at > 0 && before(&p->cells[i], &p->cells[slots[at - 1]]); at--)
			slots[at] = slots[at - 1];
		slots[at] = (uint8_t)i;
		n++;
	}
	return n;
}

/* The first k cells with room for the share, if their CPUs suffice. */
static bool fit(const struct policy *p, const struct policy_spec *spec, const uint8_t *slots,
		unsigned n, unsigned k, struct policy_plan *plan)
{
	uint64_t cpus = 0;

	plan->share = policy_share(spec->memory, k);
	plan->n = 0;
	for (unsigned i = 0; i < n && plan->n < k; i++) {
		const struct policy_cell *cell = &p->cells[slots[i]];

		if (free_memory(cell) < plan->share)
			continue;
		cpus += free_cpus(cell);
		plan->cell[plan->n++] = slots[i];
	}
	return plan->n == k && cpus >= spec->vcpus;
}

/* Deals vCPUs one by one to the cell with the most CPUs left, then numbers them cell by cell. */
static void deal(const struct policy *p, uint32_t vcpus, struct policy_plan *plan)
{
	uint32_t dealt[POLICY_MEMBERS_MAX] = {0};
	unsigned next = 0;

	for (uint32_t v = 0; v < vcpus; v++) {
		unsigned best = 0;
		uint32_t left = 0;

		for (unsigned i = 0; i < plan->n; i++) {
			uint32_t here = free_cpus(&p->cells[plan->cell[i]]) - dealt[i];

			if (here > left) {
				left = here;
				best = i;
			}
		}
		dealt[best]++;
	}
	for (unsigned i = 0; i < plan->n; i++) {
		plan->vcpus[i] = 0;
		for (uint32_t v = 0; v < dealt[i]; v++)
			plan->vcpus[i] |= 1ull << next++;
	}
}

static int refuse_auto(const struct policy *p, const struct policy_spec *spec, const uint8_t *slots,
		       unsigned n, struct err *e)
{
	uint64_t cpus = 0, memory = 0, most_memory = 0;

	if (!n)
		return err_set(e, ERR_NOSPACE, "%s needs %u vCPU%s and %llu MiB; no cell is up",
			       spec->name, spec->vcpus, spec->vcpus == 1 ? "" : "s",
			       (unsigned long long)mib(spec->memory));
	for (unsigned i = 0; i < n; i++) {
		const struct policy_cell *cell = &p->cells[slots[i]];

		cpus += free_cpus(cell);
		memory += free_memory(cell);
		if (free_memory(cell) > most_memory)
			most_memory = free_memory(cell);
	}
	return err_set(e, ERR_NOSPACE,
		       "%s needs %u vCPU%s and %llu MiB; %u cell%s up with %llu CPUs and %llu MiB "
		       "free, the "
		       "largest with %u CPUs, %llu MiB",
		       spec->name, spec->vcpus, spec->vcpus == 1 ? "" : "s",
		       (unsigned long long)mib(spec->memory), n, n == 1 ? " is" : "s are",
		       (unsigned long long)cpus, (unsigned long long)mib(memory),
		       free_cpus(&p->cells[slots[0]]), (unsigned long long)mib(most_memory));
}

static int place_freely(const struct policy *p, const struct policy_spec *spec,
			struct policy_plan *plan, struct err *e)
{
	uint8_t slots[POLICY_CELLS_MAX];
	unsigned n = rank_cells(p, slots);

	for (unsigned k = 1; k <= n; k++)
		if (fit(p, spec, slots, n, k, plan)) {
			deal(p, spec->vcpus, plan);
			return ERR_OK;
		}
	return refuse_auto(p, spec, slots, n, e);
}

/* The vCPUs one place lists, as a mask; `taken` are those listed before. */
static int list_vcpus(const struct policy_spec *spec, const struct policy_place *place,
		      uint64_t taken, uint64_t *out, struct err *e)
{
	uint64_t mask = 0;

	for (size_t i = 0; i < place->n; i++) {
		uint32_t v = place->vcpus[i];

		if (v >= spec->vcpus)
			return err_set(e, ERR_INVALID,
				       "placement on %s names vCPU %u; %s has vCPUs 0 to %u",
				       place->cell, v, spec->name, spec->vcpus - 1);
		if ((taken | mask) & 1ull << v)
			return err_set(e, ERR_INVALID, "placement names vCPU %u twice", v);
		mask |= 1ull << v;
	}
	*out = mask;
	return ERR_OK;
}

static int check_room(const struct policy *p, const struct policy_plan *plan, struct err *e)
{
	for (unsigned i = 0; i < plan->n; i++) {
		const struct policy_cell *cell = &p->cells[plan->cell[i]];
		unsigned vcpus = (unsigned)__builtin_popcountll(plan->vcpus[i]);

		if (vcpus > free_cpus(cell) || plan->share > free_memory(cell))
			return err_set(e, ERR_NOSPACE,
				       "%s would have to give %u CPUs and %llu MiB; it has %u CPUs "
				       "and %llu "
				       "MiB free",
				       cell->name, vcpus, (unsigned long long)mib(plan->share),
				       free_cpus(cell), (unsigned long long)mib(free_memory(cell)));
	}
	return ERR_OK;
}

static int add_place(const struct policy *p, const struct policy_spec *spec,
		     const struct policy_place *place, uint64_t taken, struct policy_plan *plan,
		     struct err *e)
{
	const struct policy_cell *cell = policy_cell_named(p, place->cell);
	unsigned slot;

	if (!cell)
		return err_set(e, ERR_NOTFOUND, "there is no cell named %.*s", CELL_NAME_MAX,
			       place->cell);
	if (cell->state != POLICY_CELL_UP)
		return err_set(e, ERR_UNREACHABLE, "%s is lost", cell->name);
	slot = policy_cell_slot(p, cell);
	for (unsigned i = 0; i < plan->n; i++)
		if (plan->cell[i] == slot)
			return err_set(e, ERR_INVALID, "placement names %s twice", cell->name);
	plan->cell[plan->n] = (uint8_t)slot;
	return list_vcpus(spec, place, taken, &plan->vcpus[plan->n++], e);
}

static int place_as_told(const struct policy *p, const struct policy_spec *spec,
			 struct policy_plan *plan, struct err *e)
{
	uint64_t all = spec->vcpus == 64 ? ~0ull : (1ull << spec->vcpus) - 1, taken = 0;
	int ret;

	if (spec->n_places > POLICY_MEMBERS_MAX)
		return err_set(e, ERR_INVALID, "placement names %zu cells; at most %d are possible",
			       spec->n_places, POLICY_MEMBERS_MAX);
	plan->n = 0;
	plan->share = policy_share(spec->memory, (unsigned)spec->n_places);
	for (size_t i = 0; i < spec->n_places; i++) {
		ret = add_place(p, spec, &spec->places[i], taken, plan, e);
		if (ret)
			return ret;
		taken |= plan->vcpus[i];
	}
	if (taken != all)
		return err_set(e, ERR_INVALID, "placement leaves out vCPU %d",
			       __builtin_ctzll(all & ~taken));
	return check_room(p, plan, e);
}

static int check_spec(const struct policy_spec *spec, struct err *e)
{
	if (!name_valid(spec->name))
		return err_set(
			e, ERR_INVALID,
			"a VM's name is 1 to %d characters of A-Z a-z 0-9 . _ -, not . or - first",
			CELL_NAME_MAX - 1);
	if (spec->vcpus < 1 || spec->vcpus > POLICY_VCPUS_MAX)
		return err_set(e, ERR_INVALID, "%s has %u vCPUs; 1 to %d are possible", spec->name,
			       spec->vcpus, POLICY_VCPUS_MAX);
	if (!spec->memory || spec->memory % POLICY_MEMORY_UNIT || spec->memory > POLICY_MEMORY_MAX)
		return err_set(
			e, ERR_INVALID,
			"memory of %s is %llu bytes; it must be a multiple of 2 MiB, at most %llu "
			"TiB",
			spec->name, (unsigned long long)spec->memory,
			(unsigned long long)(POLICY_MEMORY_MAX >> 40));
	return ERR_OK;
}

int policy_place(const struct policy *p, const struct policy_spec *spec, struct policy_plan *plan,
		 struct err *e)
{
	int ret = check_spec(spec, e);

	if (ret)
		return ret;
	return spec->n_places ? place_as_told(p, spec, plan, e) : place_freely(p, spec, plan, e);
}
