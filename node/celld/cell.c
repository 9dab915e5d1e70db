/* SPDX-License-Identifier: Apache-2.0 */
#include "node/celld/cell.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "node/celld/order.h"
#include "proto/base/log.h"
#include "proto/control.h"

static bool is_record(const struct fragment *f)
{
	return f->handles == 0;
}

static struct fragment *find(const struct cell *c, uint64_t vm_id)
{
	for (struct fragment *f = c->fragments; f; f = f->next)
		if (f->vm_id == vm_id)
			return f;
	return NULL;
}

static void drop_record(struct cell *c, struct fragment *f)
{
	struct fragment **at = &c->fragments;

	assert(is_record(f));
	while (*at != f)
		at = &(*at)->next;
	*at = f->next;
	fragment_free(f);
}

/* The list is in order of age: the last record is the oldest. */
static void bound_records(struct cell *c)
{
	struct fragment *oldest = NULL;
	unsigned n = 0;

	for (struct fragment *f = c->fragments; f; f = f->next)
		if (is_record(f)) {
			oldest = f;
			n++;
		}
	if (n > CELL_RECORDS_MAX)
		drop_record(c, oldest);
}

static void report(struct cell *c, const struct fragment *f)
{
	Cellular__FragReport message;
	Cellular__EndReason reason;

	fragment_report(f, &message, &reason);
	c->ops->tell(c->context, CTL_TYPE_FRAG_REPORT, &message.base);
}

/* ---- what fragments say
 * ---------------------------------------------------------------------------------------------- */

static void fragment_changed(void *context, struct fragment *f)
{
	report(context, f);
}

static void fragment_answered(void *context, struct fragment *f, const Cellular__FragAnswer *in)
{
	struct cell *c = context;
	Cellular__FragAnswer out = *in; /* shallow: only packed */

	out.vm_id = f->vm_id;
	out.member = f->member;
	c->ops->tell(c->context, CTL_TYPE_FRAG_ANSWER, &out.base);
}

static bool any_lives(const struct cell *c)
{
	for (const struct fragment *f = c->fragments; f; f = f->next)
		if (!is_record(f))
			return true;
	return false;
}

static void fragment_ended(void *context, struct fragment *f)
{
	struct cell *c = context;

	c->rejected += f->broke;
	log_info("vm %" PRIu64 ": fragment %u is gone: %s", f->vm_id, f->member, f->reason.text);
	account_give_back(&c->account, f->memory, f->vcpus);
	report(c, f);
	if (f->forget)
		drop_record(c, f);
	bound_records(c);
	if (c->stopping && !any_lives(c))
		c->ops->stopped(c->context);
}

static const struct fragment_ops fragment_ops = {
	.changed = fragment_changed, .answer = fragment_answered, .gone = fragment_ended};

/* ---- orders
 * ----------------------------------------------------------------------------------------------------------
 */

static void refuse_start(struct cell *c, const Cellular__FragStart *order, const struct err *why)
{
	Cellular__FragReport message = CELLULAR__FRAG_REPORT__INIT;
	Cellular__EndReason reason = CELLULAR__END_REASON__INIT;

	log_warning("vm %" PRIu64 ": not started: %s", order->vm_id, why->text);
	reason.cause = CELLULAR__END_CAUSE__END_START_FAILED;
	reason.code = why->code;
	reason.text = (char *)why->text;
	reason.cell = (char *)c->config.cell;
	reason.member = order->member;
	message.vm_id = order->vm_id;
	message.epoch = order->epoch;
	message.member = order->member;
	message.state = CELLULAR__FRAG_STATE__FRAG_GONE;
	message.reason = &reason;
	c->ops->tell(c->context, CTL_TYPE_FRAG_REPORT, &message.base);
}

/* Nothing of this VM is here any more, or an order for the same life of it was repeated (*again).
 */
static int make_way(struct cell *c, const Cellular__FragStart *order, bool *again, struct err *e)
{
	struct fragment *old = find(c, order->vm_id);

	*again = old && old->epoch == order->epoch && old->member == order->member;
	if (!old || *again)
		return ERR_OK;
	if (!is_record(old))
		return err_set(e, ERR_EXISTS, "a fragment of this VM runs on %s already",
			       c->config.cell);
	drop_record(c, old);
	return ERR_OK;
}

static int start(struct cell *c, const Cellular__FragStart *order, struct err *e)
{
	struct fragment *f;
	uint64_t memory;
	uint32_t vcpus;
	bool again;
	int rc;

	if (c->stopping)
		return err_set(e, ERR_STATE, "%s is ending", c->config.cell);
	rc = order_check(order, &vcpus, e);
	if (!rc)
		rc = make_way(c, order, &again, e);
	if (rc)
		return rc;
	if (again) {
		report(c, find(c, order->vm_id));
		return ERR_OK;
	}
	memory = account_share(order->spec->memory, order->members);
	rc = account_take(&c->account, memory, vcpus, e);
	if (rc)
		return err_wrap(e, rc, "%s is full", c->config.cell);
	rc = fragment_start(&c->config, order, &f, e);
	if (rc) {
		account_give_back(&c->account, memory, vcpus);
		return rc;
	}
	f->memory = memory;
	f->vcpus = vcpus;
	f->next = c->fragments;
	c->fragments = f;
	log_info("vm %" PRIu64 ": fragment %u of %s started (pid %d)", f->vm_id, f->member,
		 order->spec->name, (int)f->pid);
	report(c, f);
	return ERR_OK;
}

static void order_start(struct cell *c, const Cellular__FragStart *order)
{
	struct err why;

	if (start(c, order, &why))
		refuse_start(c, order, &why);
}

static void order_pass_on(struct cell *c, uint64_t vm_id, uint32_t epoch, uint16_t type,
			  const ProtobufCMessage *message)
{
	struct fragment *f = find(c, vm_id);
	struct err why = {0};

	if (!f || f->epoch != epoch)
		err_set(&why, ERR_NOTFOUND, "no such fragment, or of another epoch");
	else
		fragment_send(f, type, message, &why);
	if (why.code)
		log_info("vm %" PRIu64 ": %s dropped: %s", vm_id, ctl_type_name(type), why.text);
}

static void order_quit(struct cell *c, const Cellular__FragQuit *order)
{
	struct fragment *f = find(c, order->vm_id);

	if (!f || f->epoch != order->epoch)
		return;
	f->forget |= order->forget;
	if (!is_record(f))
		fragment_quit(f, order->reason);
	else if (f->forget)
		drop_record(c, f);
}

/* ---- questions
 * -------------------------------------------------------------------------------------------------------
 */

static void answer_console(struct cell *c, const struct fragment *f, Cellular__FragAnswer *answer,
			   uint64_t offset)
{
	Cellular__Console console = CELLULAR__CONSOLE__INIT;
	uint8_t *copy = malloc(CONSOLE_BYTES);

	if (!copy) {
		answer->error = ERR_NOMEM;
		answer->text = (char *)"no memory to copy the console";
	} else {
		console.offset = offset;
		console.data.len = console_read(&f->console, &console.offset, copy, CONSOLE_BYTES);
		console.data.data = copy;
		console.complete = f->state >= CELLULAR__FRAG_STATE__FRAG_STOPPED;
		/* cppcheck-suppress autoVariables ; it is sent below, before it goes */
		answer->console = &console;
	}
	c->ops->tell(c->context, CTL_TYPE_FRAG_ANSWER, &answer->base);
	free(copy);
}

static void order_query(struct cell *c, const Cellular__FragQuery *query)
{
	Cellular__FragAnswer answer = CELLULAR__FRAG_ANSWER__INIT;
	struct fragment *f = find(c, query->vm_id);
	struct err why = {0};

	answer.request = query->request;
	answer.vm_id = query->vm_id;
	answer.kind = query->kind;
	answer.member = f ? f->member : 0;
	if (!f)
		err_set(&why, ERR_NOTFOUND, "%s runs no fragment of this VM", c->config.cell);
	else if (query->request == 0) /* that number is our own */
		err_set(&why, ERR_INVALID, "question without a number");
	else if (query->kind == CELLULAR__QUERY_KIND__QUERY_CONSOLE) {
		answer_console(c, f, &answer, query->console_offset);
		return;
	} else
		fragment_send(f, CTL_TYPE_FRAG_QUERY, &query->base, &why);
	if (!why.code)
		return;
	/* Figures outlive their process. */
	if (f && f->stat && query->kind == CELLULAR__QUERY_KIND__QUERY_STAT) {
		answer.stat = f->stat;
	} else {
		answer.error = why.code;
		answer.text = why.text;
	}
	c->ops->tell(c->context, CTL_TYPE_FRAG_ANSWER, &answer.base);
}

int cell_order(struct cell *c, uint16_t type, const ProtobufCMessage *message, struct err *e)
{
	const Cellular__FragPeers *peers;
	const Cellular__FragRun *run;

	switch (type) {
	case CTL_TYPE_FRAG_START:
		order_start(c, (const Cellular__FragStart *)message);
		return ERR_OK;
	case CTL_TYPE_FRAG_PEERS:
		peers = (const Cellular__FragPeers *)message;
		order_pass_on(c, peers->vm_id, peers->epoch, type, message);
		return ERR_OK;
	case CTL_TYPE_FRAG_RUN:
		run = (const Cellular__FragRun *)message;
		order_pass_on(c, run->vm_id, run->epoch, type, message);
		return ERR_OK;
	case CTL_TYPE_FRAG_QUIT:
		order_quit(c, (const Cellular__FragQuit *)message);
		return ERR_OK;
	case CTL_TYPE_FRAG_QUERY:
		order_query(c, (const Cellular__FragQuery *)message);
		return ERR_OK;
	default:
		return err_set(e, ERR_PROTOCOL, "%s is no order", ctl_type_name(type));
	}
}

/* ---- the cell as a whole
 * --------------------------------------------------------------------------------------------- */

/* Reports of all fragments, records too if wanted, in one array. */
struct reports {
	size_t n;
	Cellular__FragReport **list;
	Cellular__FragReport *report;
	Cellular__EndReason *reason;
};

static void reports_make(const struct cell *c, bool records, struct reports *r)
{
	size_t room = 0;

	*r = (struct reports){0};
	for (const struct fragment *f = c->fragments; f; f = f->next)
		room++;
	r->list = calloc(room + 1, sizeof(*r->list));
	r->report = calloc(room + 1, sizeof(*r->report));
	r->reason = calloc(room + 1, sizeof(*r->reason));
	if (!r->list || !r->report || !r->reason)
		return;
	for (const struct fragment *f = c->fragments; f; f = f->next) {
		if (is_record(f) && !records)
			continue;
		fragment_report(f, &r->report[r->n], &r->reason[r->n]);
		r->list[r->n] = &r->report[r->n];
		r->n++;
	}
}

static void reports_free(struct reports *r)
{
	free(r->list);
	free(r->report);
	free(r->reason);
}

void cell_join(const struct cell *c, cell_send_fn send, void *context)
{
	Cellular__CelldJoin join = CELLULAR__CELLD_JOIN__INIT;
	struct reports r;

	reports_make(c, true, &r);
	join.name = (char *)c->config.cell;
	join.memory = c->account.memory;
	join.cpus = c->account.cpus;
	join.data_address = (char *)c->config.data;
	join.pid = (uint32_t)getpid();
	join.software = (char *)CELLULAR_VERSION;
	join.n_fragments = r.n;
	join.fragments = r.list;
	send(context, CTL_TYPE_CELLD_JOIN, &join.base);
	reports_free(&r);
}

void cell_load(const struct cell *c, uint64_t rejected, cell_send_fn send, void *context)
{
	Cellular__CellLoad load = CELLULAR__CELL_LOAD__INIT;
	struct reports r;

	reports_make(c, false, &r);
	load.memory_used = c->account.memory_used;
	load.vcpus = c->account.vcpus;
	load.rejected = c->rejected + rejected;
	load.n_fragments = r.n;
	load.fragments = r.list;
	for (size_t i = 0; i < r.n; i++)
		if (r.list[i]->stat)
			load.memory_resident += r.list[i]->stat->resident * DSM_PAGE_SIZE;
	send(context, CTL_TYPE_CELL_LOAD, &load.base);
	reports_free(&r);
}

void cell_ask_figures(struct cell *c)
{
	Cellular__FragQuery query = CELLULAR__FRAG_QUERY__INIT;

	query.kind = CELLULAR__QUERY_KIND__QUERY_STAT;
	for (struct fragment *f = c->fragments; f; f = f->next) {
		if (f->phase != FRAGMENT_ALIVE || f->state < CELLULAR__FRAG_STATE__FRAG_READY)
			continue;
		query.vm_id = f->vm_id;
		fragment_send(f, CTL_TYPE_FRAG_QUERY, &query.base, NULL);
	}
}

void cell_reap(struct cell *c)
{
	for (struct fragment *f = c->fragments; f; f = f->next)
		if (!is_record(f))
			fragment_reap(f);
}

void cell_stop(struct cell *c)
{
	Cellular__EndReason reason = CELLULAR__END_REASON__INIT;

	if (c->stopping)
		return;
	c->stopping = true;
	reason.cause = CELLULAR__END_CAUSE__END_KILLED;
	reason.text = (char *)"celld was asked to end";
	reason.cell = (char *)c->config.cell;
	for (struct fragment *f = c->fragments; f; f = f->next)
		if (!is_record(f))
			fragment_quit(f, &reason);
	if (!any_lives(c))
		c->ops->stopped(c->context);
}

void cell_init(struct cell *c, const struct fragment_config *config, const struct account *account,
	       const struct cell_ops *ops, void *context)
{
	*c = (struct cell){.ops = ops, .context = context, .config = *config, .account = *account};
	c->config.ops = &fragment_ops;
	c->config.context = c;
}

void cell_free(struct cell *c)
{
	while (c->fragments)
		drop_record(c, c->fragments);
}
