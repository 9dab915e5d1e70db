/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A recording's state is taken on trust (it comes from a process that died), so the cores run in a
 * child: what kills it is a damaged recording.
 */
#include "tests/sim/replay.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dsm/core/journal.h"
#include "proto/base/err.h"
#include "tests/sim/say.h"

enum { EXIT_SAME = 0, EXIT_DIFFERS = 1, EXIT_REFUSED = 2, LINES_SHOWN = 200, ANY_PAGE = -1 };

struct flight {
	const char *path;
	const struct dsm_journal *journal;
	struct dsm_core *core;
	uint8_t self;
	uint32_t next;	 /* entry */
	uint32_t differ; /* entries that came out otherwise */
	bool under_way;	 /* the last step never ended */
	uint8_t culprit; /* of the LOST effect */
	uint32_t reason; /* ... enum err_code; 0: the space had not ended */
};

struct replay {
	struct flight *flights;
	int n;
	int64_t page;	/* only this page's lines, or ANY_PAGE */
	uint64_t quiet; /* so many of the steps are run, not told */
	uint64_t step;
	struct dsm_effects fx;
};

static void usage(FILE *out)
{
	fputs("usage: cellsim --replay FILE... [--page P] [--all]\n"
	      "Runs flight recordings of the members of one space again, step by step.\n\n"
	      "  --page P   tell only what concerns page P\n"
	      "  --all      tell all steps (the last 200)\n"
	      "Ends with 0 (the cores do what was recorded), 1 (they do not) or 2 (usage, or a "
	      "file\n"
	      "that is no recording of this version).\n",
	      out);
}

/* ---- files ---- */

static bool map_file(struct flight *f)
{
	int fd = open(f->path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	const char *why;
	void *block;

	if (fd < 0 || fstat(fd, &st)) {
		fprintf(stderr, "cellsim: %s: %s\n", f->path, strerror(errno));
		return false;
	}
	/* Private: a recording still being written may change, but not below our feet. */
	block = st.st_size ? mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0)
			   : MAP_FAILED;
	close(fd);
	why = "it is empty";
	f->journal = block == MAP_FAILED ? NULL : dsm_journal_open(block, (size_t)st.st_size, &why);
	if (!f->journal)
		fprintf(stderr, "cellsim: %s cannot be replayed: %s\n", f->path, why);
	return f->journal != NULL;
}

static bool restore(struct flight *f)
{
	const struct dsm_core_config *c = dsm_journal_config(f->journal);
	void *memory = mmap(NULL, dsm_core_bytes(c), PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (memory == MAP_FAILED) {
		fprintf(stderr, "cellsim: %s: no memory for a core of %" PRIu64 " pages\n", f->path,
			c->pages);
		return false;
	}
	f->self = c->self.v;
	f->core = dsm_journal_restore(f->journal, memory);
	return true;
}

/* ---- telling ---- */

/* UINT64_MAX: it names none. */
static uint64_t event_page(const struct dsm_event *ev)
{
	switch (ev->type) {
	case DSM_EV_FAULT:
		return ev->fault.page.v;
	case DSM_EV_MSG:
		return ev->msg.msg.page.v;
	case DSM_EV_ACQUIRE:
		return ev->acquire.page.v;
	case DSM_EV_EVICT:
		return ev->evict.page.v;
	case DSM_EV_MOVE:
		return ev->move.page.v;
	default:
		return UINT64_MAX;
	}
}

static bool told(const struct replay *r, uint64_t page)
{
	return r->step > r->quiet && (r->page == ANY_PAGE || (uint64_t)r->page == page);
}

static void tell_message(const struct dsm_msg *m)
{
	printf("%s p%" PRIu64 " for m%u flags %#x acks %u version %u txn %u map %u m%u\n",
	       page_type_name(m->type), m->page.v, m->requester.v, m->flags, m->acks, m->version,
	       m->txn, m->map, m->member.v);
}

static void tell_event(const struct replay *r, unsigned m, const struct dsm_event *ev)
{
	printf("%12" PRIu64 " %8" PRIu64 " m%u ", ev->now, r->step, m);
	switch (ev->type) {
	case DSM_EV_MSG:
		printf("<- m%u ", ev->msg.from.v);
		tell_message(&ev->msg.msg);
		return;
	case DSM_EV_FAULT:
		printf("fault p%" PRIu64 " %s thread %u\n", ev->fault.page.v,
		       ev->fault.write ? "write" : "read", ev->fault.thread);
		return;
	case DSM_EV_ACQUIRE:
		printf("acquire p%" PRIu64 ", %u pages %s token %u\n", ev->acquire.page.v,
		       ev->acquire.pages, ev->acquire.write ? "write" : "read", ev->acquire.token);
		return;
	case DSM_EV_LOST:
		printf("lost m%u\n", ev->lost.member.v);
		return;
	case DSM_EV_RELEASE:
		printf("release token %u\n", ev->release.token);
		return;
	case DSM_EV_EVICT:
		printf("%s p%" PRIu64 "\n", ev->evict.discard ? "discard" : "evict",
		       ev->evict.page.v);
		return;
	case DSM_EV_MOVE:
		printf("move home of p%" PRIu64 " to m%u\n", ev->move.page.v, ev->move.to.v);
		return;
	case DSM_EV_JOIN:
		printf("join m%u\n", ev->join.member.v);
		return;
	default:
		printf("%s\n", say_event_name(ev->type));
	}
}

static void tell_effect(unsigned m, const struct dsm_effect *fx)
{
	printf("%30s m%u ", "", m);
	switch (fx->type) {
	case DSM_FX_SEND:
		printf("-> m%u ", fx->to.v);
		tell_message(&fx->msg);
		return;
	case DSM_FX_TIMER:
		printf("TIMER %" PRIu64 "\n", fx->deadline);
		return;
	case DSM_FX_LOST:
		printf("LOST m%u: %s\n", fx->to.v, err_name((int)fx->reason));
		return;
	case DSM_FX_MAP:
		printf("MAP p%" PRIu64 " %s\n", fx->page.v,
		       fx->writable ? "writable" : "read-only");
		return;
	default:
		printf("%s p%" PRIu64 "\n", say_effect_name(fx->type), fx->page.v);
	}
}

/* ---- running ---- */

static void note_end(struct flight *f, const struct dsm_effects *fx)
{
	const struct dsm_effect *last = fx->n ? &fx->v[fx->n - 1] : NULL;

	if (!last || last->type != DSM_FX_LOST)
		return;
	f->culprit = last->to.v;
	f->reason = last->reason;
}

static void step(struct replay *r, struct flight *f)
{
	const struct dsm_journal_entry *e = dsm_journal_at(f->journal, f->next++);

	r->step++;
	if (told(r, event_page(&e->event)))
		tell_event(r, f->self, &e->event);
	dsm_step(f->core, &e->event, &r->fx);
	for (uint32_t i = 0; i < r->fx.n; i++)
		if (told(r, r->fx.v[i].type == DSM_FX_SEND ? r->fx.v[i].msg.page.v
							   : r->fx.v[i].page.v))
			tell_effect(f->self, &r->fx.v[i]);
	note_end(f, &r->fx);
	if (e->effects == UINT32_MAX) {
		f->under_way = true;
	} else if (e->effects != r->fx.n || e->digest != dsm_effects_digest(&r->fx)) {
		printf("!! m%u did something else: %u effects were recorded, these are %u\n",
		       f->self, e->effects, r->fx.n);
		f->differ++;
	}
}

/* The one whose next event is the earliest. */
static struct flight *earliest(struct replay *r)
{
	struct flight *best = NULL;
	uint64_t now = 0;

	for (int i = 0; i < r->n; i++) {
		struct flight *f = &r->flights[i];

		if (f->next >= dsm_journal_count(f->journal))
			continue;
		if (!best || dsm_journal_at(f->journal, f->next)->event.now < now) {
			best = f;
			now = dsm_journal_at(f->journal, f->next)->event.now;
		}
	}
	return best;
}

static void conclude(const struct flight *f)
{
	printf("m%u: %u events from number %" PRIu64 " on, %u differ%s; ", f->self,
	       dsm_journal_count(f->journal), dsm_journal_before(f->journal) + 1, f->differ,
	       f->under_way ? "; the last was under way when the process ended" : "");
	if (f->reason)
		printf("the space ended: m%u %s\n", f->culprit, err_name((int)f->reason));
	else
		printf("the space had not ended\n");
}

static int run(struct replay *r)
{
	struct flight *f;
	uint32_t differ = 0;
	uint64_t steps = 0;

	for (int i = 0; i < r->n; i++) {
		if (!restore(&r->flights[i]))
			return EXIT_REFUSED;
		steps += dsm_journal_count(r->flights[i].journal);
	}
	if (r->quiet)
		r->quiet = steps > LINES_SHOWN ? steps - LINES_SHOWN : 0;
	while ((f = earliest(r)))
		step(r, f);
	for (int i = 0; i < r->n; i++) {
		conclude(&r->flights[i]);
		differ += r->flights[i].differ;
	}
	return differ ? EXIT_DIFFERS : EXIT_SAME;
}

static int run_in_child(struct replay *r)
{
	pid_t pid;
	int status;

	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		int rc = run(r);

		fflush(NULL);
		_exit(rc);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid) {
		fprintf(stderr, "cellsim: cannot start a process: %s\n", strerror(errno));
		return EXIT_REFUSED;
	}
	if (WIFEXITED(status))
		return WEXITSTATUS(status);
	fprintf(stderr, "cellsim: a recording is damaged: its replay died of signal %d\n",
		WTERMSIG(status));
	return EXIT_REFUSED;
}

static int take(struct replay *r, int argc, char **argv)
{
	for (int i = 0; i < argc; i++) {
		char *end;

		if (!strcmp(argv[i], "--all")) {
			r->quiet = 0;
		} else if (!strcmp(argv[i], "--page")) {
			errno = 0;
			r->page = ++i < argc ? strtoll(argv[i], &end, 0) : -1;
			if (r->page < 0 || errno || *end) {
				fputs("cellsim: --page wants the number of a page\n", stderr);
				return EXIT_REFUSED;
			}
		} else if (argv[i][0] == '-') {
			fprintf(stderr, "cellsim: --replay has no option '%s'\n", argv[i]);
			usage(stderr);
			return EXIT_REFUSED;
		} else {
			r->flights[r->n++].path = argv[i];
		}
	}
	if (!r->n)
		usage(stderr);
	return r->n ? EXIT_SAME : EXIT_REFUSED;
}

int replay_main(int argc, char **argv)
{
	struct replay r = {.page = ANY_PAGE, .quiet = 1};
	int rc;

	r.flights = calloc((size_t)argc + 1, sizeof(*r.flights));
	if (!r.flights)
		return EXIT_REFUSED;
	rc = take(&r, argc, argv);
	for (int i = 0; !rc && i < r.n; i++)
		rc = map_file(&r.flights[i]) ? EXIT_SAME : EXIT_REFUSED;
	if (!rc)
		rc = run_in_child(&r);
	free(r.flights);
	return rc;
}
