/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Flight recordings of real members, read by somebody else after one of them was killed with -9 in
 * the middle of its work: cellsim runs all three again and finds what was recorded, the survivors'
 * verdict included.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dsm/core/journal.h"
#include "rack.h"
#include "tests/unit/unit.h"

enum { MEMBERS = 3, VICTIM = 1, HOT_PAGES = 6, ENOUGH = 3 * DSM_JOURNAL_EVENTS };

static bool flown;
static char dir[] = "/tmp/cellular-flight-XXXXXX";

static void hammered(struct rack_member *m)
{
	uint64_t i = 0;

	EXPECT(m->rack, rack_barrier(m));
	while (!atomic_load(&m->rack->member[m->self].lost)) {
		/* A thread that faults after the end never comes back: the parent knows. */
		atomic_fetch_add((_Atomic uint64_t *)rack_page(m, i++ % HOT_PAGES), 1);
		if (i % 16 == 0)
			dsm_evict(m->dsm, (struct gpage){i / 16 % HOT_PAGES});
		atomic_fetch_add(&m->rack->member[m->self].count, 1);
	}
	_exit(0);
}

static const struct dsm_journal *recording(int fd)
{
	off_t bytes = lseek(fd, 0, SEEK_END);
	void *p = bytes > 0 ? mmap(NULL, (size_t)bytes, PROT_READ, MAP_SHARED, fd, 0) : MAP_FAILED;
	const char *why;

	return p == MAP_FAILED ? NULL : dsm_journal_open(p, (size_t)bytes, &why);
}

static uint64_t recorded(const struct dsm_journal *j)
{
	return dsm_journal_before(j) + dsm_journal_count(j);
}

static void save(int fd, int member)
{
	char path[64], buffer[65536];
	ssize_t n;
	int out;

	snprintf(path, sizeof(path), "%s/m%d", dir, member);
	out = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	lseek(fd, 0, SEEK_SET);
	while ((n = read(fd, buffer, sizeof(buffer))) > 0)
		CU_ASSERT_EQUAL(write(out, buffer, (size_t)n), n);
	close(out);
}

/* Ends with the status of cellsim; what it printed is in dir/out. */
static int replay(const char *options)
{
	char command[512];
	int status;

	snprintf(command, sizeof(command), "cd %s && timeout 120 %s --replay m0 m1 m2 %s >out 2>&1",
		 dir, CELLSIM_PATH, options);
	status = system(command);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static unsigned lines_with(const char *words)
{
	char path[64], line[1024];
	unsigned n = 0;
	FILE *f;

	snprintf(path, sizeof(path), "%s/out", dir);
	f = fopen(path, "r");
	while (f && fgets(line, sizeof(line), f))
		n += strstr(line, words) != NULL;
	if (f)
		fclose(f);
	return n;
}

static void change_a_byte(const char *name, long at)
{
	char path[64];
	FILE *f;
	int c;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "r+");
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	fseek(f, at, SEEK_SET);
	c = fgetc(f);
	fseek(f, at, SEEK_SET);
	fputc(c ^ 0x55, f);
	fclose(f);
}

/* All three work until each recording was overwritten at least once; then the victim is killed. */
static struct rack *killed_at_work(int fd[MEMBERS])
{
	static struct rack_config space = {.pages = 3 * DSM_CHUNK_PAGES, .silence_ms = 20000};
	struct rack *rack;

	space.recorder = fd;
	rack = rack_start(MEMBERS, &space, hammered);
	if (!rack)
		return NULL;
	CU_ASSERT_FATAL(rack_wait(rack, &rack->joined, MEMBERS));
	for (int m = 0; m < MEMBERS; m++)
		for (int tries = 0; recorded(recording(fd[m])) < ENOUGH && tries < 4000; tries++)
			usleep(10000);
	kill(rack->pid[VICTIM], SIGKILL);
	for (int m = 0; m < MEMBERS; m++)
		CU_ASSERT(m == VICTIM || rack_wait(rack, &rack->member[m].lost, 1));
	usleep(200000); /* those that still run have ended; those that wait are killed */
	for (int m = 0; m < MEMBERS; m++)
		kill(rack->pid[m], SIGKILL);
	rack_finish(rack, MEMBERS, (1 << MEMBERS) - 1);
	return rack;
}

static void the_dead_are_replayed(void)
{
	int fd[MEMBERS];

	for (int m = 0; m < MEMBERS; m++) {
		fd[m] = memfd_create("flight", MFD_CLOEXEC);
		CU_ASSERT_FATAL(fd[m] > 0);
	}
	if (!killed_at_work(fd))
		return;
	flown = true;
	for (int m = 0; m < MEMBERS; m++) {
		CU_ASSERT(recorded(recording(fd[m])) >= ENOUGH);
		save(fd[m], m);
		close(fd[m]);
	}
	CU_ASSERT_EQUAL(replay(""), 0);
	CU_ASSERT_EQUAL(lines_with(" 0 differ"), MEMBERS);
	CU_ASSERT_EQUAL(lines_with("the space ended: m1 "), MEMBERS - 1);
	CU_ASSERT_EQUAL(lines_with("the space had not ended"), 1);
	CU_ASSERT_EQUAL(replay("--all --page 3"), 0);
	CU_ASSERT(lines_with(" p3") > 20 && !lines_with(" p2"));
}

static void damage_is_told(void)
{
	if (!flown)
		return; /* skipped above */
	CU_ASSERT_EQUAL(replay("--pages"), 2);
	CU_ASSERT_EQUAL(replay("none"), 2);
	change_a_byte("m0", 0);
	CU_ASSERT_EQUAL(replay(""), 2);
	CU_ASSERT_EQUAL(lines_with("m0 cannot be replayed: it is no flight recording"), 1);
	change_a_byte("m0", 0);
	CU_ASSERT_EQUAL(replay(""), 0);
}

int main(void)
{
	static const struct unit_case cases[] = {
		UNIT_CASE(the_dead_are_replayed),
		UNIT_CASE(damage_is_told),
	};
	char command[64];
	int rc;

	if (!mkdtemp(dir))
		return 1;
	rc = unit_main("dsm flight", cases, UNIT_COUNT(cases));
	snprintf(command, sizeof(command), "rm -r %s", dir);
	return system(command) ? 1 : rc;
}
