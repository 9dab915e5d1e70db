/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Questions the controller cannot answer itself: they go to the cells of a VM, the answers are
 * gathered, and the client gets one reply - all answers, or the first reason why there is one
 * missing.
 *
 *   server_query --> asked: `pending` has a bit a member --last answer--> finish()
 *                                     |
 *                                     '--error, timeout, link lost: fail()--> reply, uv_close, free
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controller/server/state.h"
#include "proto/base/text.h"
#include "proto/frame.h"

enum {
	ANSWER_MAX = 64 << 10, /* of one fragment: a map of SERVER_BUCKETS_MAX is below 40 KiB */
	CONSOLE_MAX = FRAME_PAYLOAD_MAX - 4096, /* of the one that has the console */
};

static void freed(uv_handle_t *handle)
{
	struct query *q = handle->data;

	for (unsigned m = 0; m < q->members; m++)
		free(q->answers[m].bytes);
	free(q);
}

static void drop(struct query *q)
{
	*q->back = q->next;
	if (q->next)
		q->next->back = q->back;
	q->server->n_queries--;
	uv_close((uv_handle_t *)&q->timer, freed);
}

static void __attribute__((format(printf, 3, 4)))
fail(struct query *q, enum err_code code, const char *fmt, ...)
{
	struct peer *client = server_peer(q->server, q->client);
	struct err e = {.code = code};
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(e.text, sizeof(e.text), fmt, ap);
	va_end(ap);
	if (client)
		server_reply_error(client, q->request, &e);
	drop(q);
}

/* ---- the reply ---- */

static const Cellular__FragAnswer *answer_of(struct query *q, unsigned member)
{
	const struct blob *b = &q->answers[member];

	return b->bytes ? cellular__frag_answer__unpack(&q->server->arena.allocator, b->n, b->bytes)
			: NULL;
}

static void add_stat(struct query *q, unsigned member, Cellular__CtlReply *reply)
{
	struct server *s = q->server;
	const Cellular__FragAnswer *answer = answer_of(q, member);
	Cellular__CellStat *stat = ARENA_NEW(&s->arena, Cellular__CellStat);

	cellular__cell_stat__init(stat);
	stat->cell = q->cells[member];
	stat->member = member;
	if (answer)
		stat->stat = answer->stat;
	for (unsigned i = 0; !stat->stat && i < POLICY_VMS_MAX; i++)
		if (s->bodies[i].id.v == q->vm.v && policy_vm_at(s->policy, i))
			stat->stat = server_stat(s, policy_vm_at(s->policy, i), member);
	reply->stats[reply->n_stats++] = stat;
}

static void add_map(struct query *q, unsigned member, Cellular__CtlReply *reply)
{
	const Cellular__FragAnswer *answer = answer_of(q, member);
	Cellular__CellMap *map = ARENA_NEW(&q->server->arena, Cellular__CellMap);

	cellular__cell_map__init(map);
	map->cell = q->cells[member];
	map->member = member;
	map->map = answer ? answer->map : NULL;
	reply->maps[reply->n_maps++] = map;
}

static void finish(struct query *q)
{
	struct server *s = q->server;
	struct peer *client = server_peer(s, q->client);
	Cellular__CtlReply reply = CELLULAR__CTL_REPLY__INIT;
	const Cellular__FragAnswer *answer;

	reply.stats = ARENA_ARRAY(&s->arena, Cellular__CellStat *, q->members);
	reply.maps = ARENA_ARRAY(&s->arena, Cellular__CellMap *, q->members);
	for (unsigned m = 0; m < q->members; m++)
		if (q->kind == CELLULAR__QUERY_KIND__QUERY_STAT)
			add_stat(q, m, &reply);
		else if (q->kind == CELLULAR__QUERY_KIND__QUERY_MAP)
			add_map(q, m, &reply);
	if (q->kind == CELLULAR__QUERY_KIND__QUERY_CONSOLE) {
		answer = answer_of(q, 0);
		reply.console = answer ? answer->console : NULL;
	}
	if (client)
		server_reply(client, q->request, &reply);
	else
		arena_reset(&s->arena);
	drop(q);
}

/* ---- the answers ---- */

static bool keep(struct query *q, unsigned member, const Cellular__FragAnswer *answer)
{
	size_t n = cellular__frag_answer__get_packed_size(answer);
	size_t max = q->kind == CELLULAR__QUERY_KIND__QUERY_CONSOLE ? CONSOLE_MAX : ANSWER_MAX;
	struct blob *b = &q->answers[member];

	b->bytes = n <= max ? malloc(n + 1) : NULL;
	if (!b->bytes)
		return false;
	b->n = cellular__frag_answer__pack(answer, b->bytes);
	return true;
}

/* A fragment that has just ended cannot be asked for its figures, but the last ones are known. */
static bool known_anyway(const struct query *q, const Cellular__FragAnswer *answer)
{
	return q->kind == CELLULAR__QUERY_KIND__QUERY_STAT &&
	       (answer->error == ERR_NOTFOUND || answer->error == ERR_STATE);
}

static bool has_content(const struct query *q, const Cellular__FragAnswer *answer)
{
	switch (q->kind) {
	case CELLULAR__QUERY_KIND__QUERY_STAT:
		return answer->stat;
	case CELLULAR__QUERY_KIND__QUERY_MAP:
		return answer->map;
	default:
		return answer->console;
	}
}

static struct query *find(struct server *s, uint64_t number)
{
	for (struct query *q = s->queries; q; q = q->next)
		if (q->number == number)
			return q;
	return NULL;
}

void server_query_answer(struct peer *cell, const Cellular__FragAnswer *answer)
{
	struct query *q = find(cell->server, answer->request);
	unsigned m = answer->member;
	char text[ERR_TEXT_MAX / 2];

	/* A cell that knows no fragment of the VM cannot name the member either. */
	for (unsigned i = 0; q && answer->error && i < q->members; i++)
		if (q->asked[i] == cell->number)
			m = i;
	if (!q || m >= q->members || !(q->pending & 1ull << m) || q->asked[m] != cell->number ||
	    answer->kind != q->kind || answer->vm_id != q->vm.v)
		return; /* late, or not asked for */
	if (answer->error && !known_anyway(q, answer)) {
		fail(q, answer->error <= ERR_INTERRUPTED ? answer->error : ERR_SYS, "%s: %s",
		     q->cells[m], text_escape(answer->text, text, sizeof(text)));
		return;
	}
	if (!answer->error && (!has_content(q, answer) || !keep(q, m, answer))) {
		fail(q, ERR_PROTOCOL, "%s sent an answer that cannot be used", q->cells[m]);
		return;
	}
	q->pending &= ~(1ull << m);
	if (!q->pending)
		finish(q);
}

static void on_timeout(uv_timer_t *timer)
{
	struct query *q = timer->data;

	fail(q, ERR_TIMEOUT, "%s did not answer within %d s", q->cells[__builtin_ctzll(q->pending)],
	     SERVER_QUERY_MS / 1000);
}

void server_query_closed(struct server *s, const struct peer *peer)
{
	struct query *next;

	for (struct query *q = s->queries; q; q = next) {
		next = q->next;
		if (q->client == peer->number) {
			drop(q);
			continue;
		}
		for (unsigned m = 0; m < q->members; m++)
			if (q->pending & 1ull << m && q->asked[m] == peer->number) {
				fail(q, ERR_UNREACHABLE,
				     "the link to %s was lost before it answered", q->cells[m]);
				break;
			}
	}
}

void server_query_cancel_all(struct server *s)
{
	while (s->queries)
		drop(s->queries);
}

/* ---- the question ---- */

static Cellular__QueryKind kind_of(Cellular__CtlOp op)
{
	return op == CELLULAR__CTL_OP__OP_MEM_STAT  ? CELLULAR__QUERY_KIND__QUERY_STAT
	       : op == CELLULAR__CTL_OP__OP_MEM_MAP ? CELLULAR__QUERY_KIND__QUERY_MAP
						    : CELLULAR__QUERY_KIND__QUERY_CONSOLE;
}

static bool has_space(const struct policy_vm *vm)
{
	return vm->state == VM_RUNNING || vm->state == VM_EXITED;
}

/* Members whose cells must be asked. */
static int whom(struct query *q, const struct policy_vm *vm, uint64_t *members, struct err *e)
{
	*members = 0;
	if (q->kind == CELLULAR__QUERY_KIND__QUERY_CONSOLE) {
		*members = 1;
	} else if (has_space(vm)) {
		*members = vm->members == 64 ? ~0ull : (1ull << vm->members) - 1;
	} else if (q->kind == CELLULAR__QUERY_KIND__QUERY_MAP) {
		return err_set(e, ERR_STATE, "%s %s: it has no memory to show", vm->name,
			       policy_vm_is(vm->state));
	}
	for (unsigned m = 0; m < vm->members; m++)
		if (*members & 1ull << m && !policy_fragment_reachable(q->server->policy, vm, m))
			return err_set(e, ERR_UNREACHABLE, "%s cannot be reached", q->cells[m]);
	return ERR_OK;
}

static void ask(struct query *q, const struct policy_vm *vm, const Cellular__CtlRequest *message)
{
	struct server *s = q->server;
	Cellular__FragQuery query = CELLULAR__FRAG_QUERY__INIT;
	uint32_t buckets = message->buckets ? message->buckets : SERVER_BUCKETS_DEFAULT;

	query.request = q->number;
	query.vm_id = vm->id.v;
	query.kind = q->kind;
	query.buckets = buckets < SERVER_BUCKETS_MAX ? buckets : SERVER_BUCKETS_MAX;
	query.console_offset = message->console_offset;
	for (unsigned m = 0; m < vm->members; m++) {
		struct peer *cell;

		if (!(q->pending & 1ull << m))
			continue;
		cell = server_peer(s, policy_cell_at(s->policy, vm->fragments[m].cell)->link);
		q->asked[m] = cell ? cell->number : 0;
		if (cell)
			server_send(cell, CTL_TYPE_FRAG_QUERY, &query.base);
	}
}

static struct query *make(struct peer *client, const Cellular__CtlRequest *message,
			  const struct policy_vm *vm)
{
	struct server *s = client->server;
	struct query *q = s->n_queries < SERVER_QUERIES_MAX ? calloc(1, sizeof(*q)) : NULL;

	if (!q)
		return NULL;
	q->server = s;
	q->number = s->next_number++;
	q->client = client->number;
	q->request = message->request;
	q->kind = kind_of(message->op);
	q->vm = vm->id;
	q->members = vm->members;
	for (unsigned m = 0; m < vm->members; m++)
		memcpy(q->cells[m], policy_cell_at(s->policy, vm->fragments[m].cell)->name,
		       CELL_NAME_MAX);
	uv_timer_init(&s->loop, &q->timer);
	q->timer.data = q;
	q->next = s->queries;
	q->back = &s->queries;
	if (q->next)
		q->next->back = &q->next;
	s->queries = q;
	s->n_queries++;
	return q;
}

void server_query(struct peer *client, const Cellular__CtlRequest *message,
		  const struct policy_vm *vm)
{
	struct query *q = make(client, message, vm);
	struct err e;

	if (!q) {
		err_set(&e, ERR_BUSY, "%d questions are under way; try again", SERVER_QUERIES_MAX);
		server_reply_error(client, message->request, &e);
		return;
	}
	if (whom(q, vm, &q->pending, &e)) {
		fail(q, e.code, "%s", e.text);
		return;
	}
	if (!q->pending) {
		finish(q);
		return;
	}
	uv_timer_start(&q->timer, on_timeout, SERVER_QUERY_MS, 0);
	ask(q, vm, message);
}
