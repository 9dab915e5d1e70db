/* SPDX-License-Identifier: Apache-2.0 */
#include "rack.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* ---- life ---- */

static void begin(struct rack *r, uint8_t m, const struct dsm_core_config *config)
{
	struct dsm_core_config c = *config;
	void *memory = mmap(NULL, r->bytes, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	c.self = (struct member_id){m};
	r->core[m] = memory == MAP_FAILED ? NULL : dsm_core_init(memory, &c);
	CU_ASSERT_PTR_NOT_NULL_FATAL(r->core[m]);
	r->page[m] = calloc(r->pages, sizeof(struct rack_page));
}

struct rack *rack_new_config(const struct dsm_core_config *config)
{
	struct rack *r = calloc(1, sizeof(*r));

	r->members = config->members;
	r->pages = config->pages;
	r->config = *config;
	r->now = 1000000000;
	r->bytes = dsm_core_bytes(config);
	for (uint8_t m = 0; m < r->members; m++)
		r->deadline[m] = UINT64_MAX;
	for (uint8_t m = 0; m < (config->founders ? config->founders : config->members); m++)
		begin(r, m, config);
	return r;
}

struct rack *rack_new_founders(uint8_t founders, uint8_t members, uint64_t pages)
{
	struct dsm_core_config c = {
		.members = members,
		.founders = founders,
		.epoch = {RACK_EPOCH},
		.pages = pages,
		.acquire_us = RACK_ACQUIRE_US,
	};

	return rack_new_config(&c);
}

struct rack *rack_new(uint8_t members, uint64_t pages, uint32_t hold_us)
{
	struct dsm_core_config c = {
		.members = members,
		.epoch = {RACK_EPOCH},
		.pages = pages,
		.hold_us = hold_us,
		.acquire_us = RACK_ACQUIRE_US,
	};

	return rack_new_config(&c);
}

static struct rack_letter *letter_pop(struct rack *r, uint8_t from, uint8_t to)
{
	struct rack_letter *l = r->head[from][to];

	if (l) {
		r->head[from][to] = l->next;
		if (!l->next)
			r->tail[from][to] = NULL;
	}
	return l;
}

void rack_delete(struct rack *r)
{
	for (uint8_t a = 0; a < r->members; a++) {
		for (uint8_t b = 0; b < r->members; b++)
			while (r->head[a][b])
				free(letter_pop(r, a, b));
		if (r->core[a])
			munmap(r->core[a], r->bytes);
		free(r->page[a]);
	}
	free(r);
}

void rack_end(struct rack *r)
{
	rack_settle(r);
	for (uint8_t m = 0; m < r->members; m++) {
		const struct dsm_core *core = r->core[m];

		if (!core)
			continue;
		CU_ASSERT_FALSE(dsm_core_ended(core));
		CU_ASSERT_FALSE(dsm_core_moving(core));
		CU_ASSERT_FALSE(dsm_core_leaving(core));
		CU_ASSERT_EQUAL(dsm_core_pending(core), 0);
	}
	rack_delete(r);
}

struct dsm_msg rack_message(int type, uint8_t requester, uint64_t page)
{
	return (struct dsm_msg){.type = (uint8_t)type,
				.requester = {requester},
				.epoch = {RACK_EPOCH},
				.page = {page},
				.pages = 1,
				.version = 1,
				.txn = 1,
				.member = {(uint8_t)(page / DSM_CHUNK_PAGES % 4)}};
}

/* ---- effects ---- */

static void fx_send(struct rack *r, uint8_t m, const struct dsm_effect *fx)
{
	struct rack_letter *l = calloc(1, sizeof(*l));

	CU_ASSERT_NOT_EQUAL(fx->to.v, m);
	CU_ASSERT_FATAL(fx->to.v < r->members);
	l->msg = fx->msg;
	if (fx->msg.flags & PAGE_FLAG_DATA) {
		CU_ASSERT_FATAL(fx->slot < DSM_SLOTS);
		l->data = r->slot[m][fx->slot];
	}
	if (r->tail[m][fx->to.v])
		r->tail[m][fx->to.v]->next = l;
	else
		r->head[m][fx->to.v] = l;
	r->tail[m][fx->to.v] = l;
}

static void fx_map(struct rack *r, uint8_t m, const struct dsm_effect *fx, uint64_t data)
{
	struct rack_page *p = &r->page[m][fx->page.v];

	CU_ASSERT_FALSE(p->present);
	p->present = true;
	p->writable = fx->writable;
	if (fx->source == DSM_FROM_ZERO)
		p->value = 0;
	else
		p->value = fx->source == DSM_FROM_EVENT ? data : r->slot[m][fx->slot];
}

static void fx_memory(struct rack *r, uint8_t m, const struct dsm_effect *fx)
{
	struct rack_page *p = &r->page[m][fx->page.v];

	CU_ASSERT_TRUE(p->present);
	CU_ASSERT_FALSE(p->whole);
	switch (fx->type) {
	case DSM_FX_READ_OUT:
		CU_ASSERT_FALSE(p->writable);
		r->slot[m][fx->slot] = p->value;
		break;
	case DSM_FX_PROTECT:
		CU_ASSERT_TRUE(p->writable);
		p->writable = false;
		break;
	case DSM_FX_UNPROTECT:
		CU_ASSERT_FALSE(p->writable);
		p->writable = true;
		break;
	default:
		*p = (struct rack_page){.value = 0xdead};
		break;
	}
}

/* Whole pages are told apart: nothing but SPLIT is for them. */
static void fx_chunk(struct rack *r, uint8_t m, const struct dsm_effect *fx)
{
	bool whole = fx->type == DSM_FX_WHOLE;

	CU_ASSERT_EQUAL(fx->page.v % DSM_CHUNK_PAGES, 0);
	for (uint64_t i = 0; i < DSM_CHUNK_PAGES && fx->page.v + i < r->pages; i++) {
		struct rack_page *p = &r->page[m][fx->page.v + i];

		CU_ASSERT_EQUAL(p->present, !whole);
		CU_ASSERT_EQUAL(p->whole, !whole);
		if (whole)
			p->value = 0;
		p->present = p->writable = true;
		p->whole = whole;
	}
}

static void carry_out(struct rack *r, uint8_t m, const struct dsm_effect *fx, uint64_t data)
{
	switch (fx->type) {
	case DSM_FX_SEND:
		fx_send(r, m, fx);
		break;
	case DSM_FX_STASH:
		r->slot[m][fx->slot] = data;
		break;
	case DSM_FX_MAP:
		fx_map(r, m, fx, data);
		break;
	case DSM_FX_WHOLE:
	case DSM_FX_SPLIT:
		fx_chunk(r, m, fx);
		break;
	case DSM_FX_WAKE:
		r->wakes[m]++;
		break;
	case DSM_FX_TIMER:
		r->deadline[m] = fx->deadline;
		break;
	case DSM_FX_ACQUIRED:
		r->acquired[m] += fx->reason == ERR_OK;
		r->acquire_result[m] = fx->reason;
		break;
	case DSM_FX_LEFT:
		r->left[m]++;
		break;
	case DSM_FX_LOST:
		r->lost[m]++;
		r->culprit[m] = fx->to;
		r->reason[m] = fx->reason;
		break;
	default:
		fx_memory(r, m, fx);
		break;
	}
}

static void step_with(struct rack *r, uint8_t m, struct dsm_event event, uint64_t data)
{
	event.now = r->now;
	dsm_step(r->core[m], &event, &r->fx);
	for (uint32_t i = 0; i < r->fx.n; i++)
		carry_out(r, m, &r->fx.v[i], data);
}

/* ---- events ---- */

void rack_step(struct rack *r, uint8_t member, struct dsm_event event)
{
	step_with(r, member, event, 0);
}

void rack_fault(struct rack *r, uint8_t member, uint64_t page, bool write)
{
	rack_step(r, member, (struct dsm_event){.type = DSM_EV_FAULT, .fault = {{page}, write, 0}});
}

void rack_evict(struct rack *r, uint8_t member, uint64_t page)
{
	rack_step(r, member, (struct dsm_event){.type = DSM_EV_EVICT, .evict = {{page}, false}});
}

void rack_discard(struct rack *r, uint8_t member, uint64_t page)
{
	rack_step(r, member, (struct dsm_event){.type = DSM_EV_EVICT, .evict = {{page}, true}});
}

void rack_acquire(struct rack *r, uint8_t member, uint64_t page, uint32_t pages, bool write,
		  uint32_t token)
{
	rack_step(r, member,
		  (struct dsm_event){.type = DSM_EV_ACQUIRE,
				     .acquire = {{page}, pages, write, token}});
}

void rack_release(struct rack *r, uint8_t member, uint32_t token)
{
	rack_step(r, member, (struct dsm_event){.type = DSM_EV_RELEASE, .release = {token}});
}

void rack_move(struct rack *r, uint8_t member, uint64_t page, uint8_t to)
{
	rack_step(r, member, (struct dsm_event){.type = DSM_EV_MOVE, .move = {{page}, {to}}});
}

void rack_leave(struct rack *r, uint8_t member)
{
	rack_step(r, member, (struct dsm_event){.type = DSM_EV_LEAVE});
}

void rack_take_in(struct rack *r, uint8_t member, uint8_t newcomer)
{
	rack_step(r, member, (struct dsm_event){.type = DSM_EV_JOIN, .join = {{newcomer}}});
}

void rack_begin(struct rack *r, uint8_t newcomer, uint8_t teller)
{
	struct dsm_core_config c = r->config;

	c.self.v = newcomer; /* a configuration without it would be out of range */
	c.present = dsm_core_present(r->core[teller]);
	for (uint8_t m = 0; m < r->members; m++) {
		struct member_id heir = dsm_core_heir(r->core[teller], (struct member_id){m});

		c.heir[m] = member_eq(heir, MEMBER_NONE) ? 0 : heir.v + 1;
	}
	begin(r, newcomer, &c);
	rack_step(r, newcomer, (struct dsm_event){.type = DSM_EV_TIMER});
}

void rack_join(struct rack *r, uint8_t newcomer)
{
	uint8_t teller = 0;

	for (uint8_t m = 0; m < r->members; m++) {
		if (!r->core[m] || r->left[m])
			continue;
		rack_take_in(r, m, newcomer);
		teller = m;
	}
	rack_begin(r, newcomer, teller);
}

void rack_lose(struct rack *r, uint8_t member, uint8_t lost)
{
	rack_step(r, member, (struct dsm_event){.type = DSM_EV_LOST, .lost = {{lost}, ERR_LOST}});
}

void rack_inject(struct rack *r, uint8_t from, uint8_t to, struct dsm_msg msg)
{
	rack_step(r, to, (struct dsm_event){.type = DSM_EV_MSG, .msg = {{from}, msg}});
}

static void fire_timers(struct rack *r)
{
	for (uint8_t m = 0; m < r->members; m++) {
		while (r->deadline[m] <= r->now) {
			r->deadline[m] = UINT64_MAX;
			rack_step(r, m, (struct dsm_event){.type = DSM_EV_TIMER});
		}
	}
}

void rack_tick(struct rack *r, uint64_t us)
{
	r->now += us * 1000;
	fire_timers(r);
}

/* ---- letters ---- */

int rack_next(const struct rack *r, uint8_t from, uint8_t to)
{
	return r->head[from][to] ? r->head[from][to]->msg.type : 0;
}

unsigned rack_count(const struct rack *r, uint8_t from, uint8_t to)
{
	unsigned n = 0;

	for (const struct rack_letter *l = r->head[from][to]; l; l = l->next)
		n++;
	return n;
}

struct dsm_msg rack_deliver(struct rack *r, uint8_t from, uint8_t to, int type)
{
	struct rack_letter *l = letter_pop(r, from, to);
	struct dsm_msg msg = {0};

	CU_ASSERT_EQUAL(l ? l->msg.type : 0, type);
	if (!l)
		return msg;
	msg = l->msg;
	step_with(r, to, (struct dsm_event){.type = DSM_EV_MSG, .msg = {{from}, msg}}, l->data);
	free(l);
	return msg;
}

void rack_fence(struct rack *r, uint8_t home, uint8_t granted)
{
	rack_deliver(r, home, granted, PAGE_FENCE);
	rack_deliver(r, granted, home, PAGE_FENCE_ACK);
}

static bool deliver_round(struct rack *r)
{
	bool any = false;

	for (uint8_t a = 0; a < r->members; a++)
		for (uint8_t b = 0; b < r->members; b++)
			while (rack_next(r, a, b)) {
				rack_deliver(r, a, b, rack_next(r, a, b));
				any = true;
			}
	return any;
}

static bool next_timer(struct rack *r)
{
	uint64_t next = UINT64_MAX;

	for (uint8_t m = 0; m < r->members; m++)
		if (r->deadline[m] < next)
			next = r->deadline[m];
	if (next == UINT64_MAX)
		return false;
	if (next > r->now)
		r->now = next;
	fire_timers(r);
	return true;
}

void rack_settle(struct rack *r)
{
	while (deliver_round(r) || next_timer(r))
		;
}

/* ---- what is known ---- */

enum dsm_state rack_state(const struct rack *r, uint8_t member, uint64_t page)
{
	return dsm_core_state(r->core[member], (struct gpage){page});
}

struct member_id rack_home(const struct rack *r, uint64_t page)
{
	for (uint8_t m = 0; m < r->members; m++)
		if (r->core[m] && dsm_home_is_here(r->core[m], (uint32_t)page))
			return (struct member_id){m};
	return MEMBER_NONE;
}

struct dsm_dir rack_dir(const struct rack *r, uint64_t page)
{
	struct member_id home = rack_home(r, page);
	struct dsm_dir dir = {0};

	CU_ASSERT_TRUE_FATAL(home.v < r->members);
	CU_ASSERT_TRUE(dsm_core_dir(r->core[home.v], (struct gpage){page}, &dir));
	return dir;
}

struct dsm_core_stats rack_stats(const struct rack *r, uint8_t member)
{
	struct dsm_core_stats s;

	dsm_core_stats(r->core[member], &s);
	return s;
}

void rack_write(struct rack *r, uint8_t member, uint64_t page, uint64_t value)
{
	for (int i = 0; i < 3 && !r->page[member][page].writable; i++) {
		rack_fault(r, member, page, true);
		rack_settle(r);
	}
	rack_poke(r, member, page, value);
}

uint64_t rack_read(struct rack *r, uint8_t member, uint64_t page)
{
	if (!r->page[member][page].present) {
		rack_fault(r, member, page, false);
		rack_settle(r);
	}
	CU_ASSERT_TRUE(r->page[member][page].present);
	return r->page[member][page].value;
}

void rack_poke(struct rack *r, uint8_t member, uint64_t page, uint64_t value)
{
	CU_ASSERT_TRUE(r->page[member][page].writable);
	r->page[member][page].value = value;
}

void rack_set_version(struct rack *r, uint64_t page, uint32_t version)
{
	struct member_id home = dsm_core_home(r->core[0], (struct gpage){page});

	dsm_home_entry(r->core[home.v], (uint32_t)page)->version = version;
	for (uint8_t m = 0; m < r->members; m++)
		dsm_holder(r->core[m], (uint32_t)page)->version = version;
}

void rack_ends(struct rack *r, uint8_t from, uint8_t to, struct dsm_msg msg)
{
	rack_inject(r, from, to, msg);
	CU_ASSERT_EQUAL(r->lost[to], 1);
	CU_ASSERT_EQUAL(r->culprit[to].v, from);
	CU_ASSERT_EQUAL(r->reason[to], ERR_PROTOCOL);
	rack_delete(r);
}

void rack_left(struct rack *r, uint8_t member)
{
	rack_leave(r, member);
	rack_settle(r);
	CU_ASSERT_EQUAL(r->left[member], 1);
	for (uint64_t p = 0; p < r->pages; p++)
		CU_ASSERT_FALSE(r->page[member][p].present);
}
