/* SPDX-License-Identifier: Apache-2.0 */
/* A VM over three cell-vm processes on real /dev/kvm and real userfaultfd: it runs, it ends, it
 * breaks. */
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/base/clock.h"
#include "tests/guests/rack.h"
#include "tests/unit/unit.h"

enum { LONG_MS = 60000, LOST_MS = 10000, MEMBERS = 3 };

static char dir[] = "/tmp/vm-fragments-XXXXXX";
static char grid[64], text[64];
static const char *const files[][2] = {{"grid", grid}, {"text", text}};

static struct rack rack;

static struct rack_config config(const char *guest, unsigned args, char **arg)
{
	return (struct rack_config){
		.members = MEMBERS,
		.vcpus = 4,
		.place = {0, 0, 1, 2},
		.memory = 64 << 20,
		.guest = guest,
		.args = args,
		.arg = arg,
		.files = 2,
		.file = files,
	};
}

static bool others_stopped(const struct rack *r)
{
	return r->fragment[0].state >= CELLULAR__FRAG_STATE__FRAG_STOPPED &&
	       r->fragment[2].state >= CELLULAR__FRAG_STATE__FRAG_STOPPED;
}

static bool all_ready(const struct rack *r)
{
	for (unsigned i = 0; i < MEMBERS; i++)
		if (r->fragment[i].state < CELLULAR__FRAG_STATE__FRAG_READY)
			return false;
	return true;
}

static const Cellular__EndReason *reason(unsigned member)
{
	const Cellular__FragReport *r = rack.fragment[member].report;
	static const Cellular__EndReason none = CELLULAR__END_REASON__INIT;

	return r && r->reason ? r->reason : &none;
}

static void expect(unsigned member, Cellular__EndCause cause, const char *says)
{
	const Cellular__EndReason *r = reason(member);

	if (r->cause == cause && strstr(r->text, says))
		return;
	CU_FAIL("wrong end");
	fprintf(stderr, "member %u: state %d, cause %d \"%s\", wanted %d \"%s\"\n", member,
		rack.fragment[member].state, r->cause, r->text, cause, says);
}

/* All processes ended in order, or by our hand. */
static void close_all(void)
{
	rack_close(&rack);
	for (unsigned i = 0; i < rack.config->members; i++) {
		int status = rack.fragment[i].status;

		CU_ASSERT_TRUE(status == 0 || (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL));
	}
}

static void run_native(const char *command, char *out, size_t room)
{
	char line[512];
	size_t n;
	FILE *p;

	snprintf(line, sizeof(line), "bin/%s vcpus=4 grid=%s text=%s", command, grid, text);
	p = popen(line, "re");
	CU_ASSERT_PTR_NOT_NULL_FATAL(p);
	n = fread(out, 1, room - 1, p);
	out[n] = 0;
	CU_ASSERT_EQUAL(pclose(p), 0);
}

static void computes_what_a_native_program_computes(void)
{
	static char native[1 << 16];
	char *args[] = {(char *)"300", (char *)"60"};
	struct rack_config c = config("guests/suite.elf", 2, args);

	rack_open(&rack, &c);
	CU_ASSERT_TRUE(rack_until(&rack, rack_stopped, LONG_MS));
	for (unsigned i = 0; i < MEMBERS; i++) {
		expect(i, CELLULAR__END_CAUSE__END_EXIT, "exited with code 0");
		CU_ASSERT_TRUE(rack_counter(rack.fragment[i].report->stat, "read_remote") > 0);
		CU_ASSERT_TRUE(rack_counter(rack.fragment[i].report->stat, "fetch_served") > 0);
		CU_ASSERT_EQUAL(rack_counter(rack.fragment[i].report->stat, "refused"), 0);
	}
	run_native("suite-native 300 60", native, sizeof(native));
	CU_ASSERT_STRING_EQUAL(rack.console, native);
	close_all();
}

static void every_vcpu_says_hello(void)
{
	struct rack_config c = config("guests/hello.elf", 0, NULL);
	char line[64];

	rack_open(&rack, &c);
	CU_ASSERT_TRUE(rack_until(&rack, rack_stopped, LONG_MS));
	for (unsigned i = 0; i < 4; i++) {
		snprintf(line, sizeof(line), "hello world from vcpu %u of 4\n", i);
		CU_ASSERT_PTR_NOT_NULL(strstr(rack.console, line));
	}
	close_all();
}

static uint64_t resident_pages(unsigned member)
{
	const Cellular__FragAnswer *a =
		rack_query(&rack, member, CELLULAR__QUERY_KIND__QUERY_STAT, LONG_MS);

	CU_ASSERT_TRUE(a && a->stat);
	return a && a->stat ? a->stat->resident : 0;
}

static void check_map(const Cellular__DsmMap *map, uint64_t resident)
{
	uint64_t here = 0, owned = 0;

	CU_ASSERT_EQUAL(map->pages, (66 << 20) / 4096);
	for (size_t b = 0; b < map->n_shared; b++) {
		here += map->shared[b] + map->exclusive[b];
		owned += map->owned[b];
	}
	CU_ASSERT_EQUAL(here, resident);
	CU_ASSERT_TRUE(owned <= here && here > 0);
}

/* Stopped is not gone: memory answers until the last word. */
static void answers_after_the_end(void)
{
	struct rack_config c = config("guests/hello.elf", 0, NULL);
	const Cellular__FragAnswer *a;

	rack_open(&rack, &c);
	CU_ASSERT_TRUE(rack_until(&rack, rack_stopped, LONG_MS));
	for (unsigned i = 0; i < MEMBERS; i++) {
		uint64_t resident = resident_pages(i);

		a = rack_query(&rack, i, CELLULAR__QUERY_KIND__QUERY_MAP, LONG_MS);
		CU_ASSERT_TRUE(a && a->map);
		if (a && a->map)
			check_map(a->map, resident);
		a = rack_query(&rack, i, CELLULAR__QUERY_KIND__QUERY_CONSOLE, LONG_MS);
		CU_ASSERT_TRUE(a && a->error == ERR_UNSUPPORTED);
	}
	close_all();
}

static void a_fault_anywhere_ends_it_everywhere(void)
{
	char *args[] = {(char *)"read-null", (char *)"3"};
	struct rack_config c = config("guests/hostile.elf", 2, args);

	rack_open(&rack, &c);
	CU_ASSERT_TRUE(rack_until(&rack, rack_stopped, LONG_MS));
	for (unsigned i = 0; i < MEMBERS; i++) {
		expect(i, CELLULAR__END_CAUSE__END_GUEST_FAULT, "vCPU 3: page fault reading 0x10");
		CU_ASSERT_EQUAL(reason(i)->member, 2);
	}
	close_all();
}

static void stops_what_never_ends(const char *act)
{
	char *args[] = {(char *)act, (char *)"all"};
	struct rack_config c = config("guests/hostile.elf", 2, args);

	rack_open(&rack, &c);
	CU_ASSERT_TRUE(rack_until(&rack, rack_running, LONG_MS));
	rack_until(&rack, rack_stopped, 300);
	CU_ASSERT_FALSE(rack_stopped(&rack));
	rack_quit(&rack, "enough");
	CU_ASSERT_TRUE(rack_until(&rack, rack_over, LONG_MS));
	for (unsigned i = 0; i < MEMBERS; i++)
		expect(i, CELLULAR__END_CAUSE__END_KILLED, "enough");
	close_all();
}

static void endless_guests_are_stopped(void)
{
	stops_what_never_ends("loop");
	stops_what_never_ends("sleep");
	stops_what_never_ends("wake-flood");
	stops_what_never_ends("console-flood");
	CU_ASSERT_TRUE(rack.console_bytes > 0);
}

/* Neither the guest's talk nor celld's silence ends the VM: the guest waits. */
static void a_celld_that_does_not_read_holds_the_guest_back(void)
{
	char *args[] = {(char *)"console-flood", (char *)"all"};
	struct rack_config c = config("guests/hostile.elf", 2, args);

	rack_open(&rack, &c);
	CU_ASSERT_TRUE(rack_until(&rack, rack_running, LONG_MS));
	usleep(2000 * 1000); /* the loop does not turn: nobody reads */
	rack_until(&rack, rack_stopped, 100);
	rack_quit(&rack, "enough");
	CU_ASSERT_TRUE(rack_until(&rack, rack_over, LONG_MS));
	for (unsigned i = 0; i < MEMBERS; i++)
		expect(i, CELLULAR__END_CAUSE__END_KILLED, "enough");
	close_all();
}

/* A member is killed: the others say so, and who. */
static void loses(const char *guest, unsigned args, char **arg, unsigned victim)
{
	struct rack_config c = config(guest, args, arg);
	char lost[32];
	uint64_t start;

	snprintf(lost, sizeof(lost), "member %u was lost", victim);
	rack_open(&rack, &c);
	CU_ASSERT_TRUE(rack_until(&rack, rack_running, LONG_MS));
	rack_until(&rack, rack_stopped, 100);
	CU_ASSERT_FALSE(rack_stopped(&rack));
	start = clock_ms();
	rack_kill(&rack, victim);
	CU_ASSERT_TRUE(rack_until(&rack, rack_stopped, LOST_MS));
	fprintf(stderr, "member %u lost under %s: all stopped after %d ms\n", victim,
		args ? arg[0] : guest, (int)(clock_ms() - start));
	for (unsigned i = 0; i < MEMBERS; i++) {
		if (i == victim)
			continue;
		expect(i, CELLULAR__END_CAUSE__END_MEMBER_LOST, lost);
		CU_ASSERT_EQUAL(reason(i)->member, victim);
		CU_ASSERT_PTR_NOT_NULL(
			rack_query(&rack, i, CELLULAR__QUERY_KIND__QUERY_STAT, LONG_MS));
	}
	close_all();
}

static void the_loss_of_a_member_ends_it(void)
{
	char *busy[] = {(char *)"300", (char *)"100000000"};
	char *loop[] = {(char *)"loop", (char *)"all"}, *sleep[] = {(char *)"sleep", (char *)"all"};
	char *wake[] = {(char *)"wake-flood", (char *)"all"};

	for (unsigned victim = 0; victim < MEMBERS; victim++)
		loses("guests/jacobi.elf", 2, busy, victim);
	loses("guests/hostile.elf", 2, loop, 1);
	loses("guests/hostile.elf", 2, sleep, 2);
	loses("guests/hostile.elf", 2, wake, 0);
}

/* A member that hangs is lost by its silence, and finds itself lost when it wakes up. */
static void a_silent_member_is_lost(void)
{
	char *sleep[] = {(char *)"sleep", (char *)"all"};
	struct rack_config c = config("guests/hostile.elf", 2, sleep);

	rack_open(&rack, &c);
	CU_ASSERT_TRUE(rack_until(&rack, rack_running, LONG_MS));
	kill(rack.fragment[1].pid, SIGSTOP);
	CU_ASSERT_TRUE(rack_until(&rack, others_stopped, LONG_MS));
	expect(0, CELLULAR__END_CAUSE__END_MEMBER_LOST, "member 1 was lost");
	expect(2, CELLULAR__END_CAUSE__END_MEMBER_LOST, "member 1 was lost");
	kill(rack.fragment[1].pid, SIGCONT);
	CU_ASSERT_TRUE(rack_until(&rack, rack_stopped, LONG_MS));
	expect(1, CELLULAR__END_CAUSE__END_MEMBER_LOST, "was lost");
	close_all();
}

/* Orders too early, of another VM, twice, or for somebody else: dropped, and the VM comes up as if
 * they had not been. */
static void orders_that_do_not_fit_are_dropped(void)
{
	Cellular__FragRun run = CELLULAR__FRAG_RUN__INIT, stale = CELLULAR__FRAG_RUN__INIT;
	Cellular__FragPeers peers = CELLULAR__FRAG_PEERS__INIT;
	Cellular__FragStart start = CELLULAR__FRAG_START__INIT;
	Cellular__CelldWelcome welcome = CELLULAR__CELLD_WELCOME__INIT;
	struct rack_config c = config("guests/hello.elf", 0, NULL);

	rack_open(&rack, &c);
	rack.hold_run = true;
	run.vm_id = stale.vm_id = peers.vm_id = RACK_VM_ID;
	run.epoch = RACK_EPOCH;
	stale.epoch = peers.epoch = RACK_EPOCH - 1;
	rack_send(&rack, 1, CTL_TYPE_FRAG_RUN, &run.base);
	rack_send(&rack, 1, CTL_TYPE_FRAG_PEERS, &peers.base);
	rack_send(&rack, 1, CTL_TYPE_FRAG_START, &start.base);
	rack_send(&rack, 1, CTL_TYPE_CELLD_WELCOME, &welcome.base);
	CU_ASSERT_TRUE(rack_until(&rack, all_ready, LONG_MS));
	for (unsigned i = 0; i < MEMBERS; i++)
		rack_send(&rack, i, CTL_TYPE_FRAG_RUN, &stale.base);
	CU_ASSERT_FALSE(rack_until(&rack, rack_running, 100));
	rack.hold_run = false;
	CU_ASSERT_TRUE(rack_until(&rack, rack_stopped, LONG_MS));
	for (unsigned i = 0; i < MEMBERS; i++)
		expect(i, CELLULAR__END_CAUSE__END_EXIT, "exited with code 0");
	CU_ASSERT_PTR_NOT_NULL(strstr(rack.console, "result hello greeted=4"));
	close_all();
}

/* An order that makes no sense at all is an end with a reason, not a crash. */
static void an_empty_order_is_refused(void)
{
	static const Cellular__FragStart empty = CELLULAR__FRAG_START__INIT;
	Cellular__VmSpec spec = CELLULAR__VM_SPEC__INIT;
	struct rack_config c = config("guests/hello.elf", 0, NULL);
	uint8_t key[CELL_KEY_BYTES] = {0};

	c.members = 1;
	c.vcpus = 1;
	for (unsigned i = 0; i < 4; i++) {
		Cellular__FragStart m = empty;

		if (i > 0)
			m.spec = &spec;
		if (i > 1)
			m.key = (ProtobufCBinaryData){sizeof(key), key};
		if (i > 2)
			m.members = m.data_address ? 1 : 0;
		c.first_order = &m;
		rack_open(&rack, &c);
		CU_ASSERT_TRUE(rack_until(&rack, rack_stopped, LONG_MS));
		expect(0, CELLULAR__END_CAUSE__END_START_FAILED, "");
		CU_ASSERT_EQUAL(reason(0)->code, ERR_INVALID);
		close_all();
	}
}

/* celld gone: the fragment ends itself, the others lose it. */
static void a_fragment_does_not_outlive_its_celld(void)
{
	char *busy[] = {(char *)"300", (char *)"100000000"};
	struct rack_config c = config("guests/jacobi.elf", 2, busy);

	rack_open(&rack, &c);
	CU_ASSERT_TRUE(rack_until(&rack, rack_running, LONG_MS));
	rack_hang_up(&rack, 1);
	CU_ASSERT_TRUE(rack_until(&rack, rack_stopped, LOST_MS));
	CU_ASSERT_EQUAL(rack.fragment[1].pid, 0);
	expect(0, CELLULAR__END_CAUSE__END_MEMBER_LOST, "member 1 was lost");
	close_all();
}

static bool first_stopped(const struct rack *r)
{
	return r->fragment[0].state >= CELLULAR__FRAG_STATE__FRAG_STOPPED;
}

static bool last_stopped(const struct rack *r)
{
	return r->fragment[MEMBERS - 1].state >= CELLULAR__FRAG_STATE__FRAG_STOPPED;
}

static void fails_to_start(const struct rack_config *c, int code, const char *says)
{
	rack_open(&rack, c);
	CU_ASSERT_TRUE(rack_until(&rack, first_stopped, LONG_MS));
	expect(0, CELLULAR__END_CAUSE__END_START_FAILED, says);
	CU_ASSERT_EQUAL(reason(0)->code, code);
	close_all();
}

static void what_cannot_start_says_why(void)
{
	static const char *const no_file[][2] = {{"data", "/nowhere/data"}};
	struct rack_config c = config("/nowhere/x.elf", 0, NULL);

	fails_to_start(&c, ERR_NOTFOUND, "guest: /nowhere/x.elf: No such file");
	c = config("bin/cellgen", 0, NULL);
	fails_to_start(&c, ERR_INVALID, "guest bin/cellgen: not a static executable");
	c = config("guests/hello.elf", 0, NULL);
	c.file = no_file;
	c.files = 1;
	fails_to_start(&c, ERR_NOTFOUND, "/nowhere/data");
	c = config("guests/hello.elf", 0, NULL);
	c.memory = 2 << 20;
	fails_to_start(&c, ERR_INVALID, "multiples of 2 MiB from 4 MiB");
	c.memory = 4 << 20;
	fails_to_start(&c, ERR_NOSPACE, "guest too large: needs");
	c = config("guests/hello.elf", 0, NULL);
	c.memory += 4096;
	fails_to_start(&c, ERR_INVALID, "multiples of 2 MiB");
	c = config("guests/hello.elf", 0, NULL);
	c.place[2] = MEMBERS;
	fails_to_start(&c, ERR_INVALID, "vCPU 2 is placed wrongly");
}

static void a_wrong_key_keeps_a_stranger_out(void)
{
	struct rack_config c = config("guests/hello.elf", 0, NULL);

	c.wrong_key = true;
	rack_open(&rack, &c);
	CU_ASSERT_TRUE(rack_until(&rack, last_stopped, LONG_MS));
	expect(MEMBERS - 1, CELLULAR__END_CAUSE__END_START_FAILED, "");
	CU_ASSERT_EQUAL(rack.console_bytes, 0);
	close_all();
}

/* Killed while they connect and load: nobody hangs. */
static void quits_at_any_time(void)
{
	struct rack_config c = config("guests/hello.elf", 0, NULL);

	for (int ms = 0; ms < 60; ms += 6) {
		rack_open(&rack, &c);
		rack_until(&rack, rack_running, ms);
		rack_quit(&rack, "changed my mind");
		CU_ASSERT_TRUE(rack_until(&rack, rack_over, LONG_MS));
		close_all();
	}
}

/* Names of what a process holds open beyond stderr: "pipe:[1234]" and the like. */
struct holdings {
	unsigned n;
	char name[128][128];
};

/* The flight recorder is celld's memory: named by its number, as it must be no other fragment's. */
static void name_memory(const char *link, char *name, size_t size)
{
	struct stat st;

	if (strcmp(name, "/memfd:flight (deleted)") == 0 && stat(link, &st) == 0)
		snprintf(name, size, "flight:[%llu]", (unsigned long long)st.st_ino);
}

static void list_descriptors(pid_t pid, struct holdings *h)
{
	char path[64], link[320];
	struct dirent *d;
	DIR *fds;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	fds = opendir(path);
	CU_ASSERT_PTR_NOT_NULL(fds);
	for (h->n = 0; fds && (d = readdir(fds)) && h->n < 128;) {
		ssize_t n;

		snprintf(link, sizeof(link), "%s/%s", path, d->d_name);
		n = readlink(link, h->name[h->n], sizeof(h->name[0]) - 1);
		if (n < 0 || atoi(d->d_name) <= STDERR_FILENO)
			continue;
		h->name[h->n][n] = 0;
		name_memory(link, h->name[h->n++], sizeof(h->name[0]));
	}
	if (fds)
		closedir(fds);
}

/* Kernel objects with a number in their name are one of a kind; a file or a memfd would be named by
 * its path. */
static void check_descriptors(const struct holdings *mine, const struct holdings *other)
{
	for (unsigned i = 0; i < mine->n; i++) {
		const char *name = mine->name[i];

		if (name[0] == '/' && strcmp(name, "/dev/kvm") != 0 &&
		    strcmp(name, "/dev/null") != 0) {
			CU_FAIL("a file is open");
			fprintf(stderr, "open: %s\n", name);
		}
		for (unsigned k = 0; k < other->n && strchr(name, ':') && name[0] != 'a'; k++)
			CU_ASSERT_STRING_NOT_EQUAL(name, other->name[k]);
	}
}

/* The only shared mappings are KVM's view of a vCPU and the flight recorder. */
static void check_mappings(pid_t pid)
{
	char path[64], line[512], rights[8];
	FILE *maps;

	snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
	maps = fopen(path, "re");
	CU_ASSERT_PTR_NOT_NULL(maps);
	while (maps && fgets(line, sizeof(line), maps)) {
		if (sscanf(line, "%*s %7s", rights) != 1 || rights[3] != 's' ||
		    strstr(line, "anon_inode:kvm-vcpu:") || strstr(line, "/memfd:flight"))
			continue;
		CU_FAIL("a shared mapping");
		fprintf(stderr, "%s", line);
	}
	if (maps)
		fclose(maps);
}

static void pages_can_travel_by_tcp_only(void)
{
	static struct holdings held[MEMBERS];
	char *args[] = {(char *)"sleep", (char *)"all"};
	struct rack_config c = config("guests/hostile.elf", 2, args);

	rack_open(&rack, &c);
	CU_ASSERT_TRUE(rack_until(&rack, rack_running, LONG_MS));
	for (unsigned i = 0; i < MEMBERS; i++) {
		list_descriptors(rack.fragment[i].pid, &held[i]);
		CU_ASSERT_TRUE(held[i].n > 4);
		check_mappings(rack.fragment[i].pid);
	}
	for (unsigned i = 0; i < MEMBERS; i++)
		for (unsigned k = 0; k < i; k++)
			check_descriptors(&held[i], &held[k]);
	close_all();
}

static void make_input(void)
{
	char line[256];

	if (!mkdtemp(dir))
		exit(1);
	snprintf(grid, sizeof(grid), "%s/grid", dir);
	snprintf(text, sizeof(text), "%s/text", dir);
	snprintf(line, sizeof(line), "bin/cellgen grid --n 300 --seed %d --out %s", (int)getpid(),
		 grid);
	if (system(line))
		exit(1);
	snprintf(line, sizeof(line), "bin/cellgen text --bytes 300001 --seed %d --out %s",
		 (int)getpid(), text);
	if (system(line))
		exit(1);
}

int main(void)
{
	static const struct unit_case cases[] = {
		UNIT_CASE(every_vcpu_says_hello),
		UNIT_CASE(computes_what_a_native_program_computes),
		UNIT_CASE(answers_after_the_end),
		UNIT_CASE(a_fault_anywhere_ends_it_everywhere),
		UNIT_CASE(endless_guests_are_stopped),
		UNIT_CASE(a_celld_that_does_not_read_holds_the_guest_back),
		UNIT_CASE(the_loss_of_a_member_ends_it),
		UNIT_CASE(a_silent_member_is_lost),
		UNIT_CASE(orders_that_do_not_fit_are_dropped),
		UNIT_CASE(an_empty_order_is_refused),
		UNIT_CASE(a_fragment_does_not_outlive_its_celld),
		UNIT_CASE(what_cannot_start_says_why),
		UNIT_CASE(a_wrong_key_keeps_a_stranger_out),
		UNIT_CASE(quits_at_any_time),
		UNIT_CASE(pages_can_travel_by_tcp_only),
	};
	const char *why = rack_impossible();
	int rc;

	if (why) {
		unit_skip("%s", why);
		return unit_main("fragments", cases, 0);
	}
	make_input();
	rc = unit_main("fragments", cases, UNIT_COUNT(cases));
	unlink(grid);
	unlink(text);
	rmdir(dir);
	return rc;
}
