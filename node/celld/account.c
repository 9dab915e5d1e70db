/* SPDX-License-Identifier: Apache-2.0 */
#include "node/celld/account.h"

#include <assert.h>
#include <sched.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "proto/base/size.h"
#include "proto/ids.h"

enum { DEFAULT_PERCENT = 80 };

static const uint64_t chunk = (uint64_t)DSM_CHUNK_PAGES * DSM_PAGE_SIZE;

void account_default(struct account *a)
{
	struct sysinfo info;
	cpu_set_t set;

	*a = (struct account){.cpus = 1};
	if (sysinfo(&info) == 0)
		a->memory = (uint64_t)info.totalram * info.mem_unit / 100 * DEFAULT_PERCENT /
			    chunk * chunk;
	if (sched_getaffinity(0, sizeof(set), &set) == 0)
		a->cpus = (uint32_t)CPU_COUNT(&set);
}

uint64_t account_share(uint64_t memory, uint32_t members)
{
	uint64_t chunks = memory / chunk + (memory % chunk != 0);

	assert(members > 0);
	return (chunks / members + (chunks % members != 0)) * chunk;
}

int account_take(struct account *a, uint64_t memory, uint32_t vcpus, struct err *e)
{
	char wanted[SIZE_TEXT_MAX], left[SIZE_TEXT_MAX];

	if (memory > a->memory - a->memory_used)
		return err_set(e, ERR_NOSPACE, "%s of memory are wanted, %s are free",
			       size_format(memory, wanted),
			       size_format(a->memory - a->memory_used, left));
	if (vcpus > a->cpus - a->vcpus)
		return err_set(e, ERR_NOSPACE, "%u CPUs are wanted, %u are free", vcpus,
			       a->cpus - a->vcpus);
	a->memory_used += memory;
	a->vcpus += vcpus;
	return ERR_OK;
}

void account_give_back(struct account *a, uint64_t memory, uint32_t vcpus)
{
	assert(memory <= a->memory_used && vcpus <= a->vcpus);
	a->memory_used -= memory;
	a->vcpus -= vcpus;
}
