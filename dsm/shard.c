/* SPDX-License-Identifier: Apache-2.0 */
#include "dsm/shard.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "dsm/core/journal.h"
#include "dsm/trap.h"
#include "proto/base/fd.h"

enum {
	HOLD_US = 200,	    /* where dsm_config says 0 */
	HOLD_LEAST_US = 20, /* a woken thread runs by then: a page it did not use came in vain */
	ACQUIRE_US = 10000, /* a device copies at most DSM_ACQUIRE_PAGES_MAX pages in that time */
};

/* Address space that is touched lazily and zero. */
static void *reserve(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

static void release(void *p, size_t bytes)
{
	if (p)
		munmap(p, bytes);
}

static size_t bitmap_bytes(const struct shard *s)
{
	return (s->config.pages + 63) / 64 * sizeof(uint64_t);
}

static int open_mem(struct shard *s, struct err *e)
{
	struct mem_config config = {
		.pages = s->config.pages,
		.locals = s->config.locals,
		.want = s->config.address,
		.sigbus = s->config.inline_faults,
	};

	memcpy(config.local, s->config.local, sizeof(config.local));
	return s->mem_ops->open(&config, &s->mem, e);
}

static int open_recorder(struct shard *s, const struct dsm_core_config *config, struct err *e)
{
	size_t bytes = dsm_journal_bytes(config, DSM_JOURNAL_EVENTS);

	struct stat st;

	if (fstat(s->config.recorder, &st) ||
	    (st.st_size < (off_t)bytes && ftruncate(s->config.recorder, (off_t)bytes)))
		return err_sys(e, errno, "make room for the flight recorder");
	s->journal = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, s->config.recorder, 0);
	if (s->journal == MAP_FAILED) {
		s->journal = NULL;
		return err_sys(e, errno, "map the flight recorder");
	}
	s->journal_bytes = bytes;
	dsm_core_record(s->core, s->journal, DSM_JOURNAL_EVENTS);
	return ERR_OK;
}

static int open_core(struct shard *s, const struct shard_seat *seat, struct err *e)
{
	struct dsm_core_config config = {
		.self = s->config.self,
		.members = s->config.members,
		.founders = s->config.founders,
		.epoch = s->config.epoch,
		.pages = s->config.pages,
		.hold_us = s->config.hold_us ? s->config.hold_us : HOLD_US,
		.acquire_us = ACQUIRE_US,
		.whole = !s->config.never_whole,
		.locals = s->config.locals,
	};
	void *memory;

	if (config.hold_us < HOLD_LEAST_US)
		config.hold_us = HOLD_LEAST_US;
	memcpy(config.local, s->config.local, sizeof(config.local));
	if (seat) {
		config.present = seat->present;
		memcpy(config.heir, seat->heir, sizeof(config.heir));
	}
	s->core_bytes = dsm_core_bytes(&config);
	if (!s->core_bytes)
		return err_set(e, ERR_INVALID,
			       "a space of %llu pages, %u members, member %u, is out of range",
			       (unsigned long long)s->config.pages, s->config.members,
			       s->config.self.v);
	memory = reserve(s->core_bytes);
	if (!memory)
		return err_set(e, ERR_NOMEM, "no address space for the tables of %llu pages",
			       (unsigned long long)s->config.pages);
	s->core = dsm_core_init(memory, &config);
	if (!s->core) {
		release(memory, s->core_bytes);
		return err_set(e, ERR_INVALID, "the core refuses this space");
	}
	s->greeted = dsm_core_present(s->core);
	s->channels = s->greeted & ~dsm_bit(s->config.self.v);
	atomic_store(&s->present, s->greeted);
	membership_begin(s);
	return s->config.recorder ? open_recorder(s, &config, e) : ERR_OK;
}

static int open_tables(struct shard *s, struct err *e)
{
	s->slots = reserve(DSM_SLOTS * DSM_PAGE_SIZE);
	s->run_pages = reserve(SHARD_RUN_MAX * DSM_PAGE_SIZE);
	s->here = reserve(bitmap_bytes(s));
	s->gone = reserve(bitmap_bytes(s));
	s->own = reserve(bitmap_bytes(s));
	s->unused = reserve(bitmap_bytes(s));
	for (int write = 0; write < 2; write++)
		s->ahead[write] = (struct ahead){.pages = s->config.pages, .unused = s->unused};
	if (!s->slots || !s->here || !s->gone || !s->own || !s->unused || !s->run_pages)
		return err_set(e, ERR_NOMEM, "no memory for page buffers");
	return ERR_OK;
}

static int open_transport(struct shard *s, struct err *e)
{
	struct transport_config config = {
		.space = s->config.space,
		.epoch = s->config.epoch,
		.self = s->config.self,
		.members = s->config.members,
		.present = s->greeted,
		.open = s->config.founders < s->config.members,
		.pages = s->config.pages,
		.listen = s->config.listen,
		.silence_ms = s->config.silence_ms,
	};

	memcpy(config.key, s->config.key, sizeof(config.key));
	return s->transport_ops->open(&config, &s->transport, e);
}

static int open_events(struct shard *s, struct err *e)
{
	int rc = command_open(&s->commands, e);

	if (rc)
		return rc;
	s->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	s->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (s->timer < 0 || s->epoll < 0)
		return err_sys(e, errno, "open the shard's timer and epoll");
	return ERR_OK;
}

int shard_open(const struct shard_config *config, struct shard **out, struct err *e)
{
	struct shard *s = calloc(1, sizeof(*s));
	int rc;

	if (!s)
		return err_set(e, ERR_NOMEM, "no memory for a shard");
	s->config = *config->space;
	if (!s->config.founders)
		s->config.founders = s->config.members;
	s->newcomer = config->seat != NULL;
	s->user = config->user;
	s->mem_ops = config->mem;
	s->transport_ops = config->transport;
	s->epoll = s->timer = -1;
	s->deadline = s->armed = UINT64_MAX;
	rc = open_core(s, config->seat, e); /* checks the configuration */
	if (!rc)
		rc = open_mem(s, e);
	if (!rc)
		rc = open_tables(s, e);
	if (!rc)
		rc = open_events(s, e);
	if (!rc)
		rc = open_transport(s, e);
	if (rc) {
		shard_close(s);
		return rc;
	}
	*out = s;
	return ERR_OK;
}

int shard_connect(struct shard *s, const char *const *peers, int timeout_ms, int stop_fd,
		  struct err *e)
{
	return s->transport_ops->connect(s->transport, peers, timeout_ms, stop_fd, e);
}

int shard_start(struct shard *s, struct err *e)
{
	sigset_t all, before;
	int rc = shard_watch(s, e);

	if (!rc && s->config.inline_faults)
		rc = shard_catch_faults(s, e);
	if (rc)
		return rc;
	sigfillset(&all);
	sigdelset(&all, SIGSYS); /* of a sandbox: its handler says which call it was */
	pthread_sigmask(SIG_SETMASK, &all,
			&before); /* the thread inherits it: signals are for others */
	rc = pthread_create(&s->thread, NULL, shard_thread, s);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (rc)
		return err_sys(e, rc, "start the shard's thread");
	s->running = true;
	return ERR_OK;
}

void shard_close(struct shard *s)
{
	if (!s)
		return;
	if (s->running) {
		atomic_store(&s->stop, true);
		command_nudge(s->commands);
		pthread_join(s->thread, NULL);
	}
	if (s->transport)
		s->transport_ops->close(s->transport);
	if (s->mem && s->config.inline_faults)
		trap_remove(s->mem_ops->base(s->mem));
	if (s->mem)
		s->mem_ops->close(s->mem);
	fd_close(&s->epoll);
	fd_close(&s->timer);
	command_close(s->commands);
	release(s->slots, DSM_SLOTS * DSM_PAGE_SIZE);
	release(s->run_pages, SHARD_RUN_MAX * DSM_PAGE_SIZE);
	release(s->here, bitmap_bytes(s));
	release(s->gone, bitmap_bytes(s));
	release(s->own, bitmap_bytes(s));
	release(s->unused, bitmap_bytes(s));
	release(s->core, s->core_bytes);
	release(s->journal, s->journal_bytes);
	free(s);
}

int shard_command(struct shard *s, const struct command *c, const void *payload)
{
	if (shard_is_mine(s)) /* of a callback: this round carries it out */
		return command_push_own(s->commands, c, payload);
	return command_push(s->commands, c, payload);
}

void shard_quiesce(struct shard *s)
{
	atomic_store(&s->quiesced, true);
}

dsm_set shard_present(const struct shard *s)
{
	return atomic_load(&s->present);
}

bool shard_ended(const struct shard *s)
{
	return atomic_load(&s->ended);
}
