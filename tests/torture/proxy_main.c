/* SPDX-License-Identifier: Apache-2.0 */
/*
 * usage: torture-proxy TARGET CUT-MS READY-FILE. One link of a bad network to TARGET ("ip:port" or
 * "unix:/path") that breaks every CUT-MS ms, for cluster tests. Writes its address to READY-FILE.
 * On SIGTERM it prints "cuts N connections M" and ends.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "tests/torture/proxy.h"

/* False: the signal came. */
static bool pause_for(uint32_t ms, const sigset_t *signals)
{
	const struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};

	return sigtimedwait(signals, NULL, &t) < 0;
}

static bool write_address(const char *path, const char *address)
{
	FILE *f = fopen(path, "we");
	bool good = f && fprintf(f, "%s\n", address) > 0;

	return (!f || !fclose(f)) && good;
}

int main(int argc, char **argv)
{
	struct proxy_stats stats;
	struct proxy *p;
	sigset_t term;
	struct err e;

	if (argc != 4)
		return 2;
	if (proxy_start(1, (uint64_t)getpid(), &p, &e)) {
		fprintf(stderr, "%s\n", e.text);
		return 1;
	}
	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	sigprocmask(SIG_BLOCK, &term, NULL);
	proxy_target(p, 0, argv[1]);
	if (!write_address(argv[3], proxy_address(p, 0))) {
		perror(argv[3]);
		return 1;
	}
	while (pause_for((uint32_t)strtoul(argv[2], NULL, 10), &term))
		proxy_cut(p, 0);
	proxy_stats(p, 0, &stats);
	printf("cuts %llu connections %llu\n", (unsigned long long)stats.cuts,
	       (unsigned long long)stats.connections);
	proxy_stop(p);
	return 0;
}
