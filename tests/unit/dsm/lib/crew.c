/* SPDX-License-Identifier: Apache-2.0 */
#include "crew.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/base/clock.h"
#include "tests/unit/unit.h"

const unsigned char crew_key[CDSM_KEY_BYTES] = "a key of some thirty-two bytes";

void crew_failed(struct crew *crew, const char *file, int line, const char *what)
{
	fprintf(stderr, "\n%s:%d: %s\n", file, line, what);
	atomic_fetch_add(&crew->failures, 1);
}

bool crew_wait(struct crew *crew, atomic_uint *value, unsigned least)
{
	uint64_t end = clock_ms() + CREW_PATIENCE_MS;

	while (atomic_load(value) < least) {
		if (clock_ms() > end) {
			crew_failed(crew, __FILE__, __LINE__, "waited in vain");
			return false;
		}
		usleep(200);
	}
	return true;
}

enum { MEETINGS = CREW_WORDS - 1 }; /* the last word */

void crew_meet(struct hand *h, unsigned n)
{
	atomic_ullong *arrived = &h->crew->word[MEETINGS];
	unsigned long long all = (atomic_fetch_add(arrived, 1) / n + 1) * n;
	uint64_t end = clock_ms() + CREW_PATIENCE_MS;

	while (atomic_load(arrived) < all && clock_ms() < end)
		usleep(200);
	HOLDS(h->crew, atomic_load(arrived) >= all);
}

/* ---- accesses ---- */

static _Thread_local sigjmp_buf *touching;
static _Thread_local void *volatile bus_address;
static _Thread_local volatile int bus_code;

static void on_bus(int sig, siginfo_t *info, void *context)
{
	(void)context;
	if (!touching)
		abort(); /* nobody expects it */
	(void)sig;
	bus_address = info->si_addr;
	bus_code = info->si_code;
	siglongjmp(*touching, 1);
}

static void catch_bus(void)
{
	struct sigaction sa = {.sa_sigaction = on_bus, .sa_flags = SA_SIGINFO | SA_NODEFER};

	sigaction(SIGBUS, &sa, NULL);
}

/* By hand: a sanitizer makes a call of an atomic, and a jump out of that leaves its locks behind.
 */
static unsigned long long touch(atomic_ullong *word, bool write)
{
	unsigned long long value = 1;

	if (write)
		__asm__ volatile("lock xaddq %0, (%1)" : "+r"(value) : "r"(word) : "memory");
	else
		__asm__ volatile("movq (%1), %0" : "=r"(value) : "r"(word) : "memory");
	return value;
}

bool crew_touch(struct crew *crew, atomic_ullong *word, bool write, unsigned long long *value)
{
	sigjmp_buf here;

	if (sigsetjmp(here, 1) == 0) {
		touching = &here;
		*value = touch(word, write);
		touching = NULL;
		return true;
	}
	touching = NULL;
	HOLDS(crew, bus_address == (void *)word);
	HOLDS(crew, bus_code == BUS_ADRERR);
	return false;
}

/* ---- members ---- */

#if defined(__SANITIZE_THREAD__)
/* A queue may grow in the SIGBUS handler of an inline fault, which never interrupts malloc. */
const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
	return "report_signal_unsafe=0";
}
#endif

static struct cdsm_options options_of(const struct crew_config *config)
{
	struct cdsm_options o = CDSM_OPTIONS;

	o.key = crew_key;
	o.silence_ms = config->silence_ms ? config->silence_ms : 20000;
	o.hold_us = config->hold_us;
	o.faults = getenv("CELLULAR_INLINE_FAULTS") ? CDSM_FAULTS_INLINE : CDSM_FAULTS_THREAD;
	return o;
}

static int member(struct hand *h, const char *host, const struct crew_config *config,
		  void (*body)(struct hand *))
{
	struct cdsm_options o = options_of(config);
	struct cdsm_error why = {0};
	int rc;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	catch_bus(); /* before the library, which may have a handler, too */
	if (!host)
		rc = cdsm_create(&o, config->bytes, &h->space, &why);
	else
		rc = cdsm_join(&o, host, CREW_PATIENCE_MS, &h->space, &why);
	if (rc) {
		crew_failed(h->crew, __FILE__, __LINE__, why.text);
		return 1;
	}
	HOLDS(h->crew, cdsm_self(h->space) == h->self);
	h->base = cdsm_map(h->space, NULL);
	strcpy(h->crew->address[h->self], cdsm_address(h->space));
	atomic_fetch_add(&h->crew->joined, 1);
	body(h);
	return 0;
}

static void launch(struct crew *crew, unsigned self, const char *host,
		   const struct crew_config *config, void (*body)(struct hand *))
{
	struct hand h = {.crew = crew, .self = self};
	pid_t pid;

	fflush(NULL);
	pid = fork();
	CU_ASSERT_FATAL(pid >= 0);
	if (pid == 0)
		exit(member(&h, host, config, body)); /* leaks are looked for */
	crew->pid[self] = pid;
	CU_ASSERT_FATAL(crew_wait(crew, &crew->joined, self + 1));
}

bool crew_can(void)
{
	struct cdsm_options o = options_of(&(struct crew_config){0});
	struct cdsm_error why;
	struct cdsm *space;

	if (cdsm_create(&o, 1, &space, &why)) {
		unit_skip("%s", why.text);
		return false;
	}
	cdsm_close(space);
	return true;
}

struct crew *crew_start(unsigned n, const struct crew_config *config, void (*body)(struct hand *))
{
	struct crew *crew;

	if (!crew_can())
		return NULL;
	crew = mmap(NULL, sizeof(*crew), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CU_ASSERT_FATAL(crew != MAP_FAILED);
	for (unsigned i = 0; i < n; i++)
		launch(crew, i, i ? crew->address[i - 1] : NULL, config, body);
	return crew;
}

void crew_add(struct crew *crew, unsigned self, unsigned host, const struct crew_config *config,
	      void (*body)(struct hand *))
{
	launch(crew, self, crew->address[host], config, body);
}

static bool reap(struct crew *crew, unsigned i, uint64_t end)
{
	int status = -1;
	pid_t pid;

	while ((pid = waitpid(crew->pid[i], &status, WNOHANG)) == 0 && clock_ms() < end)
		usleep(1000);
	if (pid == 0) {
		kill(crew->pid[i], SIGKILL);
		waitpid(crew->pid[i], &status, 0);
		fprintf(stderr, "\nmember %u did not end\n", i);
		return false;
	}
	return status == 0;
}

void crew_finish(struct crew *crew, unsigned n, unsigned killed)
{
	uint64_t end = clock_ms() + CREW_PATIENCE_MS;

	for (unsigned i = 0; i < n; i++) {
		bool good = reap(crew, i, end);

		CU_ASSERT(good || (killed >> i & 1));
	}
	CU_ASSERT_EQUAL(atomic_load(&crew->failures), 0);
	munmap(crew, sizeof(*crew));
}

void crew_run(unsigned n, const struct crew_config *config, void (*body)(struct hand *))
{
	struct crew *crew = crew_start(n, config, body);

	if (crew)
		crew_finish(crew, n, 0);
}

void crew_stop(struct crew *crew, unsigned self)
{
	kill(crew->pid[self], SIGSTOP);
	CU_ASSERT(waitpid(crew->pid[self], NULL, WUNTRACED) == crew->pid[self]);
}

void crew_leave(struct hand *h)
{
	struct cdsm_error why = {0};

	if (cdsm_leave(h->space, CREW_PATIENCE_MS, &why))
		crew_failed(h->crew, __FILE__, __LINE__, why.text);
	cdsm_close(h->space);
	h->space = NULL;
}
