/* SPDX-License-Identifier: Apache-2.0 */
/* The link to a controller, and controllers that mean it no good: a thread that says a true hello
 * and then whatever it likes. */
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dsm/lib/named.h"
#include "proto/base/clock.h"
#include "proto/base/fd.h"
#include "proto/frame.h"
#include "proto/hello_stream.h"
#include "proto/link_address.h"
#include "tests/unit/unit.h"

enum { PATIENCE_MS = 20000, SOON_MS = 300, MANY = 1000 };

static const uint8_t key[CELL_KEY_BYTES] = "the cluster's";

struct fake {
	char dir[32], address[64];
	int listener, fd;
	uint32_t sequence; /* of the last frame sent */
	void (*script)(struct fake *f);
	pthread_t thread;
};

/* ---- the controller ---- */

static bool hello(int fd)
{
	struct hello_stream talk = {.hello = {.kind = HELLO_CTL,
					      .self = MEMBER_NONE,
					      .peer = MEMBER_NONE,
					      .version_min = FRAME_VERSION_MIN,
					      .version_max = FRAME_VERSION_MAX}};
	uint8_t in[HELLO_MESSAGE_MAX];
	struct hello_out out;

	memcpy(talk.hello.key, key, sizeof(key));
	if (hello_stream_begin(&talk, false, &out, NULL))
		return false;
	while (talk.want)
		if (fd_read_full(fd, in, talk.want, NULL) ||
		    hello_stream_take(&talk, in, &out, NULL) ||
		    fd_write_full(fd, out.bytes, out.length, NULL))
			return false;
	return true;
}

static void put_frame(struct fake *f, uint16_t type, const void *payload, size_t n)
{
	uint8_t *out = malloc(sizeof(struct frame_header) + n);
	size_t length;

	if (!out)
		abort();
	length = frame_encode(out, type, 0, ++f->sequence, payload, n);
	fd_write_full(f->fd, out, length, NULL);
	free(out);
}

static void put_reply(struct fake *f, uint64_t request, uint32_t error, const char *text)
{
	Cellular__CtlReply reply = CELLULAR__CTL_REPLY__INIT;
	uint8_t packed[512];

	reply.request = request;
	reply.error = error;
	reply.text = (char *)text;
	put_frame(f, CTL_TYPE_CTL_REPLY, packed, cellular__ctl_reply__pack(&reply, packed));
}

static void *serve(void *context)
{
	struct fake *f = context;
	char byte;

	f->fd = accept(f->listener, NULL, NULL);
	if (f->fd >= 0 && hello(f->fd))
		f->script(f);
	/* It stays until the other side has gone: what ends the link is what it said. */
	while (f->fd >= 0 && read(f->fd, &byte, 1) > 0)
		continue;
	fd_close(&f->fd);
	return NULL;
}

static void begin(struct fake *f, void (*script)(struct fake *f))
{
	struct link_address a;

	*f = (struct fake){.dir = "/tmp/control-XXXXXX", .fd = -1, .script = script};
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(f->dir));
	snprintf(f->address, sizeof(f->address), "unix:%s/s", f->dir);
	CU_ASSERT_EQUAL_FATAL(link_address_parse(f->address, &a, NULL), ERR_OK);
	CU_ASSERT_EQUAL_FATAL(link_address_listen(&a, &f->listener, NULL), ERR_OK);
	CU_ASSERT_EQUAL_FATAL(pthread_create(&f->thread, NULL, serve, f), 0);
}

static void end(struct fake *f)
{
	pthread_join(f->thread, NULL);
	fd_close(&f->listener);
	unlink(f->address + strlen("unix:"));
	rmdir(f->dir);
}

/* ---- the member ---- */

static void prepare(struct control *c, const struct fake *f)
{
	control_init(c);
	snprintf(c->controller, sizeof(c->controller), "%s", f->address);
	memcpy(c->cluster_key, key, sizeof(key));
}

/* Asks one that follows the script; the error, with a sentence. */
static int ask(void (*script)(struct fake *f), int ms, const char *says)
{
	Cellular__CtlRequest request = CELLULAR__CTL_REQUEST__INIT;
	Cellular__CtlReply *reply = NULL;
	uint64_t began = clock_ms();
	struct err e = {0};
	struct control c;
	struct fake f;
	int rc;

	begin(&f, script);
	prepare(&c, &f);
	CU_ASSERT_EQUAL(control_open(&c, clock_ms() + PATIENCE_MS, &e), ERR_OK);
	rc = control_ask(&c, &request, clock_ms() + (uint64_t)ms, &reply, &e);
	if (!rc) {
		rc = control_refused(reply, &e);
		control_free(reply);
	} else {
		CU_ASSERT_EQUAL(c.fd, -1);
	}
	CU_ASSERT(clock_ms() - began < PATIENCE_MS);
	CU_ASSERT(!rc || (rc == (int)e.code && strstr(e.text, says)));
	if (rc && !strstr(e.text, says))
		fprintf(stderr, "\n%s\n", e.text);
	control_close(&c);
	end(&f);
	return rc;
}

/* ---- what it says ---- */

static void answers(struct fake *f)
{
	put_reply(f, 99, ERR_BUSY, "to somebody else");
	put_frame(f, FRAME_OPTIONAL | 77, "later", 5);
	put_reply(f, 1, ERR_OK, "");
}

static void refuses(struct fake *f)
{
	put_reply(f, 1, ERR_EXISTS, "it is \033[2Jthere");
}

static void refuses_for_no_reason(struct fake *f)
{
	put_reply(f, 1, 4711, "x");
}

static void refuses_without_a_word(struct fake *f)
{
	put_reply(f, 1, ERR_NOTFOUND, "");
}

static void says_what_is_not_its_to_say(struct fake *f)
{
	put_frame(f, CTL_TYPE_FRAG_RUN, NULL, 0);
}

static void says_garbage(struct fake *f)
{
	put_frame(f, CTL_TYPE_CTL_REPLY, "\377\377\377\377", 4);
}

static void skips_a_frame(struct fake *f)
{
	f->sequence++;
	put_reply(f, 1, ERR_OK, "");
}

static void announces_too_much(struct fake *f)
{
	struct frame_header h = {.magic = FRAME_MAGIC,
				 .length = UINT32_MAX,
				 .type = CTL_TYPE_CTL_REPLY,
				 .version = 1,
				 .sequence = 1};

	fd_write_full(f->fd, &h, sizeof(h), NULL);
}

static void goes(struct fake *f)
{
	shutdown(f->fd, SHUT_RDWR);
}

static void says_nothing(struct fake *f)
{
	(void)f;
}

/* Faster than it can be read, until nobody listens any more. */
static void talks_of_other_things(struct fake *f)
{
	static uint8_t many[MANY * 64];
	Cellular__CtlReply reply = CELLULAR__CTL_REPLY__INIT;
	uint8_t packed[32];
	size_t n, length;

	reply.request = 99;
	n = cellular__ctl_reply__pack(&reply, packed);
	do {
		length = 0;
		for (unsigned i = 0; i < MANY; i++)
			length += frame_encode(many + length, CTL_TYPE_CTL_REPLY, 0, ++f->sequence,
					       packed, n);
	} while (!fd_write_full(f->fd, many, length, NULL));
}

static void says_a_byte_now_and_then(struct fake *f)
{
	struct frame_header h = {.magic = FRAME_MAGIC,
				 .length = FRAME_PAYLOAD_MAX,
				 .type = CTL_TYPE_CTL_REPLY,
				 .version = 1,
				 .sequence = 1};
	struct pollfd fd = {.fd = f->fd, .events = POLLRDHUP};

	fd_write_full(f->fd, &h, sizeof(h), NULL);
	while (!poll(&fd, 1, 1))
		fd_write_full(f->fd, "x", 1, NULL);
}

static void controllers_that_answer(void)
{
	CU_ASSERT_EQUAL(ask(answers, PATIENCE_MS, ""), ERR_OK);
	CU_ASSERT_EQUAL(ask(refuses, PATIENCE_MS, "it is \\x1b[2Jthere"), ERR_EXISTS);
	CU_ASSERT_EQUAL(ask(refuses_without_a_word, PATIENCE_MS, "no such thing"), ERR_NOTFOUND);
	CU_ASSERT_EQUAL(ask(refuses_for_no_reason, PATIENCE_MS, "4711"), ERR_PROTOCOL);
}

static void controllers_that_break_the_protocol(void)
{
	CU_ASSERT_EQUAL(ask(says_what_is_not_its_to_say, PATIENCE_MS, "FRAG_RUN"), ERR_PROTOCOL);
	CU_ASSERT_EQUAL(ask(says_garbage, PATIENCE_MS, "unpack"), ERR_PROTOCOL);
	CU_ASSERT_EQUAL(ask(skips_a_frame, PATIENCE_MS, "frame 2"), ERR_PROTOCOL);
	CU_ASSERT_EQUAL(ask(announces_too_much, PATIENCE_MS, "announces"), ERR_PROTOCOL);
}

static void controllers_that_take_their_time(void)
{
	CU_ASSERT_EQUAL(ask(goes, PATIENCE_MS, "controller at unix:"), ERR_UNREACHABLE);
	CU_ASSERT_EQUAL(ask(says_nothing, SOON_MS, "does not answer"), ERR_UNREACHABLE);
	CU_ASSERT_EQUAL(ask(talks_of_other_things, SOON_MS, "does not answer"), ERR_UNREACHABLE);
	CU_ASSERT_EQUAL(ask(says_a_byte_now_and_then, SOON_MS, "does not answer"), ERR_UNREACHABLE);
}

/* Who is asked to stop while it waits stops; the answer that comes later is not taken for the next
 * one. */
static void asked_to_stop(void)
{
	Cellular__CtlRequest request = CELLULAR__CTL_REQUEST__INIT;
	Cellular__CtlReply *reply;
	struct control c;
	struct fake f;
	struct err e;

	begin(&f, says_nothing);
	prepare(&c, &f);
	CU_ASSERT_EQUAL(control_open(&c, clock_ms() + PATIENCE_MS, &e), ERR_OK);
	c.stop_fd = eventfd(1, EFD_CLOEXEC);
	CU_ASSERT_EQUAL(control_ask(&c, &request, clock_ms() + PATIENCE_MS, &reply, &e),
			ERR_INTERRUPTED);
	fd_close(&c.stop_fd);
	CU_ASSERT_FATAL(c.fd >= 0);
	put_reply(&f, 1, ERR_BUSY, "late");
	put_reply(&f, 2, ERR_OK, "");
	CU_ASSERT_EQUAL_FATAL(control_ask(&c, &request, clock_ms() + PATIENCE_MS, &reply, &e),
			      ERR_OK);
	CU_ASSERT_EQUAL(control_refused(reply, &e), ERR_OK);
	control_free(reply);
	control_close(&c);
	end(&f);
}

/* ---- a name ---- */

static Cellular__CtlOp heard[4];
static unsigned n_heard;

/* Agrees to everything, and remembers it. */
static void agrees(struct fake *f)
{
	struct frame_header h;
	uint8_t payload[1024];
	ProtobufCMessage *m;

	while (n_heard < UNIT_COUNT(heard) && !fd_read_full(f->fd, &h, sizeof(h), NULL)) {
		if (h.length > sizeof(payload) || fd_read_full(f->fd, payload, h.length, NULL) ||
		    ctl_unpack(h.type, payload, h.length, &m, NULL))
			return;
		heard[n_heard++] = ((Cellular__CtlRequest *)m)->op;
		put_reply(f, ((Cellular__CtlRequest *)m)->request, ERR_OK, "");
		ctl_free(m);
	}
}

static void begin_named(const struct fake *f, struct named **n)
{
	static const char hex[] = "0123456789abcdef";
	struct cdsm_options o = CDSM_OPTIONS;
	char path[64], digits[2 * CELL_KEY_BYTES + 2] = "";
	struct err e;
	FILE *file;

	for (unsigned i = 0; i < CELL_KEY_BYTES; i++) {
		digits[2 * i] = hex[key[i] >> 4];
		digits[2 * i + 1] = hex[key[i] & 15];
	}
	snprintf(path, sizeof(path), "%s/key", f->dir);
	umask(077);
	file = fopen(path, "w");
	CU_ASSERT_FATAL(file && fprintf(file, "%s\n", digits) > 0 && !fclose(file));
	o.cluster = f->address;
	o.cluster_key_file = path;
	o.name = "demo";
	CU_ASSERT_EQUAL_FATAL(named_begin(&o, n, &e), ERR_OK);
	unlink(path);
}

/* Whoever comes next must find the name free: it is not left to the end of the link. */
static void who_lets_go_says_so(void)
{
	struct dsm_config config = {.members = 8};
	struct named *n = NULL;
	struct fake f;
	struct err e;

	begin(&f, agrees);
	begin_named(&f, &n);
	CU_ASSERT_EQUAL(named_draw(n, &config, &e), ERR_OK);
	CU_ASSERT_EQUAL(named_create(n, &config, 4096, "127.0.0.1:1", &e), ERR_OK);
	named_keep(n);
	named_let_go(n, true);
	named_end(n);
	end(&f);
	CU_ASSERT_EQUAL(n_heard, 2);
	CU_ASSERT_EQUAL(heard[0], CELLULAR__CTL_OP__OP_SPACE_CREATE);
	CU_ASSERT_EQUAL(heard[1], CELLULAR__CTL_OP__OP_SPACE_DROP);
}

int main(void)
{
	static const struct unit_case cases[] = {
		UNIT_CASE(controllers_that_answer),
		UNIT_CASE(controllers_that_break_the_protocol),
		UNIT_CASE(controllers_that_take_their_time),
		UNIT_CASE(asked_to_stop),
		UNIT_CASE(who_lets_go_says_so),
	};

	signal(SIGPIPE, SIG_IGN);
	return unit_main("cdsm control", cases, UNIT_COUNT(cases));
}
