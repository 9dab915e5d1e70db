/* SPDX-License-Identifier: Apache-2.0 */
/* Every vCPU says hello, in turn. */
#include "node/guest/g.h"

static struct {
	struct g_lock lock;
	uint32_t greeted;
} shared G_PAGE_ALIGNED;

static void greet(unsigned vcpu, void *arg)
{
	const char *whom = arg;

	if (g_self() != vcpu)
		g_panic("vcpu %u takes itself for %u", vcpu, g_self());
	g_lock_take(&shared.lock);
	g_printf("hello %s from vcpu %u of %u\n", whom, vcpu, g_vcpus());
	shared.greeted++;
	g_lock_drop(&shared.lock);
}

int g_main(int argc, char **argv)
{
	g_parallel(greet, argc > 0 ? argv[0] : "world");
	g_printf("result hello greeted=%u\n", shared.greeted);
	return shared.greeted == g_vcpus() ? 0 : 1;
}
