/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cellbench floor: what the parts cost on this machine, each alone, and what a space costs that
 * nobody uses: memory a page, threads, time of a sleeping member.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "tests/bench/bench.h"
#include "tests/bench/floor.h"
#include "tests/bench/memory.h"
#include "tests/bench/samples.h"
#include "tests/bench/team.h"

enum { IDLE_S = 2, STREAM_BYTES = 64 << 20 };

static void say(const struct seat *s, const char *what, double value, const char *unit)
{
	if (s->options->json) {
		json_t *o = json_pack("{s:s, s:s, s:f, s:s}", "bench", "floor", "part", what,
				      "value", value, "unit", unit);
		char *text = o ? json_dumps(o, JSON_COMPACT | JSON_REAL_PRECISION(5)) : NULL;

		if (text)
			puts(text);
		free(text);
		json_decref(o);
	} else {
		printf("%-66s %10.2f %s\n", what, value, unit);
	}
}

/* ---- parts ---- */

static void faults(struct seat *s, enum floor_handler handler, const char *what)
{
	static uint64_t ns[BENCH_ROUNDS_MAX];
	struct floor_faults *f;

	if (s->self)
		return;
	if (floor_faults_open(handler, team_core(1), s->rounds, &f) ||
	    floor_faults_run(f, ns, s->rounds))
		team_fail(s, "%s: %m", what);
	floor_faults_close(f);
	say(s, what, samples_quantile(ns, s->rounds, 0.5) / 1000, "us");
}

static void exchange(struct seat *s, size_t reply, const char *what)
{
	static uint64_t ns[BENCH_ROUNDS_MAX];
	int rc = 0;

	team_meet(s);
	if (s->self == 0)
		rc = floor_call(s->link, FLOOR_ASK, reply, ns, s->rounds);
	else if (s->self == 1)
		rc = floor_answer(s->link, FLOOR_ASK, reply, s->rounds);
	if (rc)
		team_fail(s, "%s: %m", what);
	team_meet(s);
	if (s->self == 0)
		say(s, what, samples_quantile(ns, s->rounds, 0.5) / 1000, "us");
}

static void stream(struct seat *s)
{
	uint64_t ns = 1;
	int rc = 0;

	team_meet(s);
	if (s->self == 0)
		rc = floor_stream_take(s->link, STREAM_BYTES, &ns);
	else if (s->self == 1)
		rc = floor_stream_send(s->link, STREAM_BYTES);
	if (rc)
		team_fail(s, "stream: %m");
	if (s->self == 0)
		say(s, "TCP stream, pieces of 1 MiB",
		    (double)STREAM_BYTES / (1 << 20) / ((double)ns / 1e9), "MiB/s");
}

/* ---- a space ---- */

static double cpu_s(void)
{
	struct rusage use;

	getrusage(RUSAGE_SELF, &use);
	return (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) +
	       (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1e6;
}

static double threads(void)
{
	char line[128];
	unsigned n = 0;
	FILE *f = fopen("/proc/self/status", "r");

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "Threads: %u", &n) == 1)
			break;
	if (f)
		fclose(f);
	return n;
}

static void idle(struct seat *s)
{
	double began;

	team_meet(s);
	began = cpu_s();
	sleep(IDLE_S);
	if (s->self)
		return;
	say(s, "time a member uses that sleeps", (cpu_s() - began) / IDLE_S * 100, "% of a core");
	say(s, "threads of a member, its own one aside", threads() - 1, "");
}

static void body(struct seat *s)
{
	memory_tell(s, say); /* first: nothing was touched yet */
	idle(s);
	faults(s, FLOOR_THREAD, "fault, handler thread sleeps on the same core");
	if (team_cores() > 1) {
		faults(s, FLOOR_THREAD_ACROSS, "fault, handler thread sleeps on another core");
		faults(s, FLOOR_THREAD_SPINS, "fault, handler thread never sleeps, another core");
	}
	faults(s, FLOOR_INLINE, "fault, handled by the faulting thread (SIGBUS)");
	exchange(s, FLOOR_ASK, "64 B for 64 B over TCP, both ends awake");
	exchange(s, FLOOR_REPLY, "64 B for 4 KiB over TCP, both ends awake");
	stream(s);
}

int bench_floor(const struct bench_options *o)
{
	static const struct bench floor_bench = {
		.name = "floor", .members = 2, .rounds = 2000, .pages = memory_pages};
	struct board *board;

	return team_run(&floor_bench, o, body, &board);
}
