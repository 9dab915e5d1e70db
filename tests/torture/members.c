/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/torture/members.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/base/clock.h"
#include "tests/torture/evictor.h"
#include "tests/unit/unit.h"

enum {
	WRONG_LINES = 5,
	BARRIER_US = 200,
	VISITORS = DSM_MEMBERS_MAX - MEMBERS,
	VISIT_MS = 100,
	LEAVE_MS = 30000
};

/* What the processes tell each other beside the space: indices of rack.counter. */
enum {
	WRONG,	 /* values */
	ARRIVED, /* at barriers, in all */
	ROUNDS,
	FINISHED, /* workers that did all rounds */
	FIGURES,  /* struct figures, by worker 0 */
};

struct figures {
	uint64_t operations;
	struct torture_did did;
};

/* A member's process. */
struct process {
	struct rack_member *m;
	const struct members_config *config;
	struct torture torture;
	struct worker {
		struct process *process;
		unsigned self;
		pthread_t thread;
	} worker[MEMBER_THREADS];
};

/* The area lies so that words and records, most objects, and the last objects have three homes. */
static uint64_t first_page(void)
{
	return DSM_CHUNK_PAGES - torture_object_start() / DSM_PAGE_SIZE % DSM_CHUNK_PAGES;
}

static bool meet(void *context)
{
	struct rack *rack = ((struct process *)context)->m->rack;
	uint64_t mine = atomic_fetch_add(&rack->counter[ARRIVED], 1);
	uint64_t all = (mine / MEMBERS_WORKERS + 1) * MEMBERS_WORKERS;

	while (atomic_load(&rack->counter[ARRIVED]) < all) {
		if (atomic_load(&rack->broken))
			return false;
		usleep(BARRIER_US);
	}
	return true;
}

static void say_wrong(void *context, const struct torture_wrong *w)
{
	struct process *p = context;

	if (atomic_fetch_add(&p->m->rack->counter[WRONG], 1) < WRONG_LINES)
		fprintf(stderr, "%s: " TORTURE_WRONG_FORMAT "\n", p->config->name,
			TORTURE_WRONG_ARGUMENTS(w));
}

static void count_round(void *context, uint32_t round, uint64_t operations)
{
	struct process *p = context;

	(void)operations;
	atomic_store(&p->m->rack->counter[ROUNDS], round);
}

static void tell_figures(const struct process *p)
{
	uint64_t wrong;
	struct figures f;

	torture_sum(&p->torture, &f.did, &f.operations, &wrong);
	for (size_t i = 0; i < sizeof(f) / sizeof(uint64_t); i++)
		atomic_store(&p->m->rack->counter[FIGURES + i], ((const uint64_t *)&f)[i]);
}

static void *work(void *context)
{
	struct worker *w = context;
	struct torture_worker *private = calloc(1, sizeof(*private));

	if (torture_run(&w->process->torture, w->self, private)) {
		if (w->self == 0)
			tell_figures(w->process);
		atomic_fetch_add(&w->process->m->rack->counter[FINISHED], 1);
	}
	free(private);
	return NULL;
}

static void set_up(struct process *p)
{
	const struct members_config *c = p->config;
	struct torture_config torture = {
		.seed = c->seed,
		.workers = MEMBERS_WORKERS,
		.pages = c->pages,
		.round_ns = c->round_ms * 1000000ull,
		.run_ns = c->run_ms * 1000000ull,
		.area = rack_page(p->m, first_page()),
		.first_page = first_page(),
		.now_ns = clock_ns,
		.barrier = meet,
		.wrong = say_wrong,
		.round = count_round,
		.context = p,
	};

	EXPECT(p->m->rack, torture_init(&p->torture, &torture));
}

/* The space's configuration is a member of struct members. */
static const struct members_config *config_of(const struct rack_member *m)
{
	const char *space = (const char *)m->config;

	return &((const struct members *)(space - offsetof(struct members, space)))->config;
}

/* A member dials those below it, through the proxy. */
static const char *route(const struct rack_member *m, uint8_t to)
{
	struct proxy *proxy = config_of(m)->proxy;

	if (to >= m->self)
		return m->rack->address[to];
	proxy_target(proxy, members_link(m->self, to), m->rack->address[to]);
	return proxy_address(proxy, members_link(m->self, to));
}

static void member(struct rack_member *m)
{
	static struct process p;
	struct evictor *evictor;

	p.m = m;
	p.config = config_of(m);
	set_up(&p);
	evictor = evictor_start(m->dsm, 0, m->config->pages, p.config->seed + m->self);
	EXPECT(m->rack, evictor != NULL);
	for (unsigned i = 0; i < MEMBER_THREADS; i++) {
		p.worker[i].process = &p;
		p.worker[i].self = m->self * MEMBER_THREADS + i;
		pthread_create(&p.worker[i].thread, NULL, work, &p.worker[i]);
	}
	for (unsigned i = 0; i < MEMBER_THREADS; i++)
		pthread_join(p.worker[i].thread, NULL);
	evictor_stop(evictor);
	if (p.config->visitors) /* the last one has gone */
		EXPECT(m->rack, rack_wait(m->rack, &m->rack->step, 1));
	rack_leave(m);
}

/* ---- visitors ---- */

/* Numbers are not used twice: a long run has longer visits. */
static uint32_t visit_ms(const struct members_config *c)
{
	uint32_t ms = c->run_ms / (VISITORS / 2);

	return ms > VISIT_MS ? ms : VISIT_MS;
}

/* Takes a page to write, and leaves it as it is; lets homes move, here or anywhere. */
static void trouble(struct rack_member *m, unsigned *seed)
{
	uint64_t page = (uint64_t)rand_r(seed) % m->config->pages;
	_Atomic uint64_t *word = rack_page(m, page);

	if (rand_r(seed) % 4)
		atomic_fetch_add(word + (unsigned)rand_r(seed) % 512, 0);
	else
		(void)atomic_load(word);
	if (rand_r(seed) % 16 == 0)
		dsm_move_home(m->dsm, (struct gpage){page},
			      (struct member_id){rand_r(seed) % 2 ? m->self : 0});
}

static void visit(struct rack_member *m)
{
	const struct members_config *c = config_of(m);
	unsigned seed = (unsigned)c->seed + m->self;
	uint64_t end = clock_ms() + visit_ms(c);
	struct evictor *evictor = evictor_start(m->dsm, 0, m->config->pages, seed);
	struct err why = {0};

	EXPECT(m->rack, evictor != NULL);
	while (clock_ms() < end)
		trouble(m, &seed);
	evictor_stop(evictor);
	if (dsm_leave(m->dsm, LEAVE_MS, &why))
		rack_failed(m->rack, __FILE__, __LINE__, why.text);
	dsm_close(m->dsm);
}

unsigned members_visit(struct members *m)
{
	struct rack *rack = m->rack;
	unsigned n = 0;

	for (; members_state(m) == MEMBERS_AT_WORK && n + 2 <= VISITORS; n += 2) {
		for (unsigned i = 0; i < 2; i++)
			rack_add(rack, (uint8_t)(MEMBERS + n + i), (uint8_t)((n + i) % MEMBERS),
				 &m->space, visit);
		for (unsigned i = 0; i < 2; i++) {
			int status = -1;

			waitpid(rack->pid[MEMBERS + n + i], &status, 0);
			CU_ASSERT_EQUAL(status, 0);
		}
	}
	atomic_store(&rack->step, 1);
	return n;
}

bool members_start(struct members *m, const struct members_config *config)
{
	m->config = *config;
	m->space = (struct rack_config){
		.pages = first_page() + torture_bytes(config->pages) / DSM_PAGE_SIZE,
		.hold_us = config->hold_us,
		.silence_ms = config->silence_ms,
		.numbers = config->visitors ? DSM_MEMBERS_MAX : 0,
		.route = config->proxy ? route : NULL,
	};
	fprintf(stderr, "%s: seed %llu\n", config->name, (unsigned long long)config->seed);
	m->rack = rack_start(MEMBERS, &m->space, member);
	if (!m->rack)
		return false;
	CU_ASSERT_TRUE(rack_wait(m->rack, &m->rack->joined, MEMBERS));
	return true;
}

uint64_t members_wrong(const struct members *m)
{
	return atomic_load(&m->rack->counter[WRONG]);
}

uint64_t members_rounds(const struct members *m)
{
	return atomic_load(&m->rack->counter[ROUNDS]);
}

unsigned members_lost(const struct members *m)
{
	unsigned n = 0;

	for (int i = 0; i < MEMBERS; i++)
		n += atomic_load(&m->rack->member[i].lost);
	return n;
}

enum members_state members_state(const struct members *m)
{
	if (members_wrong(m))
		return MEMBERS_WRONG;
	if (members_lost(m))
		return MEMBERS_ENDED;
	return atomic_load(&m->rack->counter[FINISHED]) < MEMBERS_WORKERS ? MEMBERS_AT_WORK
									  : MEMBERS_DONE;
}

const char *members_state_name(enum members_state state)
{
	static const char *const names[] = {"at work", "done", "a wrong value", "the space ended"};

	return names[state];
}

enum members_state members_wait(const struct members *m, uint32_t ms)
{
	uint64_t end = clock_ms() + ms;

	while (members_state(m) == MEMBERS_AT_WORK && clock_ms() < end)
		usleep(5000);
	return members_state(m);
}

static void print_figures(const struct members *m)
{
	struct figures f;

	for (size_t i = 0; i < sizeof(f) / sizeof(uint64_t); i++)
		((uint64_t *)&f)[i] = atomic_load(&m->rack->counter[FIGURES + i]);
	fprintf(stderr, "%s: %llu rounds, %llu operations:", m->config.name,
		(unsigned long long)members_rounds(m), (unsigned long long)f.operations);
#define X(name, text) fprintf(stderr, " " #name " %llu", (unsigned long long)f.did.name);
	TORTURE_DID(X)
#undef X
	fprintf(stderr, "\n");
}

void members_end(struct members *m)
{
	bool done = members_state(m) == MEMBERS_DONE;

	if (done)
		print_figures(m);
	for (int i = 0; i < MEMBERS && !done; i++)
		kill(m->rack->pid[i], SIGKILL);
	rack_finish(m->rack, MEMBERS, done ? 0 : (1u << MEMBERS) - 1);
}
