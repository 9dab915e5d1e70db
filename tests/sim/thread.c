/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/thread.h"

#include <inttypes.h>

#include "tests/sim/step.h"
#include "tests/sim/world.h"

uint16_t thread_draw_page(struct world *w)
{
	unsigned pages = w->options->pages;
	if (w->tuning.hot_pages < pages && rng_chance(&w->rng, w->tuning.hot))
		pages = w->tuning.hot_pages;
	return (uint16_t)rng_below(&w->rng, pages);
}

bool thread_may(const struct world *w, unsigned m, uint16_t page, bool write)
{
	const struct frame *f = &w->members[m].memory.frames[page];
	return f->present && (f->writable || !write);
}

void thread_access(struct world *w, unsigned m, uint16_t page, bool write, const char *who)
{
	struct frame *f = &w->members[m].memory.frames[page];
	w->figures->reads++;
	if (f->value != oracle_read(&w->oracle, page))
		world_fail(w, "I3", page,
			   "%s of m%u reads %" PRIu64 ", the last write was %" PRIu64, who, m,
			   f->value, oracle_read(&w->oracle, page));
	if (write) {
		w->figures->writes++;
		f->value = oracle_write(&w->oracle, page);
	}
	w->digest = rng_mix(w->digest ^ f->value ^ (uint64_t)m << 56);
	world_say(w, "%12" PRIu64 "          m%u %s %s p%u: %" PRIu64, w->now, m, who,
		  write ? "writes" : "reads", page, f->value);
}

static void draw_instruction(struct world *w, struct thread *t)
{
	t->n = 1;
	if (rng_chance(&w->rng, w->tuning.sets))
		t->n = (uint8_t)rng_between(&w->rng, 2, w->tuning.set_pages);
	for (unsigned i = 0; i < t->n; i++) {
		t->page[i] = thread_draw_page(w);
		t->write[i] = rng_chance(&w->rng, w->tuning.write);
	}
	t->begun = w->now;
	t->retries = 0;
	t->woken = false;
	t->state = THREAD_TRYING;
}

void thread_start(struct world *w, unsigned m, unsigned index)
{
	clock_push(
		&w->clock,
		(struct clock_event){.time = w->now + rng_below(&w->rng, (uint32_t)w->tuning.think),
				     .kind = CLOCK_THREAD,
				     .member = (uint8_t)m,
				     .index = (uint16_t)index});
}

static void stall(struct world *w, unsigned m, unsigned index, unsigned which)
{
	struct thread *t = &w->members[m].threads[index];
	if (t->woken && t->stalled_on == t->page[which]) {
		w->figures->retries++;
		if (++t->retries > w->figures->retries_max)
			w->figures->retries_max = t->retries;
	}
	t->woken = false;
	t->state = THREAD_STALLED;
	t->stalled_on = t->page[which];
	t->since = w->now;
	clock_push(&w->clock, (struct clock_event){.time = w->now + 500 + rng_below(&w->rng, 2000),
						   .kind = CLOCK_FAULT,
						   .member = (uint8_t)m,
						   .index = (uint16_t)index,
						   .page = t->page[which],
						   .write = t->write[which],
						   .generation = t->generation});
}

static void retire(struct world *w, struct thread *t)
{
	const uint64_t took = w->now - t->begun;
	t->state = THREAD_IDLE;
	w->figures->instructions++;
	w->figures->sets += t->n > 1;
	if (took > w->figures->retire_max)
		w->figures->retire_max = took;
}

void thread_run(struct world *w, unsigned m, unsigned index)
{
	struct thread *t = &w->members[m].threads[index];
	if (w->members[m].ended)
		return;
	if (t->state == THREAD_IDLE) {
		if (w->draining || w->stopping & member_bit(m))
			return;
		draw_instruction(w, t);
	}
	for (unsigned i = 0; i < t->n; i++) {
		if (!thread_may(w, m, t->page[i], t->write[i])) {
			stall(w, m, index, i);
			return;
		}
	}
	for (unsigned i = 0; i < t->n; i++)
		thread_access(w, m, t->page[i], t->write[i], "thread");
	retire(w, t);
	thread_start(w, m, index);
}

/* The engine may have read the message before the thread was woken by somebody else's fault: then
 * the core gets a hint about nothing, but not after the thread's next message. Or it had not: then
 * the kernel takes the message back. */
void thread_fault(struct world *w, const struct clock_event *event)
{
	const struct thread *t = &w->members[event->member].threads[event->index];
	if (t->generation != event->generation &&
	    (t->state == THREAD_STALLED || rng_chance(&w->rng, 500)))
		return;
	struct dsm_event ev = {.type = DSM_EV_FAULT,
			       .fault = {.page = {w->space_page[event->page]},
					 .write = event->write,
					 .thread = 1000u + event->index}};
	step_give(w, event->member, &ev, NULL);
}

static void wake(struct world *w, unsigned m, unsigned index)
{
	struct thread *t = &w->members[m].threads[index];
	const uint64_t waited = w->now - t->since;
	t->state = THREAD_TRYING;
	t->generation++;
	t->woken = true;
	w->figures->page_faults++;
	if (waited > w->figures->wait_max)
		w->figures->wait_max = waited;
	clock_push(&w->clock,
		   (struct clock_event){.time = w->now + w->tuning.wake_least +
						rng_below(&w->rng, (uint32_t)w->tuning.wake_delay),
					.kind = CLOCK_THREAD,
					.member = (uint8_t)m,
					.index = (uint16_t)index});
}

void thread_wake(struct world *w, unsigned m, uint16_t page)
{
	for (unsigned i = 0; i < w->tuning.threads; i++) {
		const struct thread *t = &w->members[m].threads[i];
		if (t->state == THREAD_STALLED && t->stalled_on == page)
			wake(w, m, i);
	}
}
