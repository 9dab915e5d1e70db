/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The block: struct dsm_journal, then for each half its entries, its copy of the core's fixed part,
 * its lines, and an index of the lines (open addressing), all at offsets that follow from the
 * header's numbers.
 */
#include "dsm/core/journal.h"

#include <string.h>

#include "dsm/core/internal.h"

#define MAGIC 0x3252464c4c4543ull /* "CELLFR2" */

enum {
	LINE = 64,
	/* A half is closed while there is still room for the lines of one step. */
	LINES_AN_EVENT = 4,
	STEP_LINES_MAX = 2048,
	NEVER_ENDED = UINT32_MAX,
};

struct line {
	uint64_t offset; /* in the core's memory */
	uint8_t before[LINE];
};

struct half {
	uint64_t sequence; /* 0: not in use; the greater, the younger */
	uint64_t before;   /* steps of the core before its first entry */
	uint32_t entries;
	uint32_t lines;
	uint32_t overflow; /* a step touched more than there was room for: no state to begin from */
	uint32_t reserved;
};

struct dsm_journal {
	uint64_t magic;
	uint32_t core_size, entry_size, holder_size, home_size, chunk_size; /* of this build */
	uint32_t events;
	uint32_t current; /* half */
	uint64_t fixed;	  /* bytes of the core's memory before its tables */
	uint64_t core_bytes;
	uint64_t steps; /* recorded since the beginning */
	struct dsm_core_config config;
	struct half half[2];
};

/* ---- layout ---- */

static uint32_t lines_max(uint32_t events)
{
	return events * LINES_AN_EVENT + STEP_LINES_MAX;
}

static uint32_t index_size(uint32_t events)
{
	uint32_t n = 1024;

	while (n < 2 * lines_max(events))
		n *= 2;
	return n;
}

static uint64_t rounded(uint64_t bytes)
{
	return (bytes + LINE - 1) / LINE * LINE;
}

struct parts {
	uint64_t entries, fixed, lines, index, end;
};

static struct parts parts_of(uint32_t events, uint64_t fixed, unsigned half)
{
	struct parts p = {.entries = rounded(sizeof(struct dsm_journal))};

	for (unsigned h = 0;; h++) {
		p.fixed = p.entries + rounded(events * sizeof(struct dsm_journal_entry));
		p.lines = p.fixed + rounded(fixed);
		p.index = p.lines + rounded((uint64_t)lines_max(events) * sizeof(struct line));
		p.end = p.index + (uint64_t)index_size(events) * sizeof(uint32_t);
		if (h == half)
			return p;
		p.entries = p.end;
	}
}

static void *at(const struct dsm_journal *j, uint64_t offset)
{
	return (uint8_t *)j + offset;
}

static struct parts parts(const struct dsm_journal *j, unsigned half)
{
	return parts_of(j->events, j->fixed, half);
}

size_t dsm_journal_bytes(const struct dsm_core_config *config, uint32_t events)
{
	size_t fixed = dsm_core_fixed_bytes(config);

	if (!fixed || events < DSM_JOURNAL_EVENTS_MIN || events > DSM_JOURNAL_EVENTS_MAX)
		return 0;
	return parts_of(events, fixed, 1).end;
}

/* ---- recording ---- */

static void begin_half(struct dsm_core *core)
{
	struct dsm_journal *j = core->journal;
	unsigned next = !j->current;
	struct half *h = &j->half[next];
	uint64_t sequence = j->half[j->current].sequence + 1;
	struct parts p = parts(j, next);

	__atomic_store_n(&h->sequence, 0, __ATOMIC_SEQ_CST);
	h->entries = h->lines = h->overflow = 0;
	h->before = j->steps;
	memset(at(j, p.index), 0, index_size(j->events) * sizeof(uint32_t));
	memcpy(at(j, p.fixed), core, j->fixed);
	__atomic_store_n(&h->sequence, sequence, __ATOMIC_SEQ_CST);
	j->current = next;
}

void dsm_core_record(struct dsm_core *core, void *memory, uint32_t events)
{
	struct dsm_journal *j = memory;

	j->core_size = sizeof(struct dsm_core);
	j->entry_size = sizeof(struct dsm_journal_entry);
	j->holder_size = sizeof(struct dsm_holder);
	j->home_size = sizeof(struct dsm_home);
	j->chunk_size = sizeof(struct dsm_chunk);
	j->events = events;
	j->fixed = dsm_core_fixed_bytes(&core->config);
	j->core_bytes = dsm_core_bytes(&core->config);
	j->config = core->config;
	j->magic = MAGIC;
	core->journal = j;
	begin_half(core);
}

void dsm_journal_event(struct dsm_core *core, const struct dsm_event *event)
{
	struct dsm_journal *j = core->journal;
	struct half *h = &j->half[j->current];
	struct dsm_journal_entry *entry;

	if (h->entries == j->events || h->lines + STEP_LINES_MAX > lines_max(j->events)) {
		begin_half(core);
		h = &j->half[j->current];
	}
	entry = (struct dsm_journal_entry *)at(j, parts(j, j->current).entries) + h->entries;
	*entry = (struct dsm_journal_entry){.event = *event, .effects = NEVER_ENDED};
	__atomic_store_n(&h->entries, h->entries + 1, __ATOMIC_SEQ_CST);
	j->steps++;
}

void dsm_journal_effects(struct dsm_core *core)
{
	struct dsm_journal *j = core->journal;
	struct dsm_journal_entry *entry =
		(struct dsm_journal_entry *)at(j, parts(j, j->current).entries) +
		j->half[j->current].entries - 1;

	entry->digest = dsm_effects_digest(core->out);
	__atomic_store_n(&entry->effects, core->out->n, __ATOMIC_SEQ_CST);
}

/* The place of a line in the half's index: its own, or the free one where it belongs. */
static uint32_t *find_line(const struct dsm_journal *j, unsigned half, uint64_t offset)
{
	struct parts p = parts(j, half);
	uint32_t *index = at(j, p.index), mask = index_size(j->events) - 1;
	const struct line *lines = at(j, p.lines);
	uint32_t i = (uint32_t)(offset / LINE * 0x9e3779b97f4a7c15ull >> 32) & mask;

	while (index[i] && lines[index[i] - 1].offset != offset)
		i = (i + 1) & mask;
	return &index[i];
}

static void keep_line(const struct dsm_core *core, uint64_t offset)
{
	struct dsm_journal *j = core->journal;
	struct half *h = &j->half[j->current];
	uint32_t *place = find_line(j, j->current, offset);
	struct line *line;

	if (*place)
		return;
	if (h->lines == lines_max(j->events)) {
		h->overflow = 1;
		return;
	}
	line = (struct line *)at(j, parts(j, j->current).lines) + h->lines;
	line->offset = offset;
	memcpy(line->before, (const uint8_t *)core + offset, LINE);
	*place = h->lines + 1;
	__atomic_store_n(&h->lines, h->lines + 1, __ATOMIC_SEQ_CST);
}

void dsm_journal_touch(const struct dsm_core *core, const void *entry, size_t bytes)
{
	uint64_t offset = (uint64_t)((const uint8_t *)entry - (const uint8_t *)core);
	uint64_t end = offset + bytes;

	for (offset -= offset % LINE; offset < end; offset += LINE)
		keep_line(core, offset);
}

/* ---- digest ---- */

/* The mixer of SplitMix64 (Steele, Lea, Flood, OOPSLA 2014). */
static uint64_t mix(uint64_t digest, uint64_t word)
{
	digest = (digest ^ word) + 0x9e3779b97f4a7c15ull;
	digest = (digest ^ digest >> 30) * 0xbf58476d1ce4e5b9ull;
	digest = (digest ^ digest >> 27) * 0x94d049bb133111ebull;
	return digest ^ digest >> 31;
}

static uint64_t mix_message(uint64_t digest, const struct dsm_msg *m)
{
	digest = mix(digest, (uint64_t)m->type << 24 | (uint64_t)m->flags << 16 |
				     (uint64_t)m->requester.v << 8 | m->acks);
	digest = mix(digest, (uint64_t)m->epoch.v << 32 | m->pages);
	digest = mix(digest, m->page.v);
	digest = mix(digest, (uint64_t)m->version << 32 | m->txn);
	digest = mix(digest, (uint64_t)m->map << 8 | m->member.v);
	return mix(digest, m->sharers);
}

uint64_t dsm_effects_digest(const struct dsm_effects *effects)
{
	uint64_t digest = effects->n;

	for (uint32_t i = 0; i < effects->n; i++) {
		const struct dsm_effect *fx = &effects->v[i];

		digest = mix(digest, (uint64_t)fx->type << 40 | (uint64_t)fx->source << 32 |
					     (uint64_t)fx->writable << 24 |
					     (uint64_t)fx->to.v << 16 | fx->slot);
		digest = mix(digest, (uint64_t)fx->token << 32 | fx->reason);
		digest = mix(digest, fx->page.v);
		digest = mix(digest, fx->deadline);
		if (fx->type == DSM_FX_SEND)
			digest = mix_message(digest, &fx->msg);
	}
	return digest;
}

/* ---- reading back ---- */

static bool half_good(const struct dsm_journal *j, unsigned half)
{
	const struct half *h = &j->half[half];
	const struct parts p = parts(j, half);
	const struct line *lines = at(j, p.lines);

	if (h->entries > j->events || h->lines > lines_max(j->events))
		return false;
	for (uint32_t i = 0; i < h->lines; i++)
		if (lines[i].offset < j->fixed || lines[i].offset > j->core_bytes - LINE)
			return false;
	return true;
}

/* `current` is the writer's alone: it may have died before it set it. */
static unsigned younger(const struct dsm_journal *j)
{
	return j->half[1].sequence > j->half[0].sequence;
}

/* The half a replay begins with. */
static unsigned older(const struct dsm_journal *j)
{
	unsigned other = !younger(j);

	return j->half[other].sequence && !j->half[other].overflow ? other : younger(j);
}

const struct dsm_journal *dsm_journal_open(const void *memory, size_t bytes, const char **why)
{
	const struct dsm_journal *j = memory;

	*why = "it is no flight recording";
	if (bytes < sizeof(*j) || j->magic != MAGIC)
		return NULL;
	*why = "it was recorded by another version";
	if (j->core_size != sizeof(struct dsm_core) ||
	    j->entry_size != sizeof(struct dsm_journal_entry) ||
	    j->holder_size != sizeof(struct dsm_holder) ||
	    j->home_size != sizeof(struct dsm_home) || j->chunk_size != sizeof(struct dsm_chunk))
		return NULL;
	*why = "it is damaged";
	if (!dsm_journal_bytes(&j->config, j->events) ||
	    bytes < dsm_journal_bytes(&j->config, j->events) ||
	    j->fixed != dsm_core_fixed_bytes(&j->config) ||
	    j->core_bytes != dsm_core_bytes(&j->config))
		return NULL;
	if (!half_good(j, 0) || !half_good(j, 1))
		return NULL;
	*why = "it holds no state to begin from";
	if (!j->half[younger(j)].sequence || j->half[younger(j)].overflow)
		return NULL;
	*why = NULL;
	return j;
}

const struct dsm_core_config *dsm_journal_config(const struct dsm_journal *j)
{
	return &j->config;
}

uint64_t dsm_journal_before(const struct dsm_journal *j)
{
	return j->half[older(j)].before;
}

uint32_t dsm_journal_count(const struct dsm_journal *j)
{
	uint32_t n = j->half[younger(j)].entries;

	return older(j) == younger(j) ? n : n + j->half[older(j)].entries;
}

const struct dsm_journal_entry *dsm_journal_at(const struct dsm_journal *j, uint32_t i)
{
	unsigned half = older(j);

	if (i >= j->half[half].entries) {
		i -= j->half[half].entries;
		half = younger(j);
	}
	return (const struct dsm_journal_entry *)at(j, parts(j, half).entries) + i;
}

static void put_lines(const struct dsm_journal *j, unsigned half, uint8_t *memory)
{
	const struct line *lines = at(j, parts(j, half).lines);

	for (uint32_t i = 0; i < j->half[half].lines; i++)
		memcpy(memory + lines[i].offset, lines[i].before, LINE);
}

struct dsm_core *dsm_journal_restore(const struct dsm_journal *j, void *memory)
{
	unsigned first = older(j);

	memcpy(memory, at(j, parts(j, first).fixed), j->fixed);
	put_lines(j, younger(j), memory);
	put_lines(j, first, memory); /* the older ones win */
	return dsm_core_attach(memory, &j->config);
}
