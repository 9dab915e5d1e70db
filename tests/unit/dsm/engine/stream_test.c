/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Regions that are read page after page: read ahead and in runs. Every word is checked, whoever is
 * home, whichever way it goes, and while others write.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "proto/base/clock.h"
#include "rack.h"
#include "tests/unit/unit.h"

enum {
	PAGES = 6 * DSM_CHUNK_PAGES, /* two chunks at home at each of three members */
	WORDS = DSM_PAGE_SIZE / sizeof(uint64_t),
	OWNER = 1,
};

/* ---- an adapter that looks at the order (M3) ---- */

static bool writable[PAGES];
static atomic_uint too_early; /* pages read out or dropped that a thread could write */

static int ordered_install(struct mem *m, struct gpage page, bool write, const void *data,
			   struct err *e)
{
	writable[page.v] = write;
	return mem_uffd.install(m, page, write, data, e);
}

static int ordered_install_run(struct mem *m, struct gpage first, uint32_t n, bool write,
			       const void *data, struct err *e)
{
	memset(&writable[first.v], write, n);
	return mem_uffd.install_run(m, first, n, write, data, e);
}

/* Now and then none, else a part: the others go by three calls each. */
static uint32_t ordered_take(struct mem *m, struct gpage first, uint32_t n, const void **out)
{
	static unsigned tried;

	return tried++ % 3 ? mem_uffd.take(m, first, (n + 1) / 2, out) : 0;
}

static int ordered_drop(struct mem *m, struct gpage page, struct err *e)
{
	atomic_fetch_add(&too_early, writable[page.v]);
	return mem_uffd.drop(m, page, e);
}

static int ordered_unprotect(struct mem *m, struct gpage page, struct err *e)
{
	writable[page.v] = true;
	return mem_uffd.unprotect(m, page, e);
}

static int ordered_protect(struct mem *m, struct gpage page, struct err *e)
{
	writable[page.v] = false;
	return mem_uffd.protect(m, page, e);
}

static int ordered_protect_run(struct mem *m, struct gpage first, uint32_t n, struct err *e)
{
	memset(&writable[first.v], 0, n);
	return mem_uffd.protect_run(m, first, n, e);
}

static int ordered_split(struct mem *m, struct gpage first, uint32_t n, struct err *e)
{
	memset(&writable[first.v], 1, n);
	return mem_uffd.split(m, first, n, e);
}

static int ordered_read_out(struct mem *m, struct gpage page, void *out, struct err *e)
{
	atomic_fetch_add(&too_early, writable[page.v]);
	return mem_uffd.read_out(m, page, out, e);
}

static int ordered_read_run(struct mem *m, struct gpage first, uint32_t n, void *room,
			    const void **at, struct err *e)
{
	for (uint32_t i = 0; i < n; i++)
		atomic_fetch_add(&too_early, writable[first.v + i]);
	return mem_uffd.read_run(m, first, n, room, at, e);
}

static const struct mem_ops *ordered(void)
{
	static struct mem_ops ops;

	ops = mem_uffd;
	ops.install = ordered_install;
	ops.install_run = ordered_install_run;
	ops.take = ordered_take;
	ops.drop = ordered_drop;
	ops.unprotect = ordered_unprotect;
	ops.protect = ordered_protect;
	ops.protect_run = ordered_protect_run;
	ops.split = ordered_split;
	ops.read_out = ordered_read_out;
	ops.read_run = ordered_read_run;
	return &ops;
}

/* ---- a region ---- */

static uint64_t content(uint64_t page, unsigned word)
{
	return page * 0x9e3779b97f4a7c15 + word * 0xbf58476d1ce4e5b9 + 1;
}

static bool good(const struct rack_member *m, uint64_t page)
{
	const volatile uint64_t *at = rack_page(m, page);

	for (unsigned i = 0; i < WORDS; i++)
		if (at[i] != content(page, i))
			return false;
	return true;
}

static void write_region(const struct rack_member *m)
{
	for (uint64_t p = 0; p < PAGES; p++)
		for (unsigned i = 0; i < WORDS; i++)
			((uint64_t *)rack_page(m, p))[i] = content(p, i);
}

static void check_region(const struct rack_member *m, bool down)
{
	for (uint64_t p = 0; p < PAGES; p++) {
		uint64_t page = down ? PAGES - 1 - p : p;

		if (!good(m, page)) {
			EXPECT(m->rack, !"a page of the stream is not what its owner wrote");
			return;
		}
	}
}

/* One reads upwards, another one down. */
static void read_what_one_wrote(struct rack_member *m)
{
	struct dsm_stats before, after;

	if (m->self == OWNER)
		write_region(m);
	EXPECT(m->rack, rack_barrier(m));
	dsm_stats(m->dsm, &before);
	if (m->self != OWNER)
		check_region(m, m->self > OWNER);
	dsm_stats(m->dsm, &after);
	EXPECT(m->rack, after.core.refused == 0);
	EXPECT(m->rack, atomic_load(&too_early) == 0);
	if (m->self != OWNER) {
		EXPECT(m->rack, after.asked_ahead > PAGES / 2);
		/* most of them came without a fault of their own */
		EXPECT(m->rack, after.faults_timed - before.faults_timed < PAGES / 2);
	}
	if (m->self < OWNER) /* upwards: in runs */
		EXPECT(m->rack,
		       after.transport.messages_in - before.transport.messages_in < PAGES * 3 / 4);
	EXPECT(m->rack, rack_barrier(m));
	rack_leave(m);
}

/* One after the other writes one word of each page, upwards and down; each finds what was written
 * before. */
static void write_what_one_wrote(struct rack_member *m)
{
	struct dsm_stats before, after;

	if (m->self == OWNER)
		write_region(m);
	for (unsigned turn = 0; turn < m->members; turn++) {
		EXPECT(m->rack, rack_barrier(m));
		if (turn != m->self)
			continue;
		dsm_stats(m->dsm, &before);
		for (uint64_t p = 0; p < PAGES; p++) {
			uint64_t page = turn % 2 ? PAGES - 1 - p : p;

			((uint64_t *)rack_page(m, page))[turn] = content(page, turn) + 1;
		}
		dsm_stats(m->dsm, &after);
	}
	EXPECT(m->rack, rack_barrier(m));
	for (uint64_t p = 0; p < PAGES; p++)
		for (unsigned i = 0; i < WORDS; i += WORDS / 32)
			EXPECT(m->rack, ((volatile uint64_t *)rack_page(m, p))[i] ==
						content(p, i) + (i < m->members));
	EXPECT(m->rack, atomic_load(&too_early) == 0);
	if (m->self == 0) { /* upwards, and others were the owners: in runs, most without a fault */
		EXPECT(m->rack, after.asked_ahead - before.asked_ahead > PAGES / 2);
		EXPECT(m->rack, after.faults_timed - before.faults_timed < PAGES / 2);
		EXPECT(m->rack,
		       after.transport.messages_in - before.transport.messages_in < PAGES * 3 / 4);
	}
	EXPECT(m->rack, rack_barrier(m));
	rack_leave(m);
}

static void a_region_is_written_in_turns(void)
{
	rack_run(3, &(struct rack_config){.pages = PAGES, .mem = ordered()}, write_what_one_wrote);
}

static void a_region_reads_as_its_owner_wrote_it(void)
{
	rack_run(3, &(struct rack_config){.pages = PAGES, .mem = ordered()}, read_what_one_wrote);
}

/* ---- while others write ---- */

enum { ROUNDS = 2, EVERY = 64, NEAR = 200, FAR = 400 }; /* words that count; pages */

/* Beside the space: how often each page was raised, and which one is being read. */
static struct beside {
	_Atomic uint64_t raised[PAGES];
	_Atomic uint64_t at;
} * beside;

static _Atomic uint64_t *word(const struct rack_member *m, uint64_t page, unsigned i)
{
	return (_Atomic uint64_t *)rack_page(m, page) + i;
}

/* First all words in the space, then the count beside it. */
static void raise_page(const struct rack_member *m, uint64_t page)
{
	for (unsigned i = 0; i < WORDS; i += EVERY)
		atomic_fetch_add(word(m, page, i), 1);
	atomic_fetch_add(&beside->raised[page], 1);
}

/* A write that is over is seen by whoever reads after it. */
static void scan(const struct rack_member *m)
{
	for (uint64_t p = 0; p < PAGES; p++) {
		uint64_t least = atomic_load(&beside->raised[p]);

		atomic_store(&beside->at, p);
		for (unsigned i = 0; i < WORDS; i += EVERY)
			EXPECT(m->rack, atomic_load(word(m, p, i)) >= least);
	}
	atomic_store(&beside->at, PAGES);
}

/* The owner writes where pages are about to be asked for, and read out; another one where they are
 * about to be read. */
static void write_around(const struct rack_member *m)
{
	unsigned seed = m->self;

	for (uint64_t at; (at = atomic_load(&beside->at)) < PAGES;) {
		uint64_t first = at + (m->self == OWNER ? FAR : 0);

		raise_page(m, (first + (unsigned)rand_r(&seed) % NEAR) % PAGES);
	}
}

/* Each time from pages that are the owner's alone. */
static void write_and_scan(struct rack_member *m)
{
	for (int round = 0; round < ROUNDS; round++) {
		atomic_store(&beside->at, 0);
		for (uint64_t p = 0; p < PAGES && m->self == OWNER; p++)
			raise_page(m, p);
		EXPECT(m->rack, rack_barrier(m));
		if (m->self == 0)
			scan(m);
		else
			write_around(m);
		EXPECT(m->rack, rack_barrier(m));
	}
	for (uint64_t p = 0; p < PAGES; p++)
		for (unsigned i = 0; i < WORDS; i += EVERY)
			EXPECT(m->rack, atomic_load(word(m, p, i)) == beside->raised[p]);
	EXPECT(m->rack, atomic_load(&too_early) == 0);
	EXPECT(m->rack, rack_barrier(m));
	rack_leave(m);
}

static void a_stream_sees_every_write_that_is_over(void)
{
	beside = mmap(NULL, sizeof(*beside), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	CU_ASSERT_FATAL(beside != MAP_FAILED);
	rack_run(3, &(struct rack_config){.pages = PAGES, .mem = ordered()}, write_and_scan);
	munmap(beside, sizeof(*beside));
}

/* ---- what comes between ---- */

enum { FIRST = 5, STOP = 40 };

static struct dsm_msg request(uint8_t type, uint64_t page, uint32_t txn, uint32_t version)
{
	return (struct dsm_msg){.type = type,
				.requester = {1},
				.epoch = {1},
				.page = {page},
				.pages = 1,
				.txn = txn,
				.version = version,
				.member = MEMBER_NONE};
}

static struct transport *connect_as_member_1(struct rack *rack)
{
	struct transport_config config = {.space = {77},
					  .epoch = {1},
					  .key = "a key of some thirty-two bytes",
					  .self = {1},
					  .members = 2,
					  .pages = PAGES,
					  .listen = "127.0.0.1:0"};
	const char *peers[] = {rack->address[0], NULL};
	struct transport *t;

	EXPECT(rack, !transport_tcp.open(&config, &t, NULL));
	transport_tcp.address(t, rack->address[1]);
	atomic_fetch_add(&rack->published, 1);
	EXPECT(rack, rack_wait(rack, &rack->published, 2));
	EXPECT(rack, !transport_tcp.connect(t, peers, RACK_TIMEOUT_MS, -1, NULL));
	return t;
}

static struct dsm_msg next_message(struct rack *rack, struct transport *t)
{
	struct transport_event ev;

	for (uint64_t end = clock_ms() + RACK_TIMEOUT_MS; clock_ms() < end; usleep(100)) {
		transport_tcp.poll(t, &ev);
		if (ev.type == TRANSPORT_MSG)
			return ev.msg;
		if (ev.type == TRANSPORT_LOST)
			break;
	}
	EXPECT(rack, !"no answer came");
	return (struct dsm_msg){0};
}

/* Asks for two pages to read, and at once for the first of them to write: all in one piece. */
static void ask_for_a_run_and_more(struct rack *rack, atomic_uint *said)
{
	struct transport *t = connect_as_member_1(rack);
	const struct member_id home = {0};
	struct dsm_msg ask[] = {request(PAGE_GET_S, FIRST, 1, 0),
				request(PAGE_GET_S, FIRST + 1, 2, 0),
				request(PAGE_UPGRADE, FIRST, 3, 1)};
	struct dsm_msg done, got;

	(void)said;
	EXPECT(rack, rack_wait(rack, &rack->step, 1));
	for (unsigned i = 0; i < 3; i++)
		transport_tcp.send(t, home, &ask[i], NULL, 0);
	transport_tcp.flush(t);
	got = next_message(rack, t);
	EXPECT(rack, got.type == PAGE_GRANT && got.page.v == FIRST && got.pages == 2);
	got = next_message(rack, t);
	EXPECT(rack, got.type == PAGE_GRANT && got.page.v == FIRST && got.acks == 1);
	done = request(PAGE_UNBLOCK, FIRST, 3, got.version);
	got = next_message(rack, t);
	EXPECT(rack, got.type == PAGE_ACK && got.page.v == FIRST);
	transport_tcp.send(t, home, &done, NULL, 0);
	transport_tcp.flush(t);
	atomic_store(&rack->arrived[STOP], 1);
	for (;;)
		next_message(rack, t);
}

static void answer_both(struct rack_member *m)
{
	for (uint64_t p = FIRST; p < FIRST + 2; p++)
		atomic_store((_Atomic uint64_t *)rack_page(m, p), p);
	usleep(20000); /* no hold is left of the grants */
	atomic_store(&m->rack->step, 1);
	EXPECT(m->rack, rack_wait(m->rack, &m->rack->arrived[STOP], 1));
	EXPECT(m->rack, atomic_load(&m->rack->member[0].lost) == 0);
	EXPECT(m->rack, atomic_load(&too_early) == 0);
	kill(m->rack->pid[1], SIGKILL);
	_exit(0);
}

static void what_comes_after_a_run_does_not_overtake_it(void)
{
	static struct rack_config config = {.pages = PAGES, .never_whole = true}; /* versions */
	struct rack *rack;

	config.impostor = ask_for_a_run_and_more;
	config.mem = ordered();
	rack = rack_start(2, &config, answer_both);
	if (rack)
		rack_finish(rack, 2, 1u << 1);
}

int main(void)
{
	static const struct unit_case cases[] = {
		UNIT_CASE(a_region_reads_as_its_owner_wrote_it),
		UNIT_CASE(a_region_is_written_in_turns),
		UNIT_CASE(a_stream_sees_every_write_that_is_over),
		UNIT_CASE(what_comes_after_a_run_does_not_overtake_it),
	};

	return unit_main("dsm streams", cases, UNIT_COUNT(cases));
}
