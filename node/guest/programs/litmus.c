/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs litmus tests (node/guest/programs/litmus.h) on vCPUs of choice and prints how often each
 * outcome was seen.
 *
 *	litmus perpetual|rounds ITERATIONS TEST|all PLACE
 *
 * PLACE names the vCPU of each thread: "0,1,2,3"; vCPUs on different cells make the pages travel.
 * "0,1/2" adds a thief: vCPU 2 writes into the pages of the variables all the time, so that pages
 * travel even between threads of one cell.
 *
 * perpetual: threads run freely, with pauses of changing length, through a number of locations, for
 * as many turns as ITERATIONS gives. Four parts: the variables on pages of different homes, three
 * ways round, and in one page.
 * rounds: every iteration has a location of its own. Threads meet before every 64 of them, and then
 * begin each at its time, give or take a jitter.
 *
 *	outcome litmus test=SB a=0 b=0 n=93 what=relaxed
 *	result litmus mode=perpetual test=SB place=0,4/1 n=1000448 frames=1999872 stalls=8031
 *	    ms=1893 relaxed=93 forbidden=0
 *
 * what: "relaxed" is what x86-TSO allows and sequential consistency does not; "forbidden" is what
 * neither allows. stalls: iterations that waited for a page (took 10 us and more). Ends with 1 if
 * anything forbidden was seen.
 */
#include "node/guest/programs/litmus.h"

#include "node/guest/g.h"

enum {
	CHUNK = 2 << 20, /* pages of one chunk have one home, those of the next another */
	CHUNKS = LITMUS_VARIABLES + 2, /* rotated by up to two */
	PARTS = 4,
	PAGE_LOCATIONS = 256,
	SLOT = 8, /* bytes a location: its word, and one for the thief */
	ROUNDS_MAX = PARTS * PAGE_LOCATIONS * 128,
	ITERATIONS_MAX = 10000000,
	STALL_NS = 10000,
	ROUND_NS = 100000,
	JITTER_NS = 60000,
	BATCH = 64, /* rounds between meetings */
	THEFT_PAUSES = 2000,
	NOBODY = G_VCPUS_MAX,
};

/* Chunk of variable v: v + rotated, or the same for all; and in how many locations the threads of a
 * perpetual test may meet: in one they do so most closely. */
static const struct part {
	uint8_t rotated;
	bool same;
	uint16_t locations;
} parts[PARTS] = {{0, false, 256}, {1, false, 16}, {2, false, 1}, {0, true, 256}};

/* A page each: what one thread writes and others read afterwards. */
struct worker {
	uint64_t stalls;
	uint64_t ns;
	uint8_t rest[G_PAGE - 16];
};

/* Written by vCPU 0 while no thread runs. */
static struct {
	const struct litmus_test *test;
	bool rounds;
	uint64_t iterations; /* of a part */
	uint32_t locations;
	uint8_t vcpu[LITMUS_THREADS];
	uint8_t thief;
	uint8_t *variable[LITMUS_VARIABLES];
	uint32_t *seen[LITMUS_REGISTERS];
	uint8_t *memory; /* CHUNKS, aligned */
	struct worker *worker;
} job G_PAGE_ALIGNED;

static struct g_barrier barrier;
static uint32_t finished G_PAGE_ALIGNED, arrived G_PAGE_ALIGNED, met G_PAGE_ALIGNED;

/* ---- a thread ---- */

/* xorshift64 (Marsaglia, 2003). */
static uint64_t draw(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static volatile uint32_t *word(unsigned variable, uint64_t location)
{
	return (volatile uint32_t *)(job.variable[variable] + location / PAGE_LOCATIONS * G_PAGE +
				     location % PAGE_LOCATIONS * SLOT);
}

/* Between two turns of a free-running thread: not at all, or up to some microseconds. */
static void pause_a_while(uint64_t n, uint64_t *random)
{
	static const uint8_t most[] = {1, 8, 32, 64};
	uint64_t pauses = draw(random) % most[n / (4 * PAGE_LOCATIONS) % sizeof(most)];

	while (pauses--)
		g_pause();
}

/* All threads of the test wait for each other; `times` they did before. */
static void meet(uint32_t times)
{
	if (g_add(&arrived, 1) + 1 < job.test->threads * (times + 1)) {
		g_wait_while(&met, times);
		return;
	}
	g_store(&met, times + 1);
	g_wake(&met);
}

/* Each thread has its own clock: cells agree on the time of a meeting only. Returns at once if the
 * round's time is over: a thread that stalled catches up. */
static void await_round(uint64_t n, uint64_t *start, uint64_t *random)
{
	uint64_t when;

	if (n % BATCH == 0) {
		meet((uint32_t)(n / BATCH));
		*start = g_ns();
	}
	when = *start + n % BATCH * ROUND_NS + draw(random) % JITTER_NS;
	while ((int64_t)(when - g_ns()) > 0)
		g_pause();
}

static void run_thread(unsigned t)
{
	const struct litmus_thread *thread = &job.test->thread[t];
	struct worker *worker = &job.worker[t];
	uint64_t random = g_ns() * 2 + 1, began = g_ns(), start = 0;
	uint32_t *out[2] = {0}, r[2] = {0};

	for (unsigned i = 0; i < job.test->registers; i++)
		if (job.test->reg[i].thread == t)
			out[job.test->reg[i].r] = job.seen[i];
	for (uint64_t n = 0; n < job.iterations; n++) {
		uint64_t location = n % job.locations, before;

		if (job.rounds)
			await_round(n, &start, &random);
		else
			pause_a_while(n, &random);
		before = g_ns();
		thread->role(word(thread->a, location), word(thread->b, location),
			     (uint32_t)(n / job.locations + 1), r);
		worker->stalls += g_ns() - before >= STALL_NS;
		for (unsigned i = 0; i < 2; i++)
			if (out[i])
				out[i][n] = r[i];
	}
	worker->ns += g_ns() - began;
	g_add(&finished, 1);
}

/* Takes each page away now and then, and changes nothing that a thread looks at. */
static void steal(void)
{
	for (uint64_t n = 0; g_load(&finished) < job.test->threads; n++) {
		volatile uint32_t *at = word(n % LITMUS_VARIABLES,
					     n / LITMUS_VARIABLES * PAGE_LOCATIONS % job.locations);

		at[1]++;
		for (unsigned i = 0; i < THEFT_PAUSES; i++)
			g_pause();
	}
}

/* Where the thread writes while it runs, it should not have to wait for pages. */
static void touch_records(unsigned t)
{
	for (unsigned i = 0; i < job.test->registers; i++)
		for (uint64_t n = 0; job.test->reg[i].thread == t && n < job.iterations;
		     n += G_PAGE / sizeof(uint32_t))
			((volatile uint32_t *)job.seen[i])[n] = 0;
}

static void run_vcpu(unsigned vcpu, void *arg)
{
	unsigned t = 0;

	(void)arg;
	while (t < job.test->threads && job.vcpu[t] != vcpu)
		t++;
	if (t < job.test->threads)
		touch_records(t);
	g_barrier_wait(&barrier);
	if (t < job.test->threads)
		run_thread(t);
	else if (vcpu == job.thief)
		steal();
}

/* ---- a test ---- */

/* Variables lie side by side, also where each has a page of its own. */
static void place_variables(const struct part *part)
{
	for (unsigned v = 0; v < LITMUS_VARIABLES; v++) {
		uint64_t chunk = part->same ? 0 : v + part->rotated;

		job.variable[v] = job.memory + chunk * CHUNK + v * PAGE_LOCATIONS * SLOT;
		for (uint64_t l = 0; l < job.locations; l++)
			*word(v, l) = 0;
	}
}

static uint64_t run_part(const struct part *part, uint64_t counts[LITMUS_OUTCOMES])
{
	struct litmus_record record;

	job.locations = job.rounds ? (uint32_t)job.iterations : part->locations;
	place_variables(part);
	finished = 0;
	arrived = 0;
	met = 0;
	g_parallel(run_vcpu, NULL);
	record.locations = job.locations;
	record.turns = (uint32_t)(job.iterations / job.locations);
	for (unsigned i = 0; i < LITMUS_REGISTERS; i++)
		record.seen[i] = job.seen[i];
	return litmus_count(job.test, &record, counts);
}

static const char *meaning(const struct litmus_test *test, unsigned outcome)
{
	if (outcome != test->target)
		return "ordered";
	return test->allowed ? "relaxed" : "forbidden";
}

static void print_outcomes(const uint64_t counts[LITMUS_OUTCOMES])
{
	g_printf("test %s: %s\n", job.test->name, job.test->text);
	for (unsigned o = 0; o < 1u << job.test->registers; o++) {
		g_printf("outcome litmus test=%s", job.test->name);
		for (unsigned i = 0; i < job.test->registers; i++)
			g_printf(" %c=%u", 'a' + (int)i, o >> i & 1);
		g_printf(" n=%zu what=%s\n", (size_t)counts[o], meaning(job.test, o));
	}
}

/* All parts together are at least `iterations`, and each ends with a full turn. */
static uint64_t part_iterations(uint64_t iterations)
{
	uint64_t unit = PARTS * PAGE_LOCATIONS;

	return (iterations + unit - 1) / unit * PAGE_LOCATIONS;
}

/* Returns how often the forbidden outcome was seen. */
static uint64_t run_test(const struct litmus_test *test, uint64_t iterations, const char *place)
{
	uint64_t counts[LITMUS_OUTCOMES] = {0}, frames = 0, stalls = 0, ns = 0, target;

	job.test = test;
	job.iterations = part_iterations(iterations);
	memset(job.worker, 0, LITMUS_THREADS * sizeof(job.worker[0]));
	for (unsigned part = 0; part < PARTS; part++)
		frames += run_part(&parts[part], counts);
	for (unsigned t = 0; t < test->threads; t++) {
		stalls += job.worker[t].stalls;
		ns = job.worker[t].ns > ns ? job.worker[t].ns : ns;
	}
	target = counts[test->target];
	print_outcomes(counts);
	g_printf("result litmus mode=%s test=%s place=%s n=%zu frames=%zu stalls=%zu ms=%zu "
		 "relaxed=%zu forbidden=%zu\n",
		 job.rounds ? "rounds" : "perpetual", test->name, place,
		 (size_t)(job.iterations * PARTS), (size_t)frames, (size_t)stalls,
		 (size_t)(ns / 1000000), (size_t)(test->allowed ? target : 0),
		 (size_t)(test->allowed ? 0 : target));
	return test->allowed ? 0 : target;
}

/* ---- the program ---- */

/* A vCPU's number at *s, which moves behind it; NOBODY if there is none. */
static uint8_t parse_vcpu(const char **s)
{
	unsigned vcpu = 0, digits = 0;

	for (; **s >= '0' && **s <= '9' && digits < 3; ++*s, digits++)
		vcpu = vcpu * 10 + (unsigned)(**s - '0');
	return digits && vcpu < g_vcpus() ? (uint8_t)vcpu : NOBODY;
}

/* "0,1,2,3/4": how many threads, 0 if it is no place. */
static unsigned parse_place(const char *s)
{
	unsigned threads = 0;

	job.thief = NOBODY;
	do {
		s += threads > 0;
		job.vcpu[threads] = parse_vcpu(&s);
	} while (job.vcpu[threads++] != NOBODY && *s == ',' && threads < LITMUS_THREADS);
	if (*s == '/') {
		s++;
		job.thief = parse_vcpu(&s);
		if (job.thief == NOBODY)
			return 0;
	}
	return *s || job.vcpu[threads - 1] == NOBODY ? 0 : threads;
}

static void allocate(uint64_t iterations)
{
	uint64_t memory = (uint64_t)g_alloc((CHUNKS + 1) * (uint64_t)CHUNK);

	job.memory = (uint8_t *)((memory + CHUNK - 1) & ~(uint64_t)(CHUNK - 1));
	job.worker = g_alloc(LITMUS_THREADS * sizeof(job.worker[0]));
	for (unsigned i = 0; i < LITMUS_REGISTERS; i++)
		job.seen[i] = g_alloc(part_iterations(iterations) * sizeof(uint32_t) + G_PAGE);
}

static bool good_arguments(int argc, char **argv, uint64_t *iterations, unsigned *threads)
{
	if (argc != 4 || !g_number(argv[1], iterations) || !(*threads = parse_place(argv[3])))
		return false;
	job.rounds = !strcmp(argv[0], "rounds");
	if (!job.rounds && strcmp(argv[0], "perpetual") != 0)
		return false;
	return *iterations && *iterations <= (job.rounds ? ROUNDS_MAX : ITERATIONS_MAX);
}

int g_main(int argc, char **argv)
{
	uint64_t iterations, forbidden = 0;
	unsigned threads, run = 0;

	if (!good_arguments(argc, argv, &iterations, &threads)) {
		g_printf("usage: litmus perpetual|rounds ITERATIONS TEST|all VCPU,VCPU...[/THIEF]; "
			 "10000000 iterations, 131072 rounds at most\n");
		return 2;
	}
	allocate(iterations);
	for (unsigned i = 0; i < litmus_tests_count; i++) {
		const struct litmus_test *test = &litmus_tests[i];

		if (test->threads > threads ||
		    (strcmp(argv[2], "all") != 0 && strcmp(argv[2], test->name) != 0))
			continue;
		forbidden += run_test(test, iterations, argv[3]);
		run++;
	}
	if (!run) {
		g_printf("litmus: no test named %s for %u threads\n", argv[2], threads);
		return 2;
	}
	return forbidden > 0;
}
