/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/dsm/tcp/rack.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto/base/address.h"
#include "proto/base/clock.h"
#include "proto/base/fd.h"
#include "proto/hello_stream.h"
#include "tests/unit/unit.h"

void rack_init(struct rack *rack, int n)
{
	memset(rack, 0, sizeof(*rack));
	rack->n = n;
	rack->config = (struct transport_config){
		.space = {77},
		.epoch = {5},
		.members = (uint8_t)n,
		.pages = RACK_PAGES,
		.listen = "127.0.0.1:0",
	};
	memset(rack->config.key, 0x5a, CELL_KEY_BYTES);
}

void rack_open(struct rack *rack, int first)
{
	struct err e = {0};

	for (int m = first; m < rack->n; m++) {
		rack->config.self = (struct member_id){(uint8_t)m};
		CU_ASSERT_EQUAL_FATAL(transport_tcp.open(&rack->config, &rack->t[m], &e), ERR_OK);
		CU_ASSERT_EQUAL(transport_tcp.address(rack->t[m], rack->address[m]), ERR_OK);
		rack->peers[m] = rack->address[m];
	}
}

struct start {
	struct rack *rack;
	int m, timeout_ms;
};

static void *run_connect(void *context)
{
	struct start start = *(struct start *)context;
	struct rack *rack = start.rack;

	free(context);
	rack->rc[start.m] = transport_tcp.connect(rack->t[start.m], rack->peers, start.timeout_ms,
						  -1, &rack->why[start.m]);
	return NULL;
}

void rack_connect_start(struct rack *rack, int m, int timeout_ms)
{
	struct start *start = malloc(sizeof(*start));

	*start = (struct start){rack, m, timeout_ms};
	CU_ASSERT_EQUAL_FATAL(pthread_create(&rack->thread[m], NULL, run_connect, start), 0);
}

int rack_join(struct rack *rack, int m)
{
	pthread_join(rack->thread[m], NULL);
	return rack->rc[m];
}

void rack_connect_all(struct rack *rack)
{
	for (int m = 0; m < rack->n; m++)
		rack_connect_start(rack, m, RACK_TIMEOUT_MS);
	for (int m = 0; m < rack->n; m++)
		if (rack_join(rack, m))
			CU_FAIL_FATAL("the mesh does not stand");
}

void rack_up(struct rack *rack, int n)
{
	rack_init(rack, n);
	rack_open(rack, 0);
	rack_connect_all(rack);
}

void rack_close(struct rack *rack)
{
	for (int m = 0; m < rack->n; m++)
		transport_tcp.close(rack->t[m]);
}

static void sleep_on(struct transport *t, int ms)
{
	struct pollfd fd = {.fd = transport_tcp.fd(t), .events = POLLIN};

	poll(&fd, 1, ms);
}

struct transport_event rack_wait(struct rack *rack, int m)
{
	uint64_t deadline = clock_ms() + RACK_TIMEOUT_MS;
	struct transport_event event;

	for (;;) {
		transport_tcp.poll(rack->t[m], &event);
		if (event.type != TRANSPORT_NONE)
			return event;
		if (clock_ms() >= deadline)
			break;
		sleep_on(rack->t[m], 100);
	}
	CU_FAIL("nothing came");
	return event;
}

bool rack_quiet(struct rack *rack, int m, int ms)
{
	uint64_t deadline = clock_ms() + (uint64_t)ms;
	struct transport_event event;

	for (;;) {
		transport_tcp.poll(rack->t[m], &event);
		if (event.type != TRANSPORT_NONE)
			return false;
		if (clock_ms() >= deadline)
			return true;
		sleep_on(rack->t[m], 10);
	}
}

struct transport_stats rack_stats(const struct rack *rack, int m)
{
	struct transport_stats stats;

	transport_tcp.stats(rack->t[m], &stats);
	return stats;
}

struct dsm_msg rack_post(void)
{
	return (struct dsm_msg){.type = PAGE_POST, .epoch = {5}};
}

struct dsm_msg rack_grant(uint32_t pages)
{
	return (struct dsm_msg){.type = PAGE_GRANT,
				.flags = PAGE_FLAG_DATA,
				.epoch = {5},
				.page = {1},
				.pages = pages,
				.version = 9};
}

void rack_send_number(struct rack *rack, int from, int to, uint32_t number)
{
	struct dsm_msg msg = rack_post();

	transport_tcp.send(rack->t[from], (struct member_id){(uint8_t)to}, &msg, &number,
			   sizeof(number));
	transport_tcp.flush(rack->t[from]);
}

uint32_t rack_number(const struct transport_event *event)
{
	uint32_t number = UINT32_MAX;

	if (event->type == TRANSPORT_MSG && event->bytes == sizeof(number))
		memcpy(&number, event->data, sizeof(number));
	return number;
}

int raw_connect(const char *text)
{
	struct address a;
	int fd;

	CU_ASSERT_EQUAL_FATAL(address_parse(text, &a, NULL), ERR_OK);
	fd = socket(a.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CU_ASSERT_EQUAL_FATAL(connect(fd, (struct sockaddr *)&a.storage, a.length), 0);
	return fd;
}

int raw_peer(const struct rack *rack, int from, int to)
{
	struct hello_stream s = {.hello = {.kind = HELLO_DATA,
					   .space = rack->config.space,
					   .epoch = rack->config.epoch,
					   .self = {(uint8_t)from},
					   .peer = {(uint8_t)to},
					   .version_min = PAGE_VERSION_MIN,
					   .version_max = PAGE_VERSION_MAX}};
	int fd = raw_connect(rack->address[to]);
	uint8_t second[sizeof(struct hello_2)];
	struct hello_out out;

	memcpy(s.hello.key, rack->config.key, CELL_KEY_BYTES);
	CU_ASSERT_EQUAL(hello_stream_begin(&s, true, &out, NULL), ERR_OK);
	CU_ASSERT_EQUAL(fd_write_full(fd, out.bytes, out.length, NULL), ERR_OK);
	CU_ASSERT_EQUAL_FATAL(fd_read_full(fd, second, sizeof(second), NULL), ERR_OK);
	CU_ASSERT_EQUAL(hello_stream_take(&s, second, &out, NULL), ERR_OK);
	CU_ASSERT_EQUAL(fd_write_full(fd, out.bytes, out.length, NULL), ERR_OK);
	return fd;
}
