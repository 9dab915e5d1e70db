/* SPDX-License-Identifier: Apache-2.0 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/bench.h"
#include "tests/bench/help.h"

enum { SKIPPED = 77 };

static const struct bench *const groups[] = {benches,	     sync_benches, hammer_benches,
					     jacobi_benches, vcpu_benches, NULL};

static const struct bench *find(const char *name)
{
	for (unsigned g = 0; groups[g]; g++)
		for (const struct bench *b = groups[g]; b->name; b++)
			if (!strcmp(b->name, name))
				return b;
	return NULL;
}

/* A number of [least, most], or 2 for usage after a sentence. */
static int number(const char *option, const char *text, unsigned least, unsigned most,
		  unsigned *out)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (*text < '0' || *text > '9' || *end || n < least || n > most) {
		fprintf(stderr, "cellbench: --%s wants a number from %u to %u, not '%s'\n", option,
			least, most, text);
		return 2;
	}
	*out = (unsigned)n;
	return 0;
}

static int handler(const char *text, bool *is_inline)
{
	*is_inline = !strcmp(text, "inline");
	if (*is_inline || !strcmp(text, "thread"))
		return 0;
	fprintf(stderr, "cellbench: --handler wants thread or inline, not '%s'\n", text);
	return 2;
}

static int transport(const char *text)
{
	if (!strcmp(text, "tcp"))
		return 0;
	fprintf(stderr, "cellbench: --transport wants tcp, there is no '%s' here\n", text);
	return 2;
}

static int parse(int argc, char **argv, struct bench_options *o)
{
	static const struct option options[] = {
		{"members", required_argument, NULL, 'm'},
		{"pairs", required_argument, NULL, 'p'},
		{"rounds", required_argument, NULL, 'r'},
		{"shards", required_argument, NULL, 's'},
		{"size", required_argument, NULL, 'z'},
		{"transport", required_argument, NULL, 't'},
		{"json", no_argument, NULL, 'j'},
		{"handler", required_argument, NULL, 'H'},
		{"help", no_argument, NULL, 'h'},
		{0},
	};
	int c, rc = 0;

	while (!rc && (c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (c) {
		case 'm':
			rc = number("members", optarg, 2, BENCH_MEMBERS_MAX, &o->members);
			break;
		case 'p':
			rc = number("pairs", optarg, 5, BENCH_PAIRS_MAX, &o->pairs);
			break;
		case 'r':
			rc = number("rounds", optarg, 10, BENCH_ROUNDS_MAX, &o->rounds);
			break;
		case 's':
			rc = number("shards", optarg, 1, BENCH_SPACES_MAX, &o->shards);
			break;
		case 'z':
			rc = number("size", optarg, 16, 8192, &o->size);
			break;
		case 't':
			rc = transport(optarg);
			break;
		case 'H':
			rc = handler(optarg, &o->inline_faults);
			break;
		case 'j':
			o->json = true;
			break;
		case 'h':
			help_print(groups);
			exit(0);
		default:
			fputs("see cellbench --help\n", stderr);
			rc = 2;
		}
	}
	return rc;
}

/* Why this bench does not go with these options, or NULL. */
static const char *refusal(const struct bench *b, const struct bench_options *o)
{
	if (o->members && o->members < b->members)
		return "wants at least three members";
	if (o->shards > 1 && !b->sharded)
		return "has pages of one space: --shards goes with random";
	if (o->inline_faults && b->vcpu)
		return "has the faults of a virtual CPU, which a thread serves: not --handler "
		       "inline";
	return NULL;
}

/* Once, or once for each of its sizes. */
static int run_sizes(const struct bench *b, const struct bench_options *o)
{
	int rc = 0;

	if (!b->sizes[0])
		return bench_run(b, o);
	for (unsigned i = 0; i < BENCH_SIZES && !rc && !(i && o->size); i++) {
		struct bench one = *b;
		char name[32];

		one.size = o->size ? o->size : b->sizes[i];
		snprintf(name, sizeof(name), "%s-%u", b->name, one.size);
		one.name = name;
		rc = bench_run(&one, o);
	}
	return rc;
}

/* What does not go with the options is left out; so is what needs KVM where there is none. */
static int run_all(const struct bench_options *o)
{
	int rc = 0;

	for (unsigned g = 0; groups[g]; g++)
		for (const struct bench *b = groups[g]; b->name && !rc; b++) {
			if (!refusal(b, o))
				rc = run_sizes(b, o);
			if (rc == SKIPPED && b->vcpu)
				rc = 0;
		}
	return rc;
}

static int run_floor(const struct bench_options *o)
{
	if (o->shards == 1)
		return bench_floor(o);
	fputs("cellbench: floor is told of one space: --shards goes with random\n", stderr);
	return 2;
}

static int run_named(const char *name, const struct bench_options *o)
{
	const struct bench *b = find(name);
	const char *why;

	if (!strcmp(name, "floor"))
		return run_floor(o);
	if (!strcmp(name, "all"))
		return run_all(o);
	if (!b) {
		fprintf(stderr, "cellbench: there is no bench '%s'; see cellbench --help\n", name);
		return 2;
	}
	why = refusal(b, o);
	if (why) {
		fprintf(stderr, "cellbench: %s %s\n", name, why);
		return 2;
	}
	return run_sizes(b, o);
}

int main(int argc, char **argv)
{
	struct bench_options o = {.pairs = 7, .shards = 1};
	int rc = parse(argc, argv, &o);

	if (!rc && optind == argc) {
		fputs("cellbench: which bench? See cellbench --help\n", stderr);
		rc = 2;
	}
	for (int i = optind; i < argc && !rc; i++)
		rc = run_named(argv[i], &o);
	return rc;
}
