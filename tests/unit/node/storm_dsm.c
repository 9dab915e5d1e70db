/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/node/storm_dsm.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "dsm/dsm.h"
#include "dsm/mem.h"
#include "proto/base/clock.h"

enum {
	TAKE_EVERY_NS = 40000,
	LOOK_AGAIN_EVERY = 4, /* one take in so many looks at the page twice */
	LOOK_AGAIN_NS = 20000,
	HOLD_NS = 100000, /* how long a page stays at least; twice as long if it left unused */
	HOLD_NS_MAX = 50000000,
	PRIORITY = -20, /* a shard's thread does not wait for vCPUs, either */
};

enum state { ABSENT, READ_ONLY, WRITABLE };

struct page {
	enum state state;
	uint32_t hold_ns;
	uint64_t given_ns;
};

struct dsm {
	struct dsm_config config;
	struct mem *mem;
	struct page *page;
	uint8_t *store;	 /* contents of absent pages; what a present one was given with */
	uint64_t random; /* xorshift64 */
	uint64_t hand;	 /* where the search for a page to take goes on */
	pthread_t thread;
	bool running;
	atomic_bool stop;
};

struct storm_options storm_options;
struct storm_figures storm_figures;

static uint64_t draw(struct dsm *d)
{
	d->random ^= d->random << 13;
	d->random ^= d->random >> 7;
	d->random ^= d->random << 17;
	return d->random;
}

static void must(int rc)
{
	if (rc && !storm_figures.failed)
		storm_figures.failed = rc;
}

static uint8_t *stored(struct dsm *d, uint64_t page)
{
	return d->store + (page << DSM_PAGE_SHIFT);
}

/* ---- taking ---- */

static void look_again(struct dsm *d, struct gpage page, const uint8_t *before)
{
	const struct timespec moment = {.tv_nsec = LOOK_AGAIN_NS};
	uint8_t again[DSM_PAGE_SIZE];

	nanosleep(&moment, NULL);
	must(mem_uffd.read_out(d->mem, page, again, NULL));
	storm_figures.unstable += memcmp(before, again, sizeof(again)) != 0;
}

/* A page that leaves before it was used would come and go for ever. */
static void account_use(struct page *p, bool written)
{
	storm_figures.written += written;
	if (written || !p->hold_ns)
		p->hold_ns = HOLD_NS;
	else if (p->hold_ns < HOLD_NS_MAX)
		p->hold_ns *= 2;
}

static void take(struct dsm *d, struct gpage page)
{
	const struct timespec moment = {.tv_nsec = LOOK_AGAIN_NS};
	uint8_t out[DSM_PAGE_SIZE];

	if (storm_options.read_first) {
		must(mem_uffd.read_out(d->mem, page, out, NULL));
		nanosleep(&moment, NULL); /* widens the window, so that the test is short */
	}
	if (d->page[page.v].state == WRITABLE)
		must(mem_uffd.protect(d->mem, page, NULL));
	if (!storm_options.read_first) {
		must(mem_uffd.read_out(d->mem, page, out, NULL));
		if (draw(d) % LOOK_AGAIN_EVERY == 0)
			look_again(d, page, out);
	}
	must(mem_uffd.drop(d->mem, page, NULL));
	d->page[page.v].state = ABSENT;
	storm_figures.taken++;
	account_use(&d->page[page.v], memcmp(out, stored(d, page.v), sizeof(out)) != 0);
	memcpy(stored(d, page.v), out, sizeof(out));
	if (storm_options.taken)
		storm_options.taken(page.v, out);
}

static bool is_local(const struct dsm *d, uint64_t page)
{
	for (int i = 0; i < d->config.locals; i++)
		if (page - d->config.local[i].first < d->config.local[i].pages)
			return true;
	return false;
}

/* The next present page after a random jump, if there is one near. */
static void take_some_page(struct dsm *d)
{
	uint64_t first = storm_options.first;
	uint64_t pages = (storm_options.end ? storm_options.end : d->config.pages) - first;

	d->hand += draw(d) % 64;
	for (uint64_t tries = 0; tries < pages && tries < 4096; tries++) {
		uint64_t page = first + d->hand++ % pages;

		if (d->page[page].state == ABSENT ||
		    clock_ns() - d->page[page].given_ns < d->page[page].hold_ns)
			continue;
		take(d, (struct gpage){page});
		return;
	}
}

/* ---- giving ---- */

static void give(struct dsm *d, struct gpage page, bool writable)
{
	must(mem_uffd.install(d->mem, page, writable, stored(d, page.v), NULL));
	d->page[page.v].state = writable ? WRITABLE : READ_ONLY;
	d->page[page.v].given_ns = clock_ns();
	if (writable)
		storm_figures.given_rw++;
	else
		storm_figures.given_ro++;
}

/* M4: the state decides, not the message. A writer in a read-only page has it upgraded, or taken
 * and given anew. */
static void serve(struct dsm *d, const struct mem_fault *f)
{
	const uint64_t page = f->page.v;

	if (page >= d->config.pages || is_local(d, page)) {
		must(ERR_PROTOCOL);
		return;
	}
	storm_figures.own_faults += f->thread == (uint32_t)syscall(SYS_gettid);
	if (d->page[page].state == READ_ONLY && f->write) {
		if (draw(d) % 4 == 0) {
			take(d, f->page);
			give(d, f->page, true);
		} else {
			must(mem_uffd.unprotect(d->mem, f->page, NULL));
			d->page[page].state = WRITABLE;
			d->page[page].given_ns = clock_ns();
			storm_figures.upgraded++;
		}
	} else if (d->page[page].state == ABSENT) {
		give(d, f->page, f->write || draw(d) % 2);
	}
	must(mem_uffd.wake(d->mem, f->page, NULL));
}

static void *storm(void *context)
{
	const struct timespec pace = {.tv_nsec = TAKE_EVERY_NS};
	struct dsm *d = context;
	struct mem_fault faults[16];

	setpriority(PRIO_PROCESS, 0, PRIORITY);
	while (!atomic_load(&d->stop)) {
		struct pollfd p = {.fd = mem_uffd.fd(d->mem), .events = POLLIN};
		int n = ppoll(&p, 1, &pace, NULL) > 0 ? mem_uffd.faults(d->mem, faults, 16) : 0;

		for (int i = 0; i < n; i++)
			serve(d, &faults[i]);
		take_some_page(d);
	}
	return NULL;
}

/* ---- dsm.h ---- */

int dsm_open(const struct dsm_config *config, struct dsm **out, struct err *e)
{
	struct mem_config c = {.pages = config->pages, .locals = config->locals};
	struct dsm *d = calloc(1, sizeof(*d));
	int rc;

	memcpy(c.local, config->local, sizeof(c.local));
	d->config = *config;
	d->random = 88172645463325252ull;
	d->page = calloc(config->pages, sizeof(*d->page));
	d->store = calloc(config->pages, DSM_PAGE_SIZE);
	memset(&storm_figures, 0, sizeof(storm_figures));
	if ((rc = mem_uffd.open(&c, &d->mem, e))) {
		dsm_close(d);
		return rc;
	}
	*out = d;
	return ERR_OK;
}

int dsm_connect(struct dsm *d, const char *const *peers, int timeout_ms, int stop_fd, struct err *e)
{
	(void)peers, (void)timeout_ms, (void)stop_fd;
	if (pthread_create(&d->thread, NULL, storm, d))
		return err_set(e, ERR_NOMEM, "no thread");
	d->running = true;
	return ERR_OK;
}

void dsm_close(struct dsm *d)
{
	if (!d)
		return;
	atomic_store(&d->stop, true);
	if (d->running)
		pthread_join(d->thread, NULL);
	mem_uffd.close(d->mem);
	free(d->page);
	free(d->store);
	free(d);
}

void *dsm_base(const struct dsm *d)
{
	return mem_uffd.base(d->mem);
}

int dsm_uffd(const struct dsm *d)
{
	return mem_uffd.fd(d->mem);
}

/* A bounded hold may be over at once: the access is right, and faults. */
int dsm_acquire(struct dsm *d, struct gpage page, uint32_t pages, bool write, uint32_t *token,
		struct err *e)
{
	(void)d, (void)page, (void)pages, (void)write, (void)e;
	*token = 1;
	return ERR_OK;
}

void dsm_release(struct dsm *d, uint32_t token)
{
	(void)d, (void)token;
}

int dsm_post(struct dsm *d, struct member_id to, const void *bytes, uint32_t n)
{
	d->config.post(d->config.context, to, bytes, n);
	return ERR_OK;
}
