/* SPDX-License-Identifier: Apache-2.0 */
#include "node/guest/programs/litmus.h"

#include "node/guest/g.h"

struct frame {
	const struct litmus_test *test;
	const struct litmus_record *record;
	uint32_t location;
	uint32_t turn[LITMUS_THREADS];
	uint64_t *counts;
	uint64_t found;
};

/* What register i of the frame saw, if its thread is at `turn`. */
static uint32_t seen(const struct frame *f, unsigned i, uint32_t turn)
{
	return f->record->seen[i][(uint64_t)(turn - 1) * f->record->locations + f->location];
}

static void count(struct frame *f)
{
	unsigned outcome = 0;

	for (unsigned i = 0; i < f->test->registers; i++) {
		const struct litmus_register *reg = &f->test->reg[i];

		if (seen(f, i, f->turn[reg->thread]) >= f->turn[reg->writer])
			outcome |= 1u << i;
	}
	f->counts[outcome]++;
	f->found++;
}

/* The last turn at which register i saw less than `write`, 0 if there is none: values rise. */
static uint32_t last_below(const struct frame *f, unsigned i, uint32_t write)
{
	uint32_t low = 0, high = f->record->turns;

	while (low < high) {
		uint32_t middle = (low + high + 1) / 2;

		if (seen(f, i, middle) < write)
			low = middle;
		else
			high = middle - 1;
	}
	return low;
}

/* Settles the thread of step s in both ways, then those after it. */
static void walk(struct frame *f, unsigned s)
{
	const struct litmus_step *step = &f->test->path[s];
	const struct litmus_register *reg = &f->test->reg[step->reg];
	uint32_t base, *turn;

	if (step->kind == LITMUS_END) {
		count(f);
		return;
	}
	if (step->kind == LITMUS_FOLLOW) {
		base = seen(f, step->reg, f->turn[reg->thread]);
		turn = &f->turn[reg->writer];
	} else {
		base = last_below(f, step->reg, f->turn[reg->writer]);
		turn = &f->turn[reg->thread];
	}
	for (*turn = base; *turn <= base + 1; ++*turn)
		if (*turn >= 1 && *turn <= f->record->turns)
			walk(f, s + 1);
}

uint64_t litmus_count(const struct litmus_test *test, const struct litmus_record *record,
		      uint64_t counts[LITMUS_OUTCOMES])
{
	struct frame f = {.test = test, .record = record, .counts = counts};

	for (uint32_t turn = 1; turn <= record->turns; turn++)
		for (f.location = 0; f.location < record->locations; f.location++) {
			f.turn[test->first] = turn;
			walk(&f, 0);
		}
	return f.found;
}
