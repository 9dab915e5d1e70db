/* SPDX-License-Identifier: Apache-2.0 */
/* Objects: what must be in one, the ways to write and to read it, and what is said when it is not
 * there. */
#include "tests/torture/internal.h"

enum {
	STAMP_MIN = 32,	    /* smaller objects carry no stamp */
	CONSTANT_EVERY = 4, /* versions of one byte value throughout, by memset */
	OLD_VERSIONS = 32,  /* how far back a wrong object is looked up */
	BYTEWISE_MAX = 512,
};

/* At the start of an object: tells an eye that sees the memory what it looks at. */
struct stamp {
	uint32_t object, version, writer, seed;
};

static struct record *record_of(const struct torture *t, uint32_t object)
{
	return torture_at(t, RECORD_START + (size_t)object * RECORD_BYTES);
}

static uint32_t size_of(const struct torture *t, uint32_t object)
{
	return t->at[object + 1] - t->at[object];
}

static uint8_t *bytes_of(const struct torture *t, uint32_t object)
{
	return torture_at(t, OBJECT_START + (size_t)t->at[object]);
}

static bool is_constant(uint32_t version)
{
	return version % CONSTANT_EVERY == 0;
}

static uint8_t constant_of(const struct torture *t, uint32_t object, uint32_t version)
{
	return version ? (uint8_t)torture_mix(t->config.seed ^ (uint64_t)version << 32 ^ object)
		       : 0;
}

/* What version `version` of the object is. */
static void fill(const struct torture *t, uint32_t object, uint32_t version, uint32_t writer,
		 uint8_t *out)
{
	uint64_t key = torture_mix(t->config.seed ^ (uint64_t)object << 32 ^ version);
	const struct stamp stamp = {object, version, writer, (uint32_t)t->config.seed};
	uint32_t n = size_of(t, object);

	if (is_constant(version)) {
		memset(out, constant_of(t, object, version), n);
		return;
	}
	for (uint32_t i = 0; i < n; i += 8) {
		uint64_t v = torture_mix(key + i);

		memcpy(out + i, &v, n - i < 8 ? n - i : 8);
	}
	if (n >= STAMP_MIN)
		memcpy(out, &stamp, sizeof(stamp));
}

/* ---- ways to move bytes ---- */

static void by_bytes(uint8_t *to, const uint8_t *from, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		((volatile uint8_t *)to)[i] = ((const volatile uint8_t *)from)[i];
}

/* Unaligned words of 2, 4 or 8 bytes, upwards; some lie over a page border. */
static void by_words(uint8_t *to, const uint8_t *from, uint32_t n, uint32_t width)
{
	uint32_t i = 0;

	for (; i + width <= n; i += width) {
		/* The compiler makes one load and one store of each. */
		if (width == 8)
			memcpy(to + i, from + i, 8);
		else if (width == 4)
			memcpy(to + i, from + i, 4);
		else
			memcpy(to + i, from + i, 2);
		__asm__ volatile("" ::: "memory");
	}
	by_bytes(to + i, from + i, n - i);
}

static void by_pieces(struct torture_worker *w, uint8_t *to, const uint8_t *from, uint32_t n,
		      bool down)
{
	for (uint32_t done = 0, piece; done < n; done += piece) {
		uint32_t start;

		piece = 1 + torture_random(w, n < 600 ? 64 : 3000);
		piece = piece < n - done ? piece : n - done;
		start = down ? n - done - piece : done;
		memcpy(to + start, from + start, piece);
	}
}

static void move(struct torture_worker *w, uint8_t *to, const uint8_t *from, uint32_t n)
{
	switch (torture_random(w, 7)) {
	case 0:
		by_pieces(w, to, from, n, false);
		break;
	case 1:
		by_pieces(w, to, from, n, true);
		break;
	case 2:
	case 3:
		by_words(to, from, n, 2u << torture_random(w, 3));
		break;
	case 4:
		if (n <= BYTEWISE_MAX) {
			by_bytes(to, from, n);
			break;
		} /* fall through */
	default:
		memcpy(to, from, n);
	}
}

/* ---- right or wrong ---- */

/* Which older version the bytes [from, from + n) are, or TORTURE_NOBODY. Overwrites w->want. */
static uint32_t older_version(struct torture_worker *w, uint32_t object, const struct record *r,
			      uint32_t from, uint32_t n)
{
	struct stamp found = {0};

	if (!from && n >= sizeof(found))
		memcpy(&found, w->got, sizeof(found));
	for (uint32_t back = 1; back <= OLD_VERSIONS && back <= r->version; back++) {
		fill(w->t, object, r->version - back, found.writer, w->want);
		if (!memcmp(w->want + from, w->got + from, n))
			return r->version - back;
	}
	return TORTURE_NOBODY;
}

static uint64_t word_at(const uint8_t *bytes, uint32_t from, uint32_t end)
{
	uint64_t v = 0;

	memcpy(&v, bytes + from, end - from < 8 ? end - from : 8);
	return v;
}

/* w->got and w->want differ somewhere in [from, end). */
static void report_bytes(struct torture_worker *w, uint32_t object, const struct record *r,
			 uint32_t from, uint32_t end)
{
	struct torture_wrong wrong = {
		.what = "object", .index = object, .version = r->version, .writer = r->writer};
	uint32_t first = from;

	while (w->got[first] == w->want[first])
		first++;
	wrong.expected = word_at(w->want, first, end);
	wrong.got = word_at(w->got, first, end);
	wrong.holds = older_version(w, object, r, from, end - from);
	torture_report(w, OBJECT_START + w->t->at[object] + first, &wrong);
}

static void report_record(struct torture_worker *w, uint32_t object, const char *what,
			  uint64_t expected, uint64_t got, const struct record *r)
{
	struct torture_wrong wrong = {.what = what,
				      .index = object,
				      .expected = expected,
				      .got = got,
				      .version = r->version,
				      .writer = r->writer,
				      .holds = TORTURE_NOBODY};

	torture_report(w, RECORD_START + (size_t)object * RECORD_BYTES, &wrong);
}

/* Versions only rise. */
static void check_version(struct torture_worker *w, uint32_t object, const struct record *r)
{
	if (r->version < w->version_seen[object])
		report_record(w, object, "version", w->version_seen[object], r->version, r);
	w->version_seen[object] = r->version;
}

static void read_object(struct torture_worker *w, uint32_t object, const struct record *r)
{
	uint32_t n = size_of(w->t, object), from = 0, end = n;

	if (torture_random(w, 4) == 0) {
		from = torture_random(w, n);
		end = from + 1 + torture_random(w, n - from);
	}
	move(w, w->got + from, bytes_of(w->t, object) + from, end - from);
	fill(w->t, object, r->version, r->writer, w->want);
	if (memcmp(w->got + from, w->want + from, end - from))
		report_bytes(w, object, r, from, end);
	w->did.reads++;
	w->did.bytes += end - from;
}

static void write_object(struct torture_worker *w, uint32_t object, struct record *r)
{
	uint32_t n = size_of(w->t, object);

	r->version++;
	r->writer = w->self;
	w->version_seen[object] = r->version;
	if (is_constant(r->version)) {
		memset(bytes_of(w->t, object), constant_of(w->t, object, r->version), n);
	} else {
		fill(w->t, object, r->version, r->writer, w->want);
		move(w, bytes_of(w->t, object), w->want, n);
	}
	w->did.writes++;
	w->did.bytes += n;
}

/* ---- what a worker does ---- */

static bool take(struct torture_worker *w, uint32_t object, struct record *r)
{
	uint32_t mine = 1 + w->self, none = 0, other;

	if (!__atomic_compare_exchange_n(&r->lock, &none, mine, false, __ATOMIC_ACQ_REL,
					 __ATOMIC_RELAXED))
		return false;
	other = __atomic_exchange_n(&r->inside, mine, __ATOMIC_RELAXED);
	if (other)
		report_record(w, object, "lock", 0, other, r);
	return true;
}

static void drop(struct torture_worker *w, uint32_t object, struct record *r)
{
	uint32_t mine = 1 + w->self;
	uint32_t inside = __atomic_exchange_n(&r->inside, 0, __ATOMIC_RELAXED);

	if (inside != mine)
		report_record(w, object, "lock", mine, inside, r);
	__atomic_store_n(&r->lock, 0, __ATOMIC_RELEASE);
}

void torture_object_touch(struct torture_worker *w, uint32_t object, bool write)
{
	struct record *r = record_of(w->t, object);
	uint32_t start = w->t->at[object], end = w->t->at[object + 1];

	if (!take(w, object, r)) {
		w->did.busy++;
		return;
	}
	check_version(w, object, r);
	if (!write || torture_random(w, 2))
		read_object(w, object, r);
	if (write)
		write_object(w, object, r);
	w->did.crossings += start / PAGE != (end - 1) / PAGE;
	drop(w, object, r);
}

/* Between rounds, when nobody writes: no lock is needed. */
void torture_objects_check(struct torture_worker *w)
{
	for (uint32_t object = 0; object < w->t->objects; object++) {
		const struct record *r = record_of(w->t, object);

		if (r->lock || r->inside)
			report_record(w, object, "lock", 0, r->lock ? r->lock : r->inside, r);
		check_version(w, object, r);
		read_object(w, object, r);
		w->did.checked++;
	}
}
