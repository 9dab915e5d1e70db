/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/report.h"

#include <inttypes.h>
#include <stdio.h>

static const char *const fault_names[] = {
#define X(name, word, text) #word,
	SIM_FAULTS(X)
#undef X
};

/* On stderr, so that JSON on stdout stays JSON. The transcript is shown of the first one only. */
void report_failure(struct report *r, const struct rack *rack)
{
	const struct failure *f = &rack->failure;
	if (r->violations < REPORT_FAILURES_MAX)
		r->failures[r->violations] = *f;
	if (!r->violations++)
		transcript_show_last(&rack->transcript, stderr);
	fprintf(stderr, "seed %" PRIu64 ", step %" PRIu64 ", page %d: %s violated: %s\n", f->seed,
		f->step, f->page, f->invariant, f->text);
}

static uint64_t injected(const struct figures *f)
{
	uint64_t sum = 0;
	for (unsigned i = 0; i < SIM_FAULT_KINDS; i++)
		sum += f->done[i];
	return sum;
}

static double per_cent(uint64_t part, uint64_t whole)
{
	return whole ? 100.0 * (double)part / (double)whole : 0;
}

static double rate(const struct report *r, const struct figures *f)
{
	return r->cpu_seconds > 0 ? (double)f->steps / r->cpu_seconds : 0;
}

enum { COLLIDED_PER_CENT_MIN = 30, STEPS_PER_FAULT_MAX = 20 };

void report_floors(struct report *r, const struct rack *rack)
{
	const struct figures *f = &rack->figures;
	if (per_cent(f->collided, f->requests) >= COLLIDED_PER_CENT_MIN &&
	    f->page_faults * STEPS_PER_FAULT_MAX >= f->steps)
		return;
	fprintf(stderr,
		"too little happened: %.1f %% of the requests collided, one fault in %.1f steps\n",
		per_cent(f->collided, f->requests),
		f->page_faults ? (double)f->steps / (double)f->page_faults : 0);
	if (r->violations < REPORT_FAILURES_MAX)
		r->failures[r->violations] = (struct failure){.set = true,
							      .invariant = "floors",
							      .page = -1,
							      .text = "too little happened"};
	r->violations++;
}

/* The sentences hold no character that JSON would want escaped: they are made of our own words and
 * numbers. */
static void print_json(const struct report *r, const struct rack *rack)
{
	const struct figures *f = &rack->figures;
	printf("{\"members\": %u, \"pages\": %u, \"seeds\": %" PRIu64 ", \"steps\": %" PRIu64
	       ", \"faults_done\": %" PRIu64 ", \"violations\": %" PRIu64 ", \"seconds\": %.3f",
	       rack->options.members, rack->options.pages, r->seeds, f->steps, f->page_faults,
	       r->violations, r->seconds);
	printf(", \"steps_per_second\": %.0f, \"injected\": %" PRIu64 ", \"retries\": %" PRIu64
	       ", \"requests\": %" PRIu64 ", \"collided\": %" PRIu64 ", \"held_back\": %" PRIu64
	       ", \"reads\": %" PRIu64 ", \"writes\": %" PRIu64 ", \"acquires\": %" PRIu64,
	       rate(r, f), injected(f), f->retries, f->requests, f->collided, f->held_back,
	       f->reads, f->writes, f->acquires);
	printf(", \"lives\": %" PRIu64 ", \"lives_after_loss\": %" PRIu64 ", \"zombies\": %" PRIu64
	       ", \"steps_after_loss\": %" PRIu64,
	       f->worlds, f->again, f->zombies, f->steps_after_loss);
	printf(", \"hostile\": %" PRIu64 ", \"injected_by_kind\": {", f->hostile);
	for (unsigned i = 0; i < SIM_FAULT_KINDS; i++)
		printf("%s\"%s\": %" PRIu64, i ? ", " : "", fault_names[i], f->done[i]);
	printf("}, \"failures\": [");
	for (uint64_t i = 0; i < r->violations && i < REPORT_FAILURES_MAX; i++)
		printf("%s{\"seed\": %" PRIu64 ", \"step\": %" PRIu64
		       ", \"invariant\": \"%s\", \"page\": %d, \"text\": \"%s\"}",
		       i ? ", " : "", r->failures[i].seed, r->failures[i].step,
		       r->failures[i].invariant, r->failures[i].page, r->failures[i].text);
	puts("]}");
}

static void print_text(const struct report *r, const struct rack *rack)
{
	const struct figures *f = &rack->figures;
	printf("%" PRIu64 " seeds, %" PRIu64 " steps, %" PRIu64 " faults done, %" PRIu64
	       " violations, %.2f s (%.0f steps a second of processor time)\n",
	       r->seeds, f->steps, f->page_faults, r->violations, r->seconds, rate(r, f));
	printf("%u members, %u pages: %" PRIu64 " troubles injected, longest wait %.3f ms, %" PRIu64
	       " retries (at most %" PRIu64 " of one instruction), %" PRIu64 " reads, %" PRIu64
	       " writes, %" PRIu64 " acquires\n%" PRIu64 " instructions, %" PRIu64
	       " of several pages; the longest took %.3f ms\n",
	       rack->options.members, rack->options.pages, injected(f), (double)f->wait_max / 1e6,
	       f->retries, f->retries_max, f->reads, f->writes, f->acquires, f->instructions,
	       f->sets, (double)f->retire_max / 1e6);
	printf("%" PRIu64 " requests, %.0f %% collided at home; %" PRIu64 " held back; %" PRIu64
	       " overtaken messages; longest queue of a link %u;",
	       f->requests, per_cent(f->collided, f->requests), f->held_back, f->stale_version,
	       rack->longest);
	for (unsigned i = 0; i < SIM_FAULT_KINDS; i++)
		printf(" %s %" PRIu64 "%s", fault_names[i], f->done[i],
		       i + 1 < SIM_FAULT_KINDS ? "," : "\n");
	printf("%" PRIu64 " lives of spaces, %" PRIu64 " of them after a loss; %" PRIu64
	       " messages between one life and another; %" PRIu64
	       " steps in spaces a loss elsewhere did not concern\n%" PRIu64
	       " hostile messages tried; %" PRIu64 " losses while somebody left or came\n",
	       f->worlds, f->again, f->zombies, f->steps_after_loss, f->hostile,
	       f->losses_in_change);
}

void report_print(const struct report *r, const struct rack *rack)
{
	if (rack->options.json)
		print_json(r, rack);
	else
		print_text(r, rack);
}
