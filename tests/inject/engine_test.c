/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sweeps over the DSM's engine: two members with real userfaultfd and TCP, one of which has a call
 * fail while it opens and connects, while it serves faults, while pages are evicted, while it
 * closes; or while it joins a space that runs, while it leaves it in order. Every access that comes
 * back has the right value; else the space ends at both members, with a reason.
 *
 * The member under test is a child of its own, and so is its peer: what waits for a page that never
 * comes ends with its process only.
 *
 * usage: test-inject-engine [NAME]
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dsm/dsm.h"
#include "proto/base/clock.h"
#include "proto/mac.h"
#include "tests/inject/sweep.h"

enum { MEMBERS = 2, PAGES = 3, ROUNDS = 4, PATIENCE_MS = 20000 };

enum { CRYPTO_ERRORS = 2 }; /* a thread of libcrypto that had an error keeps a queue for them */

enum part { OPEN, FAULTS, EVICTIONS, CLOSING, JOINING, LEAVING };

/* What both processes see. */
struct pair {
	char address[MEMBERS][TRANSPORT_ADDRESS_MAX];
	atomic_uint published;
	atomic_uint running;	    /* there is a space to be joined */
	atomic_uint stage[MEMBERS]; /* how far a member is */
	atomic_bool lost[MEMBERS];
	atomic_bool wrong;
	atomic_uint turn; /* whose */
};

struct member {
	struct pair *pair;
	uint8_t self;
	struct dsm *dsm;
	enum part part;
	bool armed; /* this one is under test */
	int stop;   /* readable: the other is gone, connecting makes no sense */
	pthread_mutex_t lock;
	bool worked; /* the worker came to its end */
};

static bool await(struct pair *p, atomic_uint *value, unsigned least)
{
	uint64_t end = clock_ms() + PATIENCE_MS;

	while (atomic_load(value) < least) {
		if (atomic_load(&p->lost[0]) || atomic_load(&p->lost[1]) || clock_ms() > end)
			return false;
		usleep(200);
	}
	return true;
}

static void on_lost(void *context, struct member_id who, const struct err *why)
{
	struct member *m = context;

	(void)who;
	if (!why->text[0])
		atomic_store(&m->pair->wrong, true);
	atomic_store(&m->pair->lost[m->self], true);
}

/* What is armed is so for both processes: it is not the peer's. */
static void disarm(const struct member *m)
{
	if (m->armed)
		sweep_disarm();
}

static void arm(struct member *m, enum part part)
{
	if (m->armed && m->part == part)
		sweep_arm();
	else
		disarm(m);
}

/* Member 0 begins alone, member 1 comes later and goes sooner. */
static bool comes_and_goes(enum part part)
{
	return part == JOINING || part == LEAVING;
}

static int begin(struct member *m, struct err *e)
{
	struct dsm_config config = {
		.space = {5},
		.epoch = {1},
		.self = {m->self},
		.members = MEMBERS,
		.founders = comes_and_goes(m->part) ? 1 : MEMBERS,
		.pages = PAGES,
		.key = "a key of some thirty-two bytes",
		.listen = "127.0.0.1:0",
		.silence_ms = 5000,
		.context = m,
		.lost = on_lost,
	};
	const char *peers[MEMBERS];
	int rc;

	if (comes_and_goes(m->part) && m->self) {
		if (!await(m->pair, &m->pair->running, 1))
			return err_set(e, ERR_TIMEOUT, "the other member did not begin");
		return dsm_join(&config, m->pair->address[0], PATIENCE_MS, m->stop, &m->dsm, e);
	}
	rc = dsm_open(&config, &m->dsm, e);
	if (rc)
		return rc;
	dsm_address(m->dsm, m->pair->address[m->self]);
	atomic_fetch_add(&m->pair->published, 1);
	if (!await(m->pair, &m->pair->published, config.founders))
		return err_set(e, ERR_TIMEOUT, "the other member did not open");
	for (unsigned i = 0; i < MEMBERS; i++)
		peers[i] = m->pair->address[i];
	rc = dsm_connect(m->dsm, peers, PATIENCE_MS, m->stop, e);
	atomic_store(&m->pair->running, !rc);
	return rc;
}

/*
 * Both count up one word a page, by turns: member 0 makes it even, member 1 odd. Whoever reads
 * something else than its turn says was lied to.
 */
static void *work(void *context)
{
	struct member *m = context;
	uint8_t *base = dsm_base(m->dsm);

	for (unsigned round = 0; round < ROUNDS; round++) {
		unsigned turn = 2 * round + m->self;

		if (!await(m->pair, &m->pair->turn, turn))
			return NULL;
		for (unsigned i = 0; i < PAGES; i++) {
			_Atomic uint64_t *word = (_Atomic uint64_t *)(base + i * DSM_PAGE_SIZE);

			if (atomic_load(word) != turn || atomic_fetch_add(word, 1) != turn)
				atomic_store(&m->pair->wrong, true);
			if (m->part == EVICTIONS)
				dsm_evict(m->dsm, (struct gpage){i});
		}
		atomic_fetch_add(&m->pair->turn, 1);
	}
	m->worked = true;
	return NULL;
}

static bool join_in_time(pthread_t thread, struct pair *p)
{
	uint64_t end = clock_ms() + PATIENCE_MS;

	while (pthread_tryjoin_np(thread, NULL)) {
		if (atomic_load(&p->lost[0]) || atomic_load(&p->lost[1]) || clock_ms() > end) {
			usleep(20000); /* it may just be about to see that */
			return !pthread_tryjoin_np(thread, NULL);
		}
		usleep(200);
	}
	return true;
}

/* Who stays has all that was written. */
static bool has_all(const struct member *m)
{
	const uint8_t *base = dsm_base(m->dsm);

	for (unsigned i = 0; i < PAGES; i++)
		if (atomic_load((const _Atomic uint64_t *)(base + i * DSM_PAGE_SIZE)) !=
		    MEMBERS * ROUNDS)
			return false;
	return true;
}

/* Member 1 leaves the space, which goes on. */
static int part_in_order(struct member *m)
{
	struct pair *p = m->pair;
	struct err e = {0};
	int rc = 0;

	arm(m, LEAVING);
	if (m->self)
		rc = dsm_leave(m->dsm, PATIENCE_MS, &e);
	if (rc && rc != ERR_LOST)
		_exit(SWEEP_WRONG);
	if (rc)
		return sweep_refused(rc, e.text);
	atomic_store(&p->stage[m->self], 1);
	if (!m->self && await(p, &p->stage[1], 1) && !has_all(m))
		atomic_store(&p->wrong, true);
	dsm_close(m->dsm);
	disarm(m);
	return m->worked ? SWEEP_DONE : SWEEP_REFUSED;
}

static bool over(const struct pair *p)
{
	return atomic_load(&p->lost[0]) || atomic_load(&p->lost[1]);
}

/* An outcome, as exit status. A member whose thread still waits for a page leaves without closing:
 * only the end of the process ends that. */
static int play(struct member *m)
{
	struct pair *p = m->pair;
	struct err e = {0};
	pthread_t worker;
	int rc;

	mac_prepare(); /* what libcrypto keeps is not counted */
	arm(m, comes_and_goes(m->part) ? JOINING : OPEN);
	rc = begin(m, &e);
	if (rc) {
		dsm_close(m->dsm);
		disarm(m);
		if (m->armed && sweep_left() > CRYPTO_ERRORS) {
			fprintf(stderr, "  %ld allocations are left\n", sweep_left());
			return SWEEP_WRONG;
		}
		return sweep_refused(rc, e.text);
	}
	arm(m, m->part == EVICTIONS ? EVICTIONS : FAULTS);
	if (pthread_create(&worker, NULL, work, m))
		return SWEEP_REFUSED;
	if (!join_in_time(worker, p))
		_exit(over(p) ? SWEEP_REFUSED : SWEEP_WRONG);
	if (comes_and_goes(m->part) && !over(p))
		return part_in_order(m);
	arm(m, CLOSING);
	atomic_store(&p->stage[m->self], 1);
	await(p, &p->stage[!m->self], 1);
	dsm_quiesce(m->dsm);
	atomic_store(&p->stage[m->self], 2);
	await(p, &p->stage[!m->self], 2);
	dsm_close(m->dsm);
	disarm(m);
	return m->worked ? SWEEP_DONE : over(p) ? SWEEP_REFUSED : SWEEP_WRONG;
}

static int reap(pid_t pid)
{
	int status = -1;

	while (waitpid(pid, &status, 0) < 0)
		;
	return WIFEXITED(status) ? WEXITSTATUS(status) : SWEEP_WRONG;
}

static pid_t start(struct pair *p, uint8_t self, enum part part, bool armed, int stop)
{
	struct member m = {.pair = p, .self = self, .part = part, .armed = armed, .stop = stop};
	pid_t parent = getpid(), pid = fork();

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(SWEEP_WRONG);
	if (armed)
		sweep_take_part();
	_exit(play(&m));
}

static enum sweep_outcome two_members(void *context)
{
	enum part part = *(enum part *)context;
	struct pair *p =
		mmap(NULL, sizeof(*p), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pid[MEMBERS];
	int outcome[MEMBERS], stop = eventfd(0, 0);
	bool lied;

	sweep_stay_out();
	pid[0] = start(p, 0, part, false, stop);
	pid[1] = start(p, 1, part, true, -1);
	outcome[1] = reap(pid[1]);
	if (outcome[1] != SWEEP_DONE) { /* nobody waits for it any more */
		atomic_store(&p->lost[1], true);
		eventfd_write(stop, 1);
	}
	outcome[0] = reap(pid[0]);
	lied = atomic_load(&p->wrong);
	close(stop);
	munmap(p, sizeof(*p));
	if (lied) {
		fprintf(stderr, "  a wrong value was read, or the end had no reason\n");
		return SWEEP_WRONG;
	}
	if (outcome[0] == SWEEP_WRONG || outcome[1] == SWEEP_WRONG ||
	    (outcome[0] != SWEEP_DONE && outcome[0] != SWEEP_REFUSED) ||
	    (outcome[1] != SWEEP_DONE && outcome[1] != SWEEP_REFUSED)) {
		fprintf(stderr, "  outcomes %d, %d\n", outcome[0], outcome[1]);
		return SWEEP_WRONG;
	}
	return outcome[1] == SWEEP_DONE && outcome[0] == SWEEP_DONE ? SWEEP_DONE : SWEEP_REFUSED;
}

int main(int argc, char **argv)
{
	static enum part parts[] = {OPEN, FAULTS, EVICTIONS, CLOSING, JOINING, LEAVING};
	const struct sweep sweeps[] = {
		{.name = "engine-open", .run = two_members, .context = &parts[0], .loose = true},
		{.name = "engine-fault",
		 .run = two_members,
		 .context = &parts[1],
		 .loose = true,
		 .by_site = !CELLULAR_LONG},
		{.name = "engine-evict",
		 .run = two_members,
		 .context = &parts[2],
		 .loose = true,
		 .by_site = !CELLULAR_LONG},
		{.name = "engine-close", .run = two_members, .context = &parts[3], .loose = true},
		{.name = "engine-join",
		 .run = two_members,
		 .context = &parts[4],
		 .loose = true,
		 .by_site = !CELLULAR_LONG},
		{.name = "engine-leave",
		 .run = two_members,
		 .context = &parts[5],
		 .loose = true,
		 .by_site = !CELLULAR_LONG},
	};
	bool good = true;

	for (size_t i = 0; i < sizeof(sweeps) / sizeof(sweeps[0]); i++)
		if (argc < 2 || !strcmp(argv[1], sweeps[i].name))
			good = sweep_all(&sweeps[i]) && good;
	return !good;
}
