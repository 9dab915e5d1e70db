/* SPDX-License-Identifier: Apache-2.0 */
#include "node/vm/report.h"

#include <stdlib.h>
#include <unistd.h>

#include "proto/base/log.h"

/* Sums that are not the core's: name, where it stands in struct dsm_stats. All may be added up over
 * cells. */
#define MORE_COUNTERS(X)                                                                           \
	X(faults_timed, faults_timed)                                                              \
	X(fault_ns, fault_ns_sum)                                                                  \
	X(queue_ns, queue_ns_sum)                                                                  \
	X(reply_ns, reply_ns_sum)                                                                  \
	X(install_ns, install_ns_sum)                                                              \
	X(messages_in, transport.messages_in)                                                      \
	X(messages_out, transport.messages_out)                                                    \
	X(rejected, transport.rejected)

enum {
#define X(name, text) COUNTER_##name,
	DSM_STATS(X)
#undef X
#define X(name, field) MORE_##name,
		MORE_COUNTERS(X)
#undef X
			COUNTERS,
};

/* A DsmStat with its parts, on the stack. */
struct stat_message {
	Cellular__DsmStat stat;
	Cellular__Counter counter[COUNTERS];
	Cellular__Counter *list[COUNTERS];
	Cellular__HotPage hot[DSM_HOT_MAX];
	Cellular__HotPage *hot_list[DSM_HOT_MAX];
};

static void set_counter(struct stat_message *m, int i, const char *name, uint64_t value)
{
	cellular__counter__init(&m->counter[i]);
	m->counter[i].name = (char *)name;
	m->counter[i].value = value;
	m->list[i] = &m->counter[i];
}

static void set_hot(struct stat_message *m, const struct dsm_stats *s)
{
	for (uint32_t i = 0; i < s->hot_n; i++) {
		Cellular__HotPage *h = m->hot_list[i] = &m->hot[i];

		cellular__hot_page__init(h);
		h->page = s->hot[i].page.v;
		h->faults = s->hot[i].faults;
		h->writes = s->hot[i].writes;
		h->over = s->hot[i].over;
	}
	m->stat.n_hot = s->hot_n;
	m->stat.hot = m->hot_list;
}

static void fill_stat(struct stat_message *m, struct vm *vm)
{
	struct dsm_stats s;

	dsm_stats(vm->dsm, &s);
	cellular__dsm_stat__init(&m->stat);
#define X(name, text) set_counter(m, COUNTER_##name, #name, s.core.name);
	DSM_STATS(X)
#undef X
#define X(name, field) set_counter(m, MORE_##name, #name, s.field);
	MORE_COUNTERS(X)
#undef X
	m->stat.n_counters = COUNTERS;
	m->stat.counters = m->list;
	set_hot(m, &s);
	m->stat.resident = s.resident;
	m->stat.owned = s.owned;
	m->stat.fault_us_mean = s.faults_timed ? s.fault_ns_sum / s.faults_timed / 1000 : 0;
	m->stat.fault_us_max = s.fault_ns_max / 1000;
	m->stat.bytes_in = s.transport.bytes_in;
	m->stat.bytes_out = s.transport.bytes_out;
}

static void send_message(const struct report_from *f, uint16_t type,
			 const ProtobufCMessage *message)
{
	struct err e = {0};

	if (link_send(f->link, type, message, &e))
		log_error("%s", e.text);
}

void report_state(const struct report_from *f, Cellular__FragState state, const struct vm_end *end)
{
	Cellular__FragReport report = CELLULAR__FRAG_REPORT__INIT;
	Cellular__EndReason reason = CELLULAR__END_REASON__INIT;
	char address[TRANSPORT_ADDRESS_MAX] = "";
	struct stat_message stat;

	report.vm_id = f->vm_id;
	report.epoch = f->epoch;
	report.member = f->member;
	report.state = state;
	report.pid = (uint32_t)getpid();
	report.address = address;
	if (f->vm) {
		dsm_address(f->vm->dsm, address);
		fill_stat(&stat, f->vm);
		report.stat = &stat.stat;
	}
	if (end) {
		reason.cause = end->cause;
		reason.code = end->code;
		reason.member = end->member.v;
		reason.text = (char *)end->text;
		report.reason = &reason;
	}
	send_message(f, CTL_TYPE_FRAG_REPORT, &report.base);
}

/* Three arrays of n from one allocation, in the order of the message. */
static void fill_map(Cellular__DsmMap *map, struct vm *vm, uint32_t n, uint32_t *numbers,
		     struct dsm_bucket *buckets)
{
	uint64_t pages = vm->memory.bytes >> DSM_PAGE_SHIFT;

	dsm_map(vm->dsm, n, buckets);
	map->pages = pages;
	map->pages_per_bucket = (pages + n - 1) / n;
	map->n_shared = map->n_exclusive = map->n_owned = n;
	map->shared = numbers;
	map->exclusive = numbers + n;
	map->owned = numbers + 2 * n;
	for (uint32_t i = 0; i < n; i++) {
		map->shared[i] = buckets[i].shared;
		map->exclusive[i] = buckets[i].exclusive;
		map->owned[i] = buckets[i].owned;
	}
}

static void refuse(const struct report_from *f, Cellular__FragAnswer *answer, enum err_code code,
		   const char *text)
{
	answer->error = code;
	answer->text = (char *)text;
	send_message(f, CTL_TYPE_FRAG_ANSWER, &answer->base);
}

static void answer_map(const struct report_from *f, uint32_t n, Cellular__FragAnswer *answer)
{
	Cellular__DsmMap map = CELLULAR__DSM_MAP__INIT;
	uint32_t *numbers;
	struct dsm_bucket *buckets;

	if (!n || n > REPORT_BUCKETS_MAX) {
		refuse(f, answer, ERR_INVALID, "a map has 1 to 4096 buckets");
		return;
	}
	numbers = calloc(3 * n, sizeof(*numbers));
	buckets = calloc(n, sizeof(*buckets));
	if (!numbers || !buckets) {
		refuse(f, answer, ERR_NOMEM, "no memory for a map");
	} else {
		fill_map(&map, f->vm, n, numbers, buckets);
		answer->map = &map; /* cppcheck-suppress autoVariables */
		send_message(f, CTL_TYPE_FRAG_ANSWER, &answer->base);
		answer->map = NULL;
	}
	free(numbers);
	free(buckets);
}

void report_answer(const struct report_from *f, const Cellular__FragQuery *query)
{
	Cellular__FragAnswer answer = CELLULAR__FRAG_ANSWER__INIT;
	struct stat_message stat;

	answer.request = query->request;
	answer.vm_id = f->vm_id;
	answer.member = f->member;
	answer.kind = query->kind;
	if (!f->vm) {
		refuse(f, &answer, ERR_STATE, "the fragment has no memory");
	} else if (query->kind == CELLULAR__QUERY_KIND__QUERY_STAT) {
		fill_stat(&stat, f->vm);
		answer.stat = &stat.stat;
		send_message(f, CTL_TYPE_FRAG_ANSWER, &answer.base);
	} else if (query->kind == CELLULAR__QUERY_KIND__QUERY_MAP) {
		answer_map(f, query->buckets, &answer);
	} else {
		refuse(f, &answer, ERR_UNSUPPORTED, "a fragment answers statistics and maps");
	}
}

void report_console(const struct report_from *f, char *bytes, size_t n)
{
	Cellular__FragConsole message = CELLULAR__FRAG_CONSOLE__INIT;

	message.vm_id = f->vm_id;
	message.data = (ProtobufCBinaryData){n, (uint8_t *)bytes};
	send_message(f, CTL_TYPE_FRAG_CONSOLE, &message.base);
}
