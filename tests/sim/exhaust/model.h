/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inside of the exploration (exhaust.h). Files:
 *
 *	model.c    the rack: set up, taken down into an image and set to one again
 *	moves.c    what may happen in a state: one entry a kind
 *	canon.c    the canonical form of an image, but for symmetry
 *	relabel.c  symmetry: renamings of members and pages
 *	pack.c     an image as bytes, and back
 *	store.c    states seen, a few numbers each
 *	search.c   breadth first
 *	rest.c     from every state rest is reached
 *	show.c     figures, and the run that leads to a violation
 *
 * One thread; one exploration a process at a time.
 */
#ifndef CELLULAR_SIM_EXHAUST_MODEL_H
#define CELLULAR_SIM_EXHAUST_MODEL_H

#include "dsm/core/internal.h"
#include "tests/sim/world.h"

enum {
	EXHAUST_MEMBERS_MAX = 6,
	EXHAUST_PAGES_MAX = 3,
	EXHAUST_LETTERS_MAX = 16, /* of a pair; more is an error of the protocol */
	EXHAUST_WAITING_MAX = EXHAUST_MEMBERS_MAX * EXHAUST_PAGES_MAX,
	EXHAUST_SYMMETRIES_MAX = 720,
	EXHAUST_NOW = 1000000000, /* ns: every clock of a canonical state */
};

/* What a page of a canonical state holds. */
enum exhaust_content {
	CONTENT_ZERO, /* never written, or discarded: a constant, whatever was written last */
	CONTENT_OLD,  /* some write that was not the last one */
	CONTENT_LAST, /* the last write */
};

/* What the threads of a member want of one page. */
enum exhaust_need {
	NEED_NOTHING,
	NEED_READ, /* stalled: the core was told, a WAKE must come */
	NEED_WRITE,
	AGAIN_READ, /* woken, and the right is not there: will fault again */
	AGAIN_WRITE,
};

/* How a member leaves, or comes. */
enum exhaust_change {
	CHANGE_LEAVES = 1, /* it was told to ... */
	CHANGE_LEFT = 2,   /* ... and has */
	CHANGE_ABSENT = 4, /* it did not begin yet: it has no core */
	CHANGE_COMES = 8,  /* ... but others are being told */
};

/* ---- images ---- */

/* All of a member that can change. */
struct exhaust_member {
	struct dsm_core core; /* without tables, counters and what few pages never use (pack.c) */
	struct dsm_waiting waiting[EXHAUST_WAITING_MAX];
	struct dsm_deferred deferred[EXHAUST_PAGES_MAX];
	uint16_t heap[EXHAUST_PAGES_MAX];
	struct dsm_holder holder[EXHAUST_PAGES_MAX];
	struct dsm_home home[EXHAUST_PAGES_MAX];   /* zero where home is elsewhere */
	struct dsm_chunk chunk[EXHAUST_PAGES_MAX]; /* of each page */
	struct frame frame[EXHAUST_PAGES_MAX];
	struct slot slot[EXHAUST_PAGES_MAX]; /* of transactions 0 .. pages-1 */
	struct device device;
	uint64_t now;				/* ns; its clock */
	uint64_t deadline;			/* of its timer */
	struct dsm_proof proof[DSM_PROOFS_MAX]; /* for its next step */
	uint8_t proofs;
	uint8_t need[EXHAUST_PAGES_MAX];
	uint64_t runs_at; /* its woken thread; only with --sets */
	bool dead;
	bool ended;
	uint8_t change; /* bits of enum exhaust_change */
};

struct exhaust_page {
	uint64_t last_write;
	uint32_t version; /* last seen in the directory */
	bool version_known;
};

struct exhaust_image {
	struct exhaust_member member[EXHAUST_MEMBERS_MAX];
	struct letter letter[EXHAUST_MEMBERS_MAX][EXHAUST_MEMBERS_MAX][EXHAUST_LETTERS_MAX];
	uint8_t letters[EXHAUST_MEMBERS_MAX][EXHAUST_MEMBERS_MAX]; /* [from][to] */
	struct exhaust_page page[EXHAUST_PAGES_MAX];
};

/* A renaming: member m becomes member[m], page p becomes page[p]. */
struct symmetry {
	uint8_t member[EXHAUST_MEMBERS_MAX];
	uint8_t page[EXHAUST_PAGES_MAX];
};

/* ---- moves ---- */

/* What can happen to the rack, once. */
struct move {
	uint8_t kind;
	uint8_t member; /* whom it happens to */
	uint8_t other;	/* DELIVER: sender; LOST: the dead; ACQUIRE: 1 to write */
	uint8_t page;
};

enum { EXHAUST_MOVES_MAX = 256 };

struct move_kind {
	const char *name;
	bool system;	 /* the rack does it by itself; else somebody outside wants something */
	bool each_other; /* once for each other member */
	bool each_page;	 /* once for each page */
};

/* The parts of an image: each member's inside, each member's letters out, the pages. */
enum {
	PACK_PARTS_MAX = 2 * EXHAUST_MEMBERS_MAX + 1,
	PACK_MEMBER_MAX = 4096,
	PACK_LETTERS_MAX = EXHAUST_MEMBERS_MAX * (1 + EXHAUST_LETTERS_MAX * sizeof(struct letter)),
};

struct packed {
	unsigned parts;
	uint32_t size[PACK_PARTS_MAX];
	uint8_t *part[PACK_PARTS_MAX];
};

/* Bytes of a struct dsm_core. */
struct span {
	size_t from, to;
};

/* The rack at one time, but for its members. */
struct mark {
	struct book book[EXHAUST_PAGES_MAX];
	uint16_t book_letters[EXHAUST_PAGES_MAX][EXHAUST_MEMBERS_MAX];
	struct letter letter[EXHAUST_MEMBERS_MAX][EXHAUST_MEMBERS_MAX][EXHAUST_LETTERS_MAX];
	struct link link[EXHAUST_MEMBERS_MAX][EXHAUST_MEMBERS_MAX];
	uint64_t last_write[EXHAUST_PAGES_MAX], writes;
	dsm_set dead, ended, suspects, leaving, left, absent;
	uint8_t newcomer;
	bool doomed;
};

enum { SPANS_MAX = 16 };

struct exhaust {
	const struct options *options;
	struct world *w;
	unsigned members, pages;
	/* what the world does not know */
	uint64_t now[EXHAUST_MEMBERS_MAX];
	uint8_t need[EXHAUST_MEMBERS_MAX][EXHAUST_PAGES_MAX];
	uint64_t runs_at[EXHAUST_MEMBERS_MAX];
	/* renamings; the first changes nothing */
	struct symmetry symmetry[EXHAUST_SYMMETRIES_MAX];
	unsigned symmetries;
	struct packed candidate;     /* of canonicalise */
	struct span span[SPANS_MAX]; /* of a core, that images hold */
	unsigned spans;
	struct mark mark;
};

/* Homes move, by order or because members leave. */
static inline bool homes_move(const struct exhaust *x)
{
	return x->options->moves || x->options->leaves;
}

/* Then a member's number says more than its name. */
static inline bool members_change(const struct exhaust *x)
{
	return x->options->leaves || x->options->joins;
}

/* ---- model.c ---- */

/* The empty rack. */
void model_open(struct exhaust *x, const struct options *options, struct world *w);
void model_close(struct exhaust *x);
void model_capture(const struct exhaust *x, struct exhaust_image *out);
void model_install(struct exhaust *x, const struct exhaust_image *image);
/* Sets an image up to come back to it; back there, after one move of `member`. */
void model_stay(struct exhaust *x, const struct exhaust_image *image);
void model_back(struct exhaust *x, const struct exhaust_image *image, unsigned member);
/* Was everything put back? */
bool model_is_back(struct exhaust *x, struct exhaust_image *image);
/* Does memory of the cores that no image holds differ from a new core's? Then images lack
 * something. */
bool model_leaks(const struct exhaust *x);
/* ns: what is held for somebody in trouble is held for a multiple of this (dsm_patience). */
uint64_t model_patience(const struct exhaust *x);
/* With --sets: rounded up to that; else as it is. */
static inline uint64_t model_whole_time(const struct exhaust *x, uint64_t ns)
{
	const uint64_t unit = x->options->sets ? model_patience(x) : 1;
	return (ns + unit - 1) / unit * unit;
}
/* Used page of a page of the space; 0 if there is none. */
uint8_t model_page(const struct exhaust *x, uint64_t space_page);

/* ---- moves.c ---- */

extern const struct move_kind move_kinds[];

/* In a fixed order; *system: one of them is the rack's own. */
unsigned moves_possible(const struct exhaust *x, struct move out[EXHAUST_MOVES_MAX], bool *system);
bool move_possible(const struct exhaust *x, struct move mv);
void move_make(struct exhaust *x, struct move mv);

/* ---- canon.c ---- */

/* What does not depend on the order of members and pages. */
void canon_base(const struct exhaust *x, struct exhaust_image *image);
/* What does: numbers and indices given in the order of a walk through the image. */
void canon_order(const struct exhaust *x, struct exhaust_image *image);

/* ---- relabel.c ---- */

void symmetries_find(struct exhaust *x);
void relabel(const struct exhaust *x, const struct symmetry *s, const struct exhaust_image *from,
	     struct exhaust_image *to);
struct move relabel_move(const struct symmetry *s, struct move mv);
struct symmetry symmetry_inverse(const struct exhaust *x, const struct symmetry *s);

/* ---- pack.c ---- */

void packed_init(struct packed *p);
void packed_free(struct packed *p);
int packed_compare(const struct packed *a, const struct packed *b);

/* What an image holds of a core. */
void pack_open(struct exhaust *x);
/* Copies it. */
void pack_core(const struct exhaust *x, struct dsm_core *to, const struct dsm_core *from);
/* Zeroes it. */
void pack_core_clear(const struct exhaust *x, struct dsm_core *core);
/* ... and what no step leaves behind, that a comparison with zeros finds the rest. */
void pack_core_blank(const struct exhaust *x, struct dsm_core *core);
/* Clears paddings of the image. */
void pack(const struct exhaust *x, struct exhaust_image *image, struct packed *out);
void unpack(const struct exhaust *x, struct packed *from, struct exhaust_image *out);

/* The canonical form of the rack as it is now, and the renaming that leads to it. */
void canonicalise(struct exhaust *x, struct packed *out, struct symmetry *by);

#endif
