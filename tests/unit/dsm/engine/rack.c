/* SPDX-License-Identifier: Apache-2.0 */
#include "rack.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/base/clock.h"
#include "tests/unit/unit.h"

void rack_failed(struct rack *rack, const char *file, int line, const char *what)
{
	fprintf(stderr, "\n%s:%d: %s\n", file, line, what);
	atomic_fetch_add(&rack->failures, 1);
}

bool rack_wait(struct rack *rack, atomic_uint *value, unsigned at_least)
{
	uint64_t end = clock_ms() + RACK_TIMEOUT_MS;

	while (atomic_load(value) < at_least) {
		if (clock_ms() > end || atomic_load(&rack->broken))
			return false;
		usleep(500);
	}
	return true;
}

bool rack_barrier(struct rack_member *m)
{
	atomic_uint *arrived = &m->rack->arrived[m->barrier++ % 64];

	atomic_fetch_add(arrived, 1);
	return rack_wait(m->rack, arrived, m->members);
}

void rack_leave(struct rack_member *m)
{
	EXPECT(m->rack, rack_barrier(m));
	dsm_quiesce(m->dsm);
	EXPECT(m->rack, rack_barrier(m));
	dsm_close(m->dsm);
	m->dsm = NULL;
}

/* Of who is called back; a newcomer may still be learning its number. */
static struct rack_seen *seen_by(struct rack_member *m)
{
	return &m->rack->member[atomic_load(&m->self)];
}

static void on_lost(void *context, struct member_id member, const struct err *why)
{
	struct rack_seen *seen = seen_by(context);

	atomic_store(&seen->culprit, member.v);
	atomic_store(&seen->code, why->code);
	atomic_fetch_add(&seen->lost, 1);
}

static void on_left(void *context, struct member_id member)
{
	(void)member;
	atomic_fetch_add(&seen_by(context)->left, 1);
}

static void on_joined(void *context, struct member_id member)
{
	(void)member;
	atomic_fetch_add(&seen_by(context)->came, 1);
}

#if defined(__SANITIZE_THREAD__)
/* A queue may grow in the SIGBUS handler of an inline fault. That interrupts an access to a page,
 * and never malloc (dsm/trap.h). */
const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
	return "report_signal_unsafe=0";
}
#endif

static void describe_space(struct rack_member *m, struct dsm_config *out)
{
	const struct rack_config *c = m->config;

	*out = (struct dsm_config){
		.space = {77},
		.epoch = {1},
		.self = {m->self},
		.members = c->numbers ? c->numbers : m->members,
		.founders = m->members,
		.pages = c->pages,
		.locals = c->locals,
		.key = "a key of some thirty-two bytes",
		.listen = "127.0.0.1:0",
		.hold_us = c->hold_us,
		.never_whole = c->never_whole,
		.silence_ms = c->silence_ms,
		.context = m,
		.lost = on_lost,
		.left = on_left,
		.joined = on_joined,
		.post = c->post,
		.recorder = c->recorder ? c->recorder[m->self] : 0,
		.inline_faults = getenv("CELLULAR_INLINE_FAULTS") != NULL,
	};

	memcpy(out->local, c->local, sizeof(out->local));
	if (c->wrong_key && m->self == m->members - 1)
		out->key[31] ^= 1;
}

static int open_space(struct rack_member *m)
{
	const struct rack_config *c = m->config;
	struct dsm_config config;

	describe_space(m, &config);
	return dsm_open_on(&config, c->mem ? c->mem : &mem_uffd, &transport_tcp, &m->dsm, &m->why);
}

static int connect_space(struct rack_member *m)
{
	const char *peers[RACK_MEMBERS];
	struct rack *rack = m->rack;

	dsm_address(m->dsm, rack->address[m->self]);
	atomic_fetch_add(&rack->published, 1);
	if (!rack_wait(rack, &rack->published, m->members))
		return ERR_TIMEOUT;
	for (uint8_t i = 0; i < m->members; i++)
		peers[i] = m->config->route ? m->config->route(m, i) : rack->address[i];
	m->base = dsm_base(m->dsm);
	return dsm_connect(m->dsm, peers,
			   m->config->connect_ms ? m->config->connect_ms : RACK_TIMEOUT_MS, -1,
			   &m->why);
}

static int member(struct rack_member *m, void (*body)(struct rack_member *))
{
	int rc;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (m->config->impostor && m->self == 1)
		m->config->impostor(m->rack, &m->rack->member[1].mark);
	rc = open_space(m);
	if (!rc)
		rc = connect_space(m);
	if (rc && !m->config->may_fail_to_connect) {
		rack_failed(m->rack, __FILE__, __LINE__, m->why.text);
		atomic_store(&m->rack->broken, true);
		return 1;
	}
	atomic_fetch_add(&m->rack->joined, 1);
	body(m);
	return 0;
}

static int newcomer(struct rack_member *m, uint8_t host, void (*body)(struct rack_member *))
{
	const struct rack_config *c = m->config;
	struct dsm_config config;
	struct dsm_shape shape;
	int rc;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	describe_space(m, &config);
	if (c->wrong_key)
		config.key[0] ^= 1;
	rc = dsm_join(&config, m->rack->address[host],
		      c->connect_ms ? c->connect_ms : RACK_TIMEOUT_MS, -1, &m->dsm, &m->why);
	if (rc && !c->may_fail_to_connect) {
		rack_failed(m->rack, __FILE__, __LINE__, m->why.text);
		atomic_store(&m->rack->broken, true);
		return 1;
	}
	if (!rc) {
		dsm_shape(m->dsm, &shape);
		m->self = shape.self.v;
		m->base = dsm_base(m->dsm);
		dsm_address(m->dsm, m->rack->address[m->self]);
		atomic_fetch_add(&m->rack->joined, 1);
	}
	body(m);
	return 0;
}

void rack_add(struct rack *rack, uint8_t place, uint8_t host, const struct rack_config *config,
	      void (*body)(struct rack_member *))
{
	/* what happens before it knows its number counts for nobody */
	struct rack_member m = {.rack = rack, .config = config, .self = RACK_MEMBERS_MAX - 1};
	pid_t pid;

	fflush(NULL);
	pid = fork();
	CU_ASSERT_FATAL(pid >= 0);
	if (pid == 0)
		_exit(newcomer(&m, host, body));
	rack->pid[place] = pid;
}

static bool can_fault(const struct rack_config *config)
{
	const struct mem_config one = {.pages = 1};
	struct mem *mem = NULL;
	struct err e = {0};

	(void)config;
	if (mem_uffd.open(&one, &mem, &e)) {
		unit_skip("%s", e.text);
		return false;
	}
	mem_uffd.close(mem);
	return true;
}

struct rack *rack_start(uint8_t members, const struct rack_config *config,
			void (*body)(struct rack_member *))
{
	struct rack *rack;

	if (!can_fault(config))
		return NULL;
	rack = mmap(NULL, sizeof(*rack), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CU_ASSERT_FATAL(rack != MAP_FAILED);
	fflush(NULL);
	for (uint8_t i = 0; i < members; i++) {
		struct rack_member m = {
			.rack = rack, .config = config, .self = i, .members = members};

		pid_t pid = fork();

		CU_ASSERT_FATAL(pid >= 0);
		if (pid == 0)
			_exit(member(&m, body));
		rack->pid[i] = pid;
	}
	return rack;
}

/* True if it ended by itself with status 0. */
static bool reap(struct rack *rack, uint8_t i, uint64_t end)
{
	int status = -1;
	pid_t pid;

	while ((pid = waitpid(rack->pid[i], &status, WNOHANG)) == 0 && clock_ms() < end)
		usleep(1000);
	if (pid == 0) {
		kill(rack->pid[i], SIGKILL);
		waitpid(rack->pid[i], &status, 0);
		fprintf(stderr, "\nmember %u did not end\n", i);
		return false;
	}
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

void rack_finish(struct rack *rack, uint8_t members, uint64_t killed)
{
	uint64_t end = clock_ms() + RACK_TIMEOUT_MS;

	for (uint8_t i = 0; i < members; i++) {
		bool good = reap(rack, i, end);

		CU_ASSERT(good || (killed >> i & 1));
	}
	CU_ASSERT_EQUAL(atomic_load(&rack->failures), 0);
	munmap(rack, sizeof(*rack));
}

void rack_run(uint8_t members, const struct rack_config *config, void (*body)(struct rack_member *))
{
	struct rack *rack = rack_start(members, config, body);

	if (rack)
		rack_finish(rack, members, 0);
}
