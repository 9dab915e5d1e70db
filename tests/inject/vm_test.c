/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sweeps over whole cell-vm processes: a VM over two of them, with the test in celld's place. One
 * of the two has a call fail, from its first instruction to its last. Either the guest ends with
 * the right result, or the VM ends with a reason, or the process with an exit status; nobody is
 * killed by a signal, and no process has to be.
 *
 * usage: test-inject-vm LIBINJECT [NAME]
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/guests/rack.h"
#include "tests/inject/sweep.h"

enum { PATIENCE_MS = 40000, SWEEP_UNKNOWN = SWEEP_WRONG + 1 };

static const char *library;

/* What was said of the end, by any fragment. */
static bool reason_given(const struct rack *r)
{
	for (unsigned i = 0; i < r->config->members; i++) {
		const Cellular__FragReport *report = r->fragment[i].report;

		if (report && report->reason && report->reason->cause && report->reason->text[0])
			return true;
	}
	return false;
}

static bool exited_well(const struct rack *r)
{
	for (unsigned i = 0; i < r->config->members; i++) {
		const Cellular__FragReport *report = r->fragment[i].report;

		if (!report || !report->reason ||
		    report->reason->cause != CELLULAR__END_CAUSE__END_EXIT || report->reason->code)
			return false;
	}
	return true;
}

static bool failed(const struct rack_fragment *f)
{
	return !f->pid || (f->state == CELLULAR__FRAG_STATE__FRAG_STOPPED && f->report->reason &&
			   f->report->reason->cause != CELLULAR__END_CAUSE__END_EXIT);
}

/* Then the controller makes the others quit. */
static bool ended(const struct rack *r)
{
	for (unsigned i = 0; i < r->config->members; i++)
		if (failed(&r->fragment[i]))
			return true;
	return rack_stopped(r);
}

static int outcome(const struct rack *r, bool in_time, bool own_end, bool right)
{
	for (unsigned i = 0; i < r->config->members; i++)
		if (WIFSIGNALED(r->fragment[i].status)) {
			if (sweep_library_died())
				return SWEEP_LIBRARY;
			fprintf(stderr, "  fragment %u: %s\n", i,
				strsignal(WTERMSIG(r->fragment[i].status)));
			return SWEEP_WRONG;
		}
	if (!in_time || !own_end) {
		fprintf(stderr, "  the VM %s\n", in_time ? "had to be killed" : "did not end");
		return SWEEP_WRONG;
	}
	if (right)
		return SWEEP_DONE;
	for (unsigned i = 0; i < r->config->members; i++)
		if (WEXITSTATUS(r->fragment[i].status))
			return SWEEP_REFUSED;
	return SWEEP_UNKNOWN;
}

static enum sweep_outcome whole_vm(void *context)
{
	const struct rack_config config = {.members = 2,
					   .vcpus = 2,
					   .place = {0, 1},
					   .memory = 64 << 20,
					   .guest = "guests/hello.elf"};
	struct inject *in = sweep_inject();
	bool in_time, own_end, right, reason;
	int o;
	struct rack r;

	in->which = *(unsigned *)context;
	sweep_arm();
	setenv("INJECT_PROGRAM", "cell-vm", 1);
	setenv("LD_PRELOAD", library, 1);
	rack_open(&r, &config);
	unsetenv("LD_PRELOAD");
	in_time = rack_until(&r, ended, PATIENCE_MS);
	right = exited_well(&r) && strstr(r.console, "result hello greeted=2");
	rack_quit(&r, "the test is over");
	own_end = rack_until(&r, rack_over, PATIENCE_MS);
	reason = reason_given(&r);
	o = outcome(&r, in_time, own_end, right);
	if (o == SWEEP_UNKNOWN) {
		o = reason ? SWEEP_REFUSED : SWEEP_WRONG;
		if (!reason)
			fprintf(stderr, "  the VM ended without a reason\n");
	}
	rack_close(&r);
	return (enum sweep_outcome)o;
}

int main(int argc, char **argv)
{
	static unsigned which[] = {0, 1};
	struct sweep sweeps[] = {
		{.name = "vm-first", .context = &which[0]},
		{.name = "vm-second", .context = &which[1]},
	};
	bool good = true;

	if (argc < 2)
		return 2;
	if (access("/dev/kvm", R_OK | W_OK)) {
		puts("SKIP: no /dev/kvm");
		return 77;
	}
	library = argv[1];
	signal(SIGPIPE, SIG_IGN); /* links to processes that died */
	for (size_t i = 0; i < sizeof(sweeps) / sizeof(sweeps[0]); i++) {
		sweeps[i].run = whole_vm;
		sweeps[i].alone = sweeps[i].by_site = true;
		/* In full, sites are told apart by who called their callers, too. */
		sweeps[i].frames = CELLULAR_LONG ? 3 : 1;
		sweeps[i].part = CELLULAR_LONG ? 1 : 5;
		if (argc < 3 || !strcmp(argv[2], sweeps[i].name))
			good = sweep_all(&sweeps[i]) && good;
	}
	return !good;
}
