/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/policy/spaces.h"

#include <string.h>

#include "proto/base/text.h"

void policy_spaces_init(struct policy_spaces *p, uint64_t now_ms, bool again)
{
	p->learn_until_ms = again ? now_ms + POLICY_SPACE_LEARN_MS : 0;
}

/* ---- holders ---- */

static struct policy_holder *holder_linked(struct policy_spaces *p, uint64_t link)
{
	for (unsigned i = 0; link && i < POLICY_HOLDERS_MAX; i++)
		if (p->holders[i].link == link)
			return &p->holders[i];
	return NULL;
}

static struct policy_holder *holder_free(struct policy_spaces *p)
{
	for (unsigned i = 0; i < POLICY_HOLDERS_MAX; i++)
		if (!p->holders[i].link)
			return &p->holders[i];
	return NULL;
}

/* With the last one the name is free. */
static void let_go(struct policy_spaces *p, struct policy_holder *h)
{
	struct policy_space *space = &p->spaces[h->space];

	space->holder[h->member] = 0;
	if (!--space->n_holders)
		memset(space, 0, sizeof(*space));
	memset(h, 0, sizeof(*h));
}

void policy_space_drop(struct policy_spaces *p, uint64_t link)
{
	struct policy_holder *h = holder_linked(p, link);

	if (h)
		let_go(p, h);
}

void policy_spaces_expire(struct policy_spaces *p, uint64_t now_ms)
{
	for (unsigned i = 0; i < POLICY_HOLDERS_MAX; i++)
		if (p->holders[i].link && p->holders[i].heard_ms + POLICY_SPACE_SILENT_MS <= now_ms)
			let_go(p, &p->holders[i]);
}

static void take(struct policy_spaces *p, struct policy_space *space, struct policy_holder *h,
		 const struct policy_claim *claim)
{
	h->space = (uint16_t)(space - p->spaces);
	h->member = (uint8_t)claim->member;
	h->pid = claim->pid;
	text_escape(claim->address, h->address, sizeof(h->address));
	space->holder[h->member] = (uint16_t)(h - p->holders + 1);
	space->n_holders++;
}

/* ---- claims ---- */

static int check_claim(const struct policy_claim *claim, struct err *e)
{
	if (!name_valid(claim->name))
		return err_set(e, ERR_INVALID,
			       "a space's name is 1 to %d characters of A-Z a-z 0-9 . _ -, not . "
			       "or - first",
			       CELL_NAME_MAX - 1);
	if (!claim->instance)
		return err_set(e, ERR_INVALID, "the claim on %s names no instance", claim->name);
	if (!claim->bytes || claim->bytes % DSM_PAGE_SIZE || claim->bytes > POLICY_SPACE_BYTES_MAX)
		return err_set(e, ERR_INVALID, "%s has %llu bytes: not whole pages, or too many",
			       claim->name, (unsigned long long)claim->bytes);
	if (!claim->members || claim->members > POLICY_SPACE_MEMBERS_MAX)
		return err_set(e, ERR_INVALID, "%s has %u members; 1 to %d are possible",
			       claim->name, claim->members, POLICY_SPACE_MEMBERS_MAX);
	if (claim->member >= claim->members)
		return err_set(e, ERR_INVALID, "%s has no member %u", claim->name, claim->member);
	if (!claim->address[0] || strlen(claim->address) >= POLICY_TEXT_MAX)
		return err_set(e, ERR_INVALID, "member %u of %s listens nowhere, or too far away",
			       claim->member, claim->name);
	return ERR_OK;
}

static struct policy_space *space_named(struct policy_spaces *p, const char *name)
{
	for (unsigned i = 0; i < POLICY_SPACES_MAX; i++)
		if (p->spaces[i].used && !strcmp(p->spaces[i].name, name))
			return &p->spaces[i];
	return NULL;
}

static int make_space(struct policy_spaces *p, const struct policy_claim *claim,
		      struct policy_space **out, struct err *e)
{
	struct policy_space *space = p->spaces;

	while (space < p->spaces + POLICY_SPACES_MAX && space->used)
		space++;
	if (space == p->spaces + POLICY_SPACES_MAX)
		return err_set(e, ERR_NOSPACE, "%d spaces have names already", POLICY_SPACES_MAX);
	*space = (struct policy_space){
		.used = true,
		.instance = claim->instance,
		.space = claim->space,
		.bytes = claim->bytes,
		.members = claim->members,
		.drawn = claim->drawn,
		.created_ms = claim->created_ms,
	};
	memcpy(space->name, claim->name, strlen(claim->name) + 1);
	if (claim->drawn)
		memcpy(space->key, claim->key, sizeof(space->key));
	*out = space;
	return ERR_OK;
}

static bool is_about(const struct policy_space *space, const struct policy_claim *claim)
{
	return space->space.v == claim->space.v && space->bytes == claim->bytes &&
	       space->members == claim->members && space->drawn == claim->drawn &&
	       (!space->drawn || !memcmp(space->key, claim->key, sizeof(space->key)));
}

/* A place among the holders; the same member's on another link, which it gave up, is taken over. */
static int add_holder(struct policy_spaces *p, uint64_t now_ms, uint64_t link,
		      struct policy_space *space, const struct policy_claim *claim, struct err *e)
{
	struct policy_holder *h = holder_free(p);

	if (space->holder[claim->member]) {
		h = &p->holders[space->holder[claim->member] - 1];
		space->n_holders--;
	}
	if (!h)
		return err_set(e, ERR_NOSPACE, "%d members hold names already", POLICY_HOLDERS_MAX);
	h->link = link;
	h->heard_ms = now_ms;
	take(p, space, h, claim);
	return ERR_OK;
}

static bool is_learning(const struct policy_spaces *p, uint64_t now_ms)
{
	return now_ms < p->learn_until_ms;
}

static int not_known_yet(const char *name, struct err *e)
{
	return err_set(e, ERR_BUSY,
		       "the controller was just started and does not know yet whether there is a "
		       "space named %s; try again",
		       name);
}

int policy_space_create(struct policy_spaces *p, uint64_t now_ms, uint64_t link,
			const struct policy_claim *claim, struct err *e)
{
	struct policy_space *space;
	int rc = check_claim(claim, e);

	if (rc)
		return rc;
	policy_spaces_expire(p, now_ms);
	if (space_named(p, claim->name))
		return err_set(e, ERR_EXISTS, "there is a space named %s already", claim->name);
	if (is_learning(p, now_ms))
		return not_known_yet(claim->name, e);
	if (holder_linked(p, link))
		return err_set(e, ERR_STATE, "this link holds another name");
	if (!holder_free(p))
		return err_set(e, ERR_NOSPACE, "%d members hold names already", POLICY_HOLDERS_MAX);
	rc = make_space(p, claim, &space, e);
	return rc ? rc : add_holder(p, now_ms, link, space, claim, e);
}

/* What this link holds: the same, or nothing yet. */
static int check_link(const struct policy_spaces *p, const struct policy_holder *h,
		      const struct policy_space *space, const struct policy_claim *claim,
		      struct err *e)
{
	if (h && (&p->spaces[h->space] != space || h->member != claim->member))
		return err_set(e, ERR_STATE, "this link holds another name, or for another member");
	if (space && space->instance != claim->instance)
		return err_set(e, ERR_EXISTS, "another space is named %s now", claim->name);
	if (space && !is_about(space, claim))
		return err_set(e, ERR_INVALID, "member %u of %s says something else than others",
			       claim->member, claim->name);
	return ERR_OK;
}

int policy_space_hold(struct policy_spaces *p, uint64_t now_ms, uint64_t link,
		      const struct policy_claim *claim, struct err *e)
{
	struct policy_holder *h = holder_linked(p, link);
	struct policy_space *space;
	int rc = check_claim(claim, e);

	if (rc)
		return rc;
	if (h)
		h->heard_ms = now_ms; /* before its time is judged */
	policy_spaces_expire(p, now_ms);
	space = space_named(p, claim->name);
	rc = check_link(p, h, space, claim, e);
	if (rc || h)
		return rc;
	if (!space && !holder_free(p))
		return err_set(e, ERR_NOSPACE, "%d members hold names already", POLICY_HOLDERS_MAX);
	if (!space)
		rc = make_space(p, claim, &space, e);
	return rc ? rc : add_holder(p, now_ms, link, space, claim, e);
}

/* ---- looking ---- */

int policy_space_find(struct policy_spaces *p, uint64_t now_ms, const char *name,
		      const struct policy_space **out, struct err *e)
{
	policy_spaces_expire(p, now_ms);
	*out = space_named(p, name);
	if (*out)
		return ERR_OK;
	if (is_learning(p, now_ms) && name_valid(name))
		return not_known_yet(name, e);
	return err_set(e, ERR_NOTFOUND, "there is no space named %.*s", CELL_NAME_MAX, name);
}

const struct policy_holder *policy_space_holder(const struct policy_spaces *p,
						const struct policy_space *space, unsigned member)
{
	uint16_t slot = member < POLICY_SPACE_MEMBERS_MAX ? space->holder[member] : 0;

	return slot ? &p->holders[slot - 1] : NULL;
}

static int check_space(const struct policy_spaces *p, unsigned slot, unsigned *holders,
		       struct err *e)
{
	const struct policy_space *space = &p->spaces[slot];
	unsigned n = 0;

	if (!name_valid(space->name))
		return err_set(e, ERR_STATE, "space %u has no name", slot);
	for (unsigned i = 0; i < slot; i++)
		if (p->spaces[i].used && !strcmp(p->spaces[i].name, space->name))
			return err_set(e, ERR_STATE, "two spaces are named %s", space->name);
	for (unsigned m = 0; m < POLICY_SPACE_MEMBERS_MAX; m++) {
		const struct policy_holder *h = policy_space_holder(p, space, m);

		n += h != NULL;
		if (h && (!h->link || h->space != slot || h->member != m || m >= space->members))
			return err_set(e, ERR_STATE, "member %u of %s does not hold it", m,
				       space->name);
	}
	if (!n || n != space->n_holders)
		return err_set(e, ERR_STATE, "%s is held by %u members, not %u", space->name, n,
			       space->n_holders);
	*holders += n;
	return ERR_OK;
}

int policy_spaces_check(const struct policy_spaces *p, struct err *e)
{
	unsigned held = 0, holders = 0;
	int rc;

	for (unsigned i = 0; i < POLICY_SPACES_MAX; i++) {
		rc = p->spaces[i].used ? check_space(p, i, &held, e) : ERR_OK;
		if (rc)
			return rc;
	}
	for (unsigned i = 0; i < POLICY_HOLDERS_MAX; i++) {
		holders += p->holders[i].link != 0;
		for (unsigned j = 0; p->holders[i].link && j < i; j++)
			if (p->holders[j].link == p->holders[i].link)
				return err_set(e, ERR_STATE, "a link holds two names");
	}
	if (held != holders)
		return err_set(e, ERR_STATE, "%u members hold names, %u are held", holders, held);
	return ERR_OK;
}
