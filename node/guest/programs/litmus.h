/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Litmus tests of x86-TSO (Owens, Sarkar, Sewell, "A better x86 memory model: x86-TSO", TPHOLs'09):
 * little programs of two to four threads whose registers tell whether memory kept its order.
 *
 * A test is run over many locations and, at each location, for many turns. A variable is an array:
 * location l of variable v is a word of its own, and turn k (1, 2, ...) stores the number k there.
 * So no thread waits for another: which write a load saw is written in the value. (Melissaris et
 * al., "PerpLE", MICRO'20. With one turn a location it is the classical test, as litmus7 runs it:
 * Alglave et al., TACAS'11.)
 *
 * A frame is one choice of a turn for each thread, at one location. Register r of a frame is 1 if
 * its load saw the frame's write or a later one, and 0 if it saw an earlier one. All registers
 * together, first register first, are the frame's outcome. Each frame is an execution of the
 * classical test: what is forbidden there is forbidden in every frame.
 *
 * Which frames are looked at: those around what was seen. `path` says how a frame is built from a
 * turn of the thread `first`: turn by turn the thread that wrote what a register saw, or the next
 * write. Values at a location never go back (test CoRR), so if any frame has the target outcome,
 * then one of these has it.
 */
#ifndef CELLULAR_GUEST_LITMUS_H
#define CELLULAR_GUEST_LITMUS_H

#include <stdbool.h>
#include <stdint.h>

enum {
	LITMUS_THREADS = 4,
	LITMUS_VARIABLES = 2,
	LITMUS_REGISTERS = 4,
	LITMUS_OUTCOMES = 1 << LITMUS_REGISTERS,
	LITMUS_STEPS = 3,
};

/* One turn of a thread at one location: stores turn, loads into r[0], r[1], as the test demands. */
typedef void litmus_role(volatile uint32_t *a, volatile uint32_t *b, uint32_t turn, uint32_t r[2]);

struct litmus_thread {
	litmus_role *role;
	uint8_t a, b; /* its variables */
};

struct litmus_register {
	uint8_t thread, r; /* r[r] of that thread */
	uint8_t writer;	   /* the thread that writes the variable it loads */
};

/* Settles the turn of one more thread of a frame. FOLLOW: the writer of what the register saw, or
 * the writer's next turn. SEEK: the register's thread, at the last turn that saw less than the
 * frame's write, or the turn after. */
struct litmus_step {
	enum { LITMUS_END, LITMUS_FOLLOW, LITMUS_SEEK } kind;
	uint8_t reg;
};

struct litmus_test {
	const char *name;
	const char *text; /* the threads, for people */
	uint8_t threads, registers;
	struct litmus_thread thread[LITMUS_THREADS];
	struct litmus_register reg[LITMUS_REGISTERS];
	uint8_t first; /* thread whose turns are gone through */
	struct litmus_step path[LITMUS_STEPS + 1];
	uint8_t target; /* the outcome that is not sequentially consistent; bit i: register i */
	bool allowed;	/* by x86-TSO */
};

extern const struct litmus_test litmus_tests[];
extern const unsigned litmus_tests_count;

/* What the registers held: seen[i][n] is register i in iteration n = (turn - 1) * locations + l. */
struct litmus_record {
	uint32_t locations, turns;
	const uint32_t *seen[LITMUS_REGISTERS];
};

/* Adds each looked-at frame to counts[its outcome]. Returns how many frames these were. */
uint64_t litmus_count(const struct litmus_test *test, const struct litmus_record *record,
		      uint64_t counts[LITMUS_OUTCOMES]);

#endif
