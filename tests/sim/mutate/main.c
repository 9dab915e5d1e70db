/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mutate: changes the coherence core in one place at a time and asks who notices. See
 * tests/sim/README.md.
 */
#include <dirent.h>
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/sim/mutate/known.h"
#include "tests/sim/mutate/site.h"
#include "tests/sim/mutate/tally.h"
#include "tests/sim/mutate/trial.h"

enum { FILES_MAX = 64, JOBS_MAX = 64, CAUGHT_PER_CENT_MIN = 95 };

struct file {
	char name[64];
	struct source source;
	struct sites sites;
	struct tally tally;
};

struct mutate {
	struct config config;
	struct known known;
	struct file files[FILES_MAX];
	int n_files;
	int every; /* only each n-th mutant */
	int first; /* ... beginning with this one */
	int jobs;
	int least; /* per cent that the seeds must catch */
	bool seeds_only;
	bool list;
	const char *only; /* ids that contain this */
	char *ids;	  /* a file: its lines end with ids, only these; NULL: all */
	char work[64];
};

struct job {
	pid_t pid;
	int pipe;
	const struct site *site;
	struct file *file;
};

/* ---- sources ---- */

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct file *)a)->name, ((const struct file *)b)->name);
}

/* The planted bugs, and the recorder, which changes nothing and has a test of its own, do not
 * count. */
static bool is_source(const char *name)
{
	const size_t n = strlen(name);
	return n > 2 && n < 60 && !strcmp(name + n - 2, ".c") && strcmp(name, "bug.c") != 0 &&
	       strcmp(name, "journal.c") != 0;
}

static int read_sources(struct mutate *m)
{
	char path[512];
	snprintf(path, sizeof(path), "%s/%s", m->config.root, m->config.folder);
	DIR *dir = opendir(path);
	const struct dirent *entry;
	while (dir && (entry = readdir(dir)) != NULL && m->n_files < FILES_MAX)
		if (is_source(entry->d_name))
			strcpy(m->files[m->n_files++].name, entry->d_name);
	if (dir)
		closedir(dir);
	qsort(m->files, (size_t)m->n_files, sizeof(m->files[0]), by_name);
	for (int i = 0; i < m->n_files; i++) {
		struct file *f = &m->files[i];
		snprintf(path, sizeof(path), "%s/%s/%s", m->config.root, m->config.folder, f->name);
		if (source_read(&f->source, path)) {
			fprintf(stderr, "mutate: %s cannot be read as C\n", path);
			return -1;
		}
		sites_find(&f->sites, &f->source, f->name);
	}
	return m->n_files ? 0 : -1;
}

/* ---- outcomes ---- */

static enum fate survived(const struct known_line *line, const struct site *site)
{
	if (!line) {
		printf("SURVIVED %s\n", site->id);
		return FATE_UNEXPLAINED;
	}
	printf("%s %s\n", line->equivalent ? "equivalent" : "unseen", site->id);
	return line->equivalent ? FATE_EQUIVALENT : FATE_UNSEEN;
}

static void note(struct mutate *m, struct tally *tally, const struct site *site,
		 const struct outcome *o)
{
	struct known_line *line = known_find(&m->known, site->id);
	if (line)
		line->met = true;
	if (o->verdict == MUTANT_INVALID) {
		printf("no C %s (%s)\n", site->id, o->text);
		return;
	}
	if (o->verdict == MUTANT_SURVIVED) {
		tally->n[survived(line, site)]++;
		return;
	}
	tally->n[FATE_CAUGHT + m->config.stages[o->stage].group]++;
	printf("caught by %s %s (%s)%s\n", m->config.stages[o->stage].name, site->id, o->text,
	       line ? " ALTHOUGH EXPLAINED" : "");
}

/* ---- running ---- */

static void start(struct mutate *m, struct job *job, struct file *f, const struct site *site,
		  int number)
{
	int ends[2];
	if (pipe(ends))
		abort();
	fflush(NULL);
	job->site = site;
	job->file = f;
	job->pipe = ends[0];
	job->pid = fork();
	if (job->pid < 0)
		abort();
	if (job->pid) {
		close(ends[1]);
		return;
	}
	const struct outcome o = trial_run(&m->config, &f->source, f->name, site, number);
	_exit(write(ends[1], &o, sizeof(o)) == (ssize_t)sizeof(o) ? 0 : 1);
}

static void finish(struct mutate *m, struct job *job)
{
	struct outcome o;
	if (read(job->pipe, &o, sizeof(o)) != (ssize_t)sizeof(o))
		abort();
	close(job->pipe);
	waitpid(job->pid, NULL, 0);
	job->pid = 0;
	note(m, &job->file->tally, job->site, &o);
	fflush(stdout);
}

/* Is the id the end of a line of the file? */
static bool named(const struct mutate *m, const char *id)
{
	const size_t length = strlen(id);
	for (const char *at = m->ids; at && (at = strstr(at, id)) != NULL; at++)
		if (at[length] == '\n' || !at[length])
			return true;
	return !m->ids;
}

static bool wanted(const struct mutate *m, int number, const char *id)
{
	return number % m->every == m->first && strstr(id, m->only) && named(m, id);
}

/* Nobody may catch the sources as they are: else every mutant would seem to be caught. */
static int control(const struct mutate *m)
{
	const struct site nothing = {.id = "nothing changed"};
	const struct file *f = &m->files[0];
	const struct outcome o = trial_run(&m->config, &f->source, f->name, &nothing, 0);
	if (o.verdict == MUTANT_SURVIVED)
		return 0;
	fprintf(stderr, "mutate: the sources as they are fail in %s: %s\n",
		o.verdict == MUTANT_CAUGHT ? m->config.stages[o.stage].name : "the build", o.text);
	return 2;
}

/* All are busy: the first that is done. */
static struct job *first_done(struct mutate *m, struct job *jobs)
{
	struct pollfd fds[JOBS_MAX];
	for (int i = 0; i < m->jobs; i++)
		fds[i] = (struct pollfd){.fd = jobs[i].pipe, .events = POLLIN};
	while (poll(fds, (nfds_t)m->jobs, -1) < 0)
		if (errno != EINTR)
			abort();
	int i = 0;
	while (!fds[i].revents)
		i++;
	finish(m, &jobs[i]);
	return &jobs[i];
}

static struct job *free_job(struct mutate *m, struct job *jobs)
{
	for (int i = 0; i < m->jobs; i++)
		if (!jobs[i].pid)
			return &jobs[i];
	return first_done(m, jobs);
}

/* A sample takes it on trust that what is explained as equivalent is; a run of all does not. */
static bool is_trusted(struct mutate *m, struct file *f, const struct site *site)
{
	const struct outcome untried = {.verdict = MUTANT_SURVIVED};
	const struct known_line *line = known_find(&m->known, site->id);
	if (m->every == 1 || !line || !line->equivalent)
		return false;
	note(m, &f->tally, site, &untried);
	return true;
}

/* Outcomes are noted as they come. */
static void run(struct mutate *m)
{
	struct job jobs[JOBS_MAX] = {0};
	int number = 0;
	for (int i = 0; i < m->n_files; i++) {
		for (int k = 0; k < m->files[i].sites.n; k++, number++) {
			const struct site *site = &m->files[i].sites.v[k];
			if (!wanted(m, number, site->id))
				continue;
			if (m->list)
				printf("%s => %s\n", site->id, site->text);
			else if (!is_trusted(m, &m->files[i], site))
				start(m, free_job(m, jobs), &m->files[i], site, number);
		}
	}
	for (int i = 0; i < m->jobs; i++)
		if (jobs[i].pid)
			finish(m, &jobs[i]);
}

static void stale_explanations(const struct mutate *m)
{
	if (m->every > 1 || *m->only || m->ids)
		return;
	for (int i = 0; i < m->known.n; i++)
		if (!m->known.v[i].met)
			printf("explained, but there is no such mutant: %s\n", m->known.v[i].id);
}

/* Equivalent mutants cannot be caught and do not count. */
static int verdict(const struct mutate *m)
{
	struct tally all = {0};
	stale_explanations(m);
	tally_head();
	for (int i = 0; i < m->n_files; i++) {
		if (tally_tried(&m->files[i].tally))
			tally_line(m->files[i].name, &m->files[i].tally);
		tally_add(&all, &m->files[i].tally);
	}
	tally_line("all", &all);
	if (tally_share(&all) >= 10 * m->least)
		return 0;
	printf("the simulator's seeds must catch %d %% of those that are not equivalent\n",
	       m->least);
	return 1;
}

/* ---- command line ---- */

static void usage(void)
{
	puts("usage: mutate [OPTION]... CONFIG\n"
	     "Changes the sources CONFIG names in one place at a time, and runs the programs "
	     "CONFIG "
	     "names\nwith each change, until one of them fails.\n\n"
	     "  --every N    only each N-th mutant (1)\n"
	     "  --first K    ... beginning with number K (0)\n"
	     "  --only TEXT  only mutants whose id contains TEXT\n"
	     "  --ids FILE   only mutants that lines of FILE end with, as a run printed them\n"
	     "  --least N    so many per cent must be caught by seeds (95): a small sample may be "
	     "unlucky\n"
	     "  --seeds-only run only the stages that are counted as seeds\n"
	     "  --jobs N     so many at a time (1)\n"
	     "  --known FILE survivors that are explained\n"
	     "  --list       print the mutants, run none\n"
	     "Ends with 0 (enough of those that are not equivalent were caught), 1 (fewer) "
	     "or 2 "
	     "(usage).");
}

static int number(const char *text, int low, int high, int *out)
{
	char *end;
	errno = 0;
	const long n = strtol(text, &end, 10);
	if (errno || *end || end == text || n < low || n > high) {
		fprintf(stderr, "mutate: '%s' is out of range\n", text);
		return -1;
	}
	*out = (int)n;
	return 0;
}

static int read_ids(struct mutate *m, const char *path)
{
	enum { ROOM = 1 << 20 };
	FILE *f = fopen(path, "r");
	m->ids = f ? calloc(1, ROOM) : NULL;
	if (m->ids)
		(void)!fread(m->ids, 1, ROOM - 1, f);
	if (f)
		fclose(f);
	if (!m->ids)
		fprintf(stderr, "mutate: %s cannot be read\n", path);
	return m->ids ? 0 : -1;
}

static int parse(struct mutate *m, int argc, char **argv)
{
	static const struct option table[] = {
		{"every", required_argument, NULL, 'e'},
		{"first", required_argument, NULL, 'f'},
		{"only", required_argument, NULL, 'o'},
		{"jobs", required_argument, NULL, 'j'},
		{"ids", required_argument, NULL, 'i'},
		{"known", required_argument, NULL, 'k'},
		{"list", no_argument, NULL, 'l'},
		{"least", required_argument, NULL, 'm'},
		{"seeds-only", no_argument, NULL, 's'},
		{"help", no_argument, NULL, 'h'},
		{0},
	};
	int option, status = 0;
	while (!status && (option = getopt_long(argc, argv, "h", table, NULL)) != -1) {
		switch (option) {
		case 'e':
			status = number(optarg, 1, 1000000, &m->every);
			break;
		case 'f':
			status = number(optarg, 0, 1000000, &m->first);
			break;
		case 'o':
			m->only = optarg;
			break;
		case 'i':
			status = read_ids(m, optarg);
			break;
		case 'j':
			status = number(optarg, 1, JOBS_MAX, &m->jobs);
			break;
		case 'm':
			status = number(optarg, 0, 100, &m->least);
			break;
		case 'k':
			status = known_read(&m->known, optarg);
			break;
		case 'l':
			m->list = true;
			break;
		case 's':
			m->seeds_only = true;
			break;
		case 'h':
			usage();
			exit(0);
		default:
			status = -1;
		}
	}
	if (!status && optind != argc - 1) {
		fprintf(stderr, "mutate: one CONFIG is wanted (--help)\n");
		return -1;
	}
	if (!status)
		status = config_read(&m->config, argv[optind]);
	while (m->seeds_only && m->config.n_stages &&
	       m->config.stages[m->config.n_stages - 1].group != GROUP_SEEDS)
		m->config.n_stages--;
	return status;
}

/* In memory, where there is room for it. */
static int make_work(struct mutate *m)
{
	strcpy(m->work, "/dev/shm/mutate-XXXXXX");
	if (mkdtemp(m->work))
		return 0;
	strcpy(m->work, "/tmp/mutate-XXXXXX");
	return mkdtemp(m->work) ? 0 : -1;
}

int main(int argc, char **argv)
{
	static struct mutate m = {.every = 1, .jobs = 1, .least = CAUGHT_PER_CENT_MIN, .only = ""};
	if (parse(&m, argc, argv) || read_sources(&m))
		return 2;
	if (make_work(&m)) {
		perror("mutate: no directory in /tmp");
		return 2;
	}
	m.config.work = m.work;
	const int broken = m.list ? 0 : control(&m);
	if (!broken)
		run(&m);
	rmdir(m.work);
	return broken || m.list ? broken : verdict(&m);
}
