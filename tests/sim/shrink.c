/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/shrink.h"

#include <inttypes.h>

enum { SEEDS_TRIED = 40 };

struct search {
	struct shrunk best;
	uint64_t steps;	    /* spent so far ... */
	uint64_t steps_max; /* ... of these */
	struct rack rack;
};

/* Does any of some seeds fail under these options, earlier than the best one? */
static bool shorter(struct search *s, struct options o)
{
	bool found = false;
	o.steps = s->best.failure.step;
	if (!o.steps)
		return false; /* it fails before it begins */
	rack_init(&s->rack, &o);
	s->rack.steps_max = o.steps; /* what fails later is of no use */
	for (uint64_t seed = 1; seed <= SEEDS_TRIED && s->steps < s->steps_max; seed++) {
		const bool clean = rack_run(&s->rack, seed, TRANSCRIPT_OFF);
		s->steps += s->rack.steps;
		if (clean || s->rack.failure.step >= s->best.failure.step)
			continue;
		s->best.failure = s->rack.failure;
		s->best.options = o;
		found = true;
	}
	rack_free(&s->rack);
	return found;
}

static bool fewer_members(struct search *s)
{
	struct options o = s->best.options;
	bool found = false;
	for (o.members = o.members > 3 ? 3 : o.members - 1; o.members >= 2 && !found; o.members--)
		found = shorter(s, o);
	return found;
}

static bool fewer_pages(struct search *s)
{
	struct options o = s->best.options;
	bool found = false;
	for (o.pages /= 2; o.pages && !found; o.pages /= 2)
		found = shorter(s, o);
	return found;
}

static bool fewer_faults(struct search *s)
{
	bool found = false;
	for (unsigned bit = 1; bit <= SIM_FAULTS_ALL; bit <<= 1) {
		struct options o = s->best.options;
		if (!(o.faults & bit))
			continue;
		o.faults &= ~bit;
		found |= shorter(s, o);
	}
	return found;
}

static void count_lines(struct search *s)
{
	rack_init(&s->rack, &s->best.options);
	rack_run(&s->rack, s->best.failure.seed, TRANSCRIPT_KEEP);
	s->best.lines = s->rack.transcript.lines;
	rack_free(&s->rack);
}

void shrink(struct shrunk *out, const struct options *from, const struct failure *failure,
	    uint64_t steps)
{
	static struct search s;
	s = (struct search){.best = {.options = *from, .failure = *failure}, .steps_max = steps};
	bool found = s.best.failure.step < s.steps_max; /* else one try alone is too long */
	if (found)
		shorter(&s, *from);
	while (found && s.steps < s.steps_max) {
		found = fewer_members(&s);
		found |= fewer_pages(&s);
		found |= fewer_faults(&s);
	}
	count_lines(&s);
	*out = s.best;
}

static void faults_word(unsigned faults, FILE *out)
{
	static const char *const names[] = {
#define X(name, word, text) #word,
		SIM_FAULTS(X)
#undef X
	};
	if (!faults || faults == SIM_FAULTS_ALL) {
		fputs(faults ? "all" : "none", out);
		return;
	}
	for (unsigned i = 0, n = 0; i < SIM_FAULT_KINDS; i++)
		if (faults & 1u << i)
			fprintf(out, "%s%s", n++ ? "," : "", names[i]);
}

void shrink_command(const struct shrunk *s, FILE *out)
{
	const struct options *o = &s->options;
	fprintf(out, "cellsim --members %u --pages %u --steps %" PRIu64 " --faults ", o->members,
		o->pages, o->steps);
	faults_word(o->faults, out);
	if (o->hold_us >= 0)
		fprintf(out, " --hold-us %" PRId64, o->hold_us);
	if (o->bug)
		fprintf(out, " --bug %s", o->bug);
	fprintf(out, " --trace %" PRIu64, s->failure.seed);
}

void shrink_transcript(const struct shrunk *s, FILE *out)
{
	static struct rack rack;
	rack_init(&rack, &s->options);
	rack_run(&rack, s->failure.seed, TRANSCRIPT_KEEP);
	if (rack.transcript.lines > TRANSCRIPT_LINES)
		fputs("...\n", out);
	transcript_show_last(&rack.transcript, out);
	rack_free(&rack);
}
