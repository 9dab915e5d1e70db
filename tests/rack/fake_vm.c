/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stands in for cell-vm when celld is tested alone: speaks the protocol on descriptors 3 and 4,
 * computes nothing, and misbehaves on demand. The first argument of the VM says how:
 *
 *   ok          lives through all states; what it says is what a good cell-vm says
 *   stop N      as ok, but the guest exits with code N as soon as it runs
 *   fail        cannot start, and says why
 *   mute        never says a word, not even goodbye
 *   stubborn    as ok, but does not hear FragQuit
 *   abort       dies of SIGABRT with a last word on stderr
 *   exit N      ends by itself
 *   garbage     writes bytes that are no frame
 *   backward    reports states in the wrong order
 *   foreign     sends a message that is not its to send
 *   chatty N    as ok, and writes N bytes to the console
 *   drop        closes its control link and lives on
 */
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/userfaultfd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "proto/link.h"

enum { FD_CONTROL = 3, FD_UFFD = 4, FD_FLIGHT = 5, CHUNK = 4096 };

static struct {
	uv_loop_t loop;
	struct link *link;
	uint64_t vm_id;
	uint32_t epoch, member;
	char mode[64], argument[64];
} vm;

static bool mode_is(const char *mode)
{
	return strcmp(vm.mode, mode) == 0;
}

static void report(Cellular__FragState state, const Cellular__EndReason *reason)
{
	Cellular__FragReport message = CELLULAR__FRAG_REPORT__INIT;

	message.vm_id = vm.vm_id;
	message.epoch = vm.epoch;
	message.member = vm.member;
	message.state = state;
	message.address = (char *)"127.0.0.1:9";
	message.pid = (uint32_t)getpid();
	message.reason = (Cellular__EndReason *)reason;
	link_send(vm.link, CTL_TYPE_FRAG_REPORT, &message.base, NULL);
}

static void stop(Cellular__EndCause cause, int code, const char *text)
{
	Cellular__EndReason reason = CELLULAR__END_REASON__INIT;

	reason.cause = cause;
	reason.code = code;
	reason.text = (char *)text;
	reason.member = vm.member;
	report(CELLULAR__FRAG_STATE__FRAG_STOPPED, &reason);
}

static void say(const char *text, size_t n)
{
	Cellular__FragConsole message = CELLULAR__FRAG_CONSOLE__INIT;

	message.vm_id = vm.vm_id;
	message.data.data = (uint8_t *)text;
	message.data.len = n;
	link_send(vm.link, CTL_TYPE_FRAG_CONSOLE, &message.base, NULL);
}

static void chat(size_t n)
{
	char text[CHUNK];

	for (size_t i = 0; i < n; i += CHUNK) {
		memset(text, 'a' + (int)(i / CHUNK % 26), sizeof(text));
		say(text, n - i < CHUNK ? n - i : CHUNK);
	}
}

static void hand_over(int fd)
{
	char byte = 0, control[CMSG_SPACE(sizeof(int))] = {0};
	struct iovec iov = {&byte, 1};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control,
			     .msg_controllen = sizeof(control)};
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(int));
	if (sendmsg(FD_UFFD, &msg, MSG_NOSIGNAL) < 0)
		perror("fake-vm: sendmsg");
}

/* A real one, and one that is none: celld must keep the first and close the second. */
static void hand_over_both(void)
{
	int uffd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY);

	if (uffd >= 0) {
		hand_over(uffd);
		close(uffd);
	}
	hand_over(STDIN_FILENO);
}

static _Noreturn void misbehave_at_once(void)
{
	static const char junk[] = "this is no frame, and it is longer than the header of one";

	if (mode_is("abort")) {
		fputs("fake-vm: an earlier line\nfake-vm: it is over\n\n", stderr);
		abort();
	}
	if (mode_is("exit"))
		exit(atoi(vm.argument));
	if (mode_is("garbage") && write(FD_CONTROL, junk, sizeof(junk)) < 0)
		perror("fake-vm: write");
	if (mode_is("drop"))
		shutdown(FD_CONTROL, SHUT_RDWR);
	for (;;)
		pause();
}

static void started(const Cellular__FragStart *order)
{
	vm.vm_id = order->vm_id;
	vm.epoch = order->epoch;
	vm.member = order->member;
	snprintf(vm.mode, sizeof(vm.mode), "%s",
		 order->spec->n_args > 0 ? order->spec->args[0] : "ok");
	snprintf(vm.argument, sizeof(vm.argument), "%s",
		 order->spec->n_args > 1 ? order->spec->args[1] : "0");
	if (mode_is("mute") || mode_is("abort") || mode_is("exit") || mode_is("garbage") ||
	    mode_is("drop"))
		misbehave_at_once();
	if (mode_is("fail")) {
		stop(CELLULAR__END_CAUSE__END_START_FAILED, ERR_NOTFOUND, "there is no such guest");
		return;
	}
	hand_over_both();
	if (mode_is("backward")) {
		report(CELLULAR__FRAG_STATE__FRAG_RUNNING, NULL);
		report(CELLULAR__FRAG_STATE__FRAG_LISTENING, NULL);
		return;
	}
	if (mode_is("foreign")) {
		Cellular__FragRun run = CELLULAR__FRAG_RUN__INIT;

		link_send(vm.link, CTL_TYPE_FRAG_RUN, &run.base, NULL);
		return;
	}
	report(CELLULAR__FRAG_STATE__FRAG_LISTENING, NULL);
}

static void running(void)
{
	char hello[64];
	int n = snprintf(hello, sizeof(hello), "hello from member %u\n", vm.member);

	report(CELLULAR__FRAG_STATE__FRAG_RUNNING, NULL);
	say(hello, (size_t)n);
	if (mode_is("chatty"))
		chat((size_t)atol(vm.argument));
	if (mode_is("stop"))
		stop(CELLULAR__END_CAUSE__END_EXIT, atoi(vm.argument), "the guest exited");
}

static void answer(const Cellular__FragQuery *query)
{
	Cellular__FragAnswer message = CELLULAR__FRAG_ANSWER__INIT;
	Cellular__DsmStat stat = CELLULAR__DSM_STAT__INIT;
	Cellular__DsmMap map = CELLULAR__DSM_MAP__INIT;
	Cellular__Counter counter = CELLULAR__COUNTER__INIT, *counters[] = {&counter};
	uint32_t some[] = {1};

	message.request = query->request;
	message.kind = query->kind;
	message.vm_id = 999; /* wrong on purpose: celld knows better */
	message.member = 63;
	counter.name = (char *)"read_remote";
	counter.value = 7;
	stat.counters = counters;
	stat.n_counters = 1;
	stat.resident = 5;
	map.pages = map.pages_per_bucket = 512;
	map.owned = map.exclusive = map.shared = some;
	map.n_owned = map.n_exclusive = map.n_shared = 1;
	if (query->kind == CELLULAR__QUERY_KIND__QUERY_MAP)
		message.map = &map;
	else
		message.stat = &stat;
	link_send(vm.link, CTL_TYPE_FRAG_ANSWER, &message.base, NULL);
}

static void quit(const Cellular__FragQuit *order)
{
	if (mode_is("stubborn"))
		return;
	if (!mode_is("stop") && !mode_is("fail"))
		report(CELLULAR__FRAG_STATE__FRAG_STOPPED, order->reason);
	link_close(vm.link);
}

static void message(void *context, struct link *link, uint16_t type, const ProtobufCMessage *m)
{
	(void)context;
	(void)link;
	if (type == CTL_TYPE_FRAG_START)
		started((const Cellular__FragStart *)m);
	else if (type == CTL_TYPE_FRAG_PEERS)
		report(CELLULAR__FRAG_STATE__FRAG_READY, NULL);
	else if (type == CTL_TYPE_FRAG_RUN)
		running();
	else if (type == CTL_TYPE_FRAG_QUERY)
		answer((const Cellular__FragQuery *)m);
	else if (type == CTL_TYPE_FRAG_QUIT)
		quit((const Cellular__FragQuit *)m);
}

static void open_(void *context, struct link *link)
{
	(void)context;
	(void)link;
}

static void closed(void *context, struct link *link, const struct err *why)
{
	(void)context;
	(void)link;
	(void)why;
	if (mode_is("stubborn"))
		for (;;)
			pause();
}

/* Nothing of celld's may be open here but 0 .. 4 (and the directory that is being read). */
static unsigned stray_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned n = 0;

	for (struct dirent *d = dir ? readdir(dir) : NULL; d; d = readdir(dir))
		if (d->d_name[0] != '.' && atoi(d->d_name) > FD_FLIGHT &&
		    atoi(d->d_name) != dirfd(dir))
			n++;
	if (dir)
		closedir(dir);
	return n;
}

int main(void)
{
	static const struct link_ops ops = {.open = open_, .message = message, .closed = closed};
	struct err e;

	if (stray_descriptors()) {
		fprintf(stderr, "fake-vm: %u descriptors leaked\n", stray_descriptors());
		return 99;
	}
	uv_loop_init(&vm.loop);
	if (link_adopt(&vm.loop, FD_CONTROL, &ops, NULL, &vm.link, &e))
		return 98;
	uv_run(&vm.loop, UV_RUN_DEFAULT);
	return 0;
}
