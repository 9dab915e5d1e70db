/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/err.h"
#include "proto/ids.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { SCALE_DEFAULT = 10 };
#else
enum { SCALE_DEFAULT = 100 };
#endif

enum {
	OPT_MEMBERS = 256,
	OPT_PAGES,
	OPT_STEPS,
	OPT_SEEDS,
	OPT_FAULTS,
	OPT_BUG,
	OPT_HOLD,
	OPT_TRACE,
	OPT_EXHAUST,
	OPT_LOSSES,
	OPT_ACQUIRES,
	OPT_MOVES,
	OPT_WHOLE,
	OPT_LEAVES,
	OPT_JOINS,
	OPT_MEMORY,
	OPT_SAME_HOME,
	OPT_SETS,
	OPT_LATE,
	OPT_CHECK_REDUCTIONS
};

static const char *const fault_names[] = {
#define X(name, word, text) #word,
	SIM_FAULTS(X)
#undef X
};

void options_usage(void)
{
	puts("usage: cellsim [OPTION]...\n"
	     "       cellsim --replay FILE...  (flight recordings; --replay alone tells more)\n"
	     "Runs the coherence core of a whole rack in one thread and checks it after every "
	     "step.\n\n"
	     "  --members N     members of the space, 1..64 (4)\n"
	     "  --pages P       pages used, 1..1024 (16)\n"
	     "  --steps S       messages and faults given to cores, a seed (20000)\n"
	     "  --seeds A-B     seeds to run (1-100)\n"
	     "  --faults LIST   all, none, or some of the following, with commas (all)");
#define X(name, word, text) printf("                  %-8s %s\n", #word, text);
	SIM_FAULTS(X)
#undef X
	puts("  --hold-us N     hold time (each seed draws its own)\n"
	     "  --bug NAME      switch a planted bug on\n"
	     "  --list-bugs     print the planted bugs and end\n"
	     "  --check-bugs    each planted bug must be found within the seeds\n"
	     "  --check-replay  run each seed twice: the transcripts must be the same\n"
	     "  --trace SEED    print the whole transcript of one seed\n"
	     "  --floors        30 % of the requests must collide, one fault be done in 20 steps\n"
	     "  --path          hops of a write fault for 1 .. 63 sharers, messages of a fault "
	     "among 8 .. 64\n"
	     "                  members: must be the same\n"
	     "  --first         end at the first violation\n"
	     "  --scaled        scale seeds by $CELLULAR_TEST_SCALE percent (100; 10 under "
	     "sanitizers)\n"
	     "  --json          figures as JSON\n"
	     "  --exhaust       instead of seeds: every state that can be reached\n"
	     "  --losses N      exhaust: members that may be lost (0)\n"
	     "  --acquires N    exhaust: devices that may acquire all pages at a time (0)\n"
	     "  --moves N       exhaust: how often the home of each chunk may move (0), or any\n"
	     "  --leaves N      exhaust: members that may leave (0)\n"
	     "  --joins N       exhaust: of the members, those that come later (0)\n"
	     "  --whole         exhaust: chunks that only their home uses are whole\n"
	     "  --sets K        exhaust: instructions write K pages at once, in bounded time\n"
	     "  --late N        exhaust: ... and a woken thread comes N patiences late (0)\n"
	     "  --same-home     exhaust: two pages have one home\n"
	     "  --memory-mib N  exhaust: most memory for states (2048)\n"
	     "  --check-reductions  exhaust: step every state with and without reductions\n"
	     "Ends with 0 (clean), 1 (an invariant was violated), 2 (usage) or 3 (--exhaust came "
	     "to "
	     "its\nbound of memory: not exhaustive).");
}

static int bad(const char *option, const char *value)
{
	fprintf(stderr, "cellsim: --%s: '%s' is out of range\n", option, value);
	return ERR_INVALID;
}

static bool number_until(const char *text, char stop, uint64_t low, uint64_t high, uint64_t *out)
{
	char *end;
	errno = 0;
	if (*text < '0' || *text > '9')
		return false;
	*out = strtoull(text, &end, 10);
	return !errno && *end == stop && *out >= low && *out <= high;
}

static bool number(const char *text, uint64_t low, uint64_t high, uint64_t *out)
{
	return number_until(text, '\0', low, high, out);
}

/* "A-B", or "A" alone. */
static bool seeds(const char *text, struct options *out)
{
	const char *dash = strchr(text, '-');
	return number_until(text, dash ? '-' : '\0', 0, UINT64_MAX - 1, &out->seed_first) &&
	       number(dash ? dash + 1 : text, out->seed_first, UINT64_MAX - 1, &out->seed_last);
}

static unsigned fault_bits(const char *word, size_t length)
{
	for (unsigned i = 0; i < SIM_FAULT_KINDS; i++)
		if (strlen(fault_names[i]) == length && !strncmp(word, fault_names[i], length))
			return 1u << i;
	return length == 3 && !strncmp(word, "all", length) ? SIM_FAULTS_ALL : 0;
}

static bool faults(const char *text, unsigned *out)
{
	*out = 0;
	if (!strcmp(text, "none"))
		return true;
	for (;;) {
		const size_t length = strcspn(text, ",");
		const unsigned bits = fault_bits(text, length);
		if (!bits)
			return false;
		*out |= bits;
		if (!text[length])
			return true;
		text += length + 1;
	}
}

static int take(struct options *out, int option, const char *name, char *value)
{
	uint64_t n = 0;
	bool good = true;
	switch (option) {
	case OPT_MEMBERS:
		good = number(value, 1, DSM_MEMBERS_MAX, &n);
		out->members = (unsigned)n;
		break;
	case OPT_PAGES:
		good = number(value, 1, SIM_PAGES_MAX, &n);
		out->pages = (unsigned)n;
		break;
	case OPT_STEPS:
		good = number(value, 1, 1000000000000, &out->steps);
		break;
	case OPT_SEEDS:
		good = seeds(value, out);
		break;
	case OPT_FAULTS:
		good = faults(value, &out->faults);
		break;
	case OPT_BUG:
		out->bug = value;
		break;
	case OPT_HOLD:
		good = number(value, 0, 1000000, &n);
		out->hold_us = (int64_t)n;
		break;
	case OPT_LOSSES:
		good = number(value, 0, DSM_MEMBERS_MAX, &n);
		out->losses = (unsigned)n;
		break;
	case OPT_ACQUIRES:
		good = number(value, 0, DSM_MEMBERS_MAX, &n);
		out->acquires = (unsigned)n;
		break;
	case OPT_MOVES:
		good = !strcmp(value, "any") || number(value, 0, 100, &n);
		out->moves = !strcmp(value, "any") ? OPTIONS_ANY : (unsigned)n;
		break;
	case OPT_LEAVES:
		good = number(value, 0, DSM_MEMBERS_MAX, &n);
		out->leaves = (unsigned)n;
		break;
	case OPT_JOINS:
		good = number(value, 0, DSM_MEMBERS_MAX, &n);
		out->joins = (unsigned)n;
		break;
	case OPT_SETS:
		good = number(value, 2, 16, &n);
		out->sets = (unsigned)n;
		break;
	case OPT_LATE:
		good = number(value, 0, 16, &n);
		out->late = (unsigned)n;
		break;
	case OPT_MEMORY:
		good = number(value, 1, 1 << 20, &n);
		out->memory_mib = (unsigned)n;
		break;
	case OPT_TRACE:
		good = number(value, 0, UINT64_MAX - 1, &out->trace_seed);
		out->trace = true;
		break;
	}
	return good ? 0 : bad(name, value);
}

/* CELLULAR_TEST_SCALE: percent of the seeds to run, at least one. */
static int scale(struct options *out)
{
	const char *text = getenv("CELLULAR_TEST_SCALE");
	uint64_t percent = SCALE_DEFAULT;
	if (text && *text && !number(text, 1, 100000, &percent)) {
		fprintf(stderr, "cellsim: CELLULAR_TEST_SCALE: '%s' is no percentage\n", text);
		return ERR_INVALID;
	}
	uint64_t n = (out->seed_last - out->seed_first + 1) * percent / 100;
	out->seed_last = out->seed_first + (n ? n : 1) - 1;
	return 0;
}

int options_parse(struct options *out, int argc, char **argv)
{
	static int flag;
	static const struct option table[] = {
		{"members", required_argument, NULL, OPT_MEMBERS},
		{"pages", required_argument, NULL, OPT_PAGES},
		{"steps", required_argument, NULL, OPT_STEPS},
		{"seeds", required_argument, NULL, OPT_SEEDS},
		{"faults", required_argument, NULL, OPT_FAULTS},
		{"bug", required_argument, NULL, OPT_BUG},
		{"hold-us", required_argument, NULL, OPT_HOLD},
		{"trace", required_argument, NULL, OPT_TRACE},
		{"exhaust", no_argument, NULL, OPT_EXHAUST},
		{"losses", required_argument, NULL, OPT_LOSSES},
		{"acquires", required_argument, NULL, OPT_ACQUIRES},
		{"moves", required_argument, NULL, OPT_MOVES},
		{"whole", no_argument, NULL, OPT_WHOLE},
		{"leaves", required_argument, NULL, OPT_LEAVES},
		{"joins", required_argument, NULL, OPT_JOINS},
		{"memory-mib", required_argument, NULL, OPT_MEMORY},
		{"sets", required_argument, NULL, OPT_SETS},
		{"late", required_argument, NULL, OPT_LATE},
		{"same-home", no_argument, NULL, OPT_SAME_HOME},
		{"check-reductions", no_argument, NULL, OPT_CHECK_REDUCTIONS},
		{"list-bugs", no_argument, NULL, 'l'},
		{"check-bugs", no_argument, NULL, 'b'},
		{"check-replay", no_argument, NULL, 'r'},
		{"scaled", no_argument, NULL, 's'},
		{"first", no_argument, NULL, 'f'},
		{"floors", no_argument, NULL, 'o'},
		{"path", no_argument, NULL, 'p'},
		{"json", no_argument, NULL, 'j'},
		{"help", no_argument, NULL, 'h'},
		{0},
	};
	*out = (struct options){.steps = 20000,
				.seed_first = 1,
				.seed_last = 100,
				.faults = SIM_FAULTS_ALL,
				.hold_us = -1,
				.memory_mib = 2048};
	int option, status = 0;
	while (!status && (option = getopt_long(argc, argv, "h", table, &flag)) != -1) {
		switch (option) {
		case '?':
			return ERR_INVALID;
		case 'l':
			out->list_bugs = true;
			break;
		case 'b':
			out->check_bugs = true;
			break;
		case 'r':
			out->check_replay = true;
			break;
		case 'o':
			out->floors = true;
			break;
		case 'p':
			out->path = true;
			break;
		case 'f':
			out->first_only = true;
			break;
		case 's':
			out->scaled = true;
			break;
		case 'j':
			out->json = true;
			break;
		case OPT_EXHAUST:
			out->exhaust = true;
			break;
		case OPT_SAME_HOME:
			out->same_home = true;
			break;
		case OPT_WHOLE:
			out->whole = true;
			break;
		case OPT_CHECK_REDUCTIONS:
			out->check_reductions = true;
			break;
		case 'h':
			out->help = true;
			break;
		default:
			status = take(out, option, table[flag].name, optarg);
		}
	}
	if (!out->members)
		out->members = out->exhaust ? 3 : 4;
	if (!out->pages)
		out->pages = out->exhaust ? 1 : 16;
	if (!status && optind < argc) {
		fprintf(stderr, "cellsim: '%s' is no option (--help)\n", argv[optind]);
		return ERR_INVALID;
	}
	return status ? status : out->scaled ? scale(out) : 0;
}
