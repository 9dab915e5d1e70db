/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One life of one space: its members (core, fake memory, threads, devices), the links between them
 * and virtual time. A rack (rack.h) has several of them. Everything in a run follows from its seed.
 *
 * Who does what:
 *	rack.c    the spaces of a rack: cells that die or are cut off, spaces that are created again
 *	build.c   builds a world for a seed
 *	world.c   takes events from the clock, brings the world to rest
 *	step.c    gives one event to one core and carries its effects out
 *	link.c    ordered channels between pairs (dsm/transport.h, T1)
 *	memory.c  the fake of dsm/mem.h: refuses what userfaultfd would refuse or silently get wrong
 *	thread.c  threads that stall on pages; device.c: acquire and release
 *	trouble.c evictions, storms of faults, messages of another epoch
 *	hostile.c messages that no rule allows (rules.c), tried on a core and taken back
 *	change.c  members that leave and members that come
 *	loss.c    deaths, cut links, and what comes back from a life that is over
 *	oracle.c  what memory ought to be; check.c and legal.c: the invariants
 *	say.c     the words of the transcript
 */
#ifndef CELLULAR_SIM_WORLD_H
#define CELLULAR_SIM_WORLD_H

#include <stdbool.h>
#include <stdint.h>

#include "dsm/core/core.h"
#include "tests/sim/check.h"
#include "tests/sim/clock.h"
#include "tests/sim/count.h"
#include "tests/sim/device.h"
#include "tests/sim/link.h"
#include "tests/sim/memory.h"
#include "tests/sim/options.h"
#include "tests/sim/oracle.h"
#include "tests/sim/rng.h"
#include "tests/sim/thread.h"
#include "tests/sim/transcript.h"
#include "tests/sim/tuning.h"

enum {
	WORLD_LOCALS = 2,
	WORLD_NO_PAGE = 0xffff,
	WORLD_NO_HOME = 0xff,
	WORLD_TOUCHED_MAX = SIM_PAGES_MAX
};

/* What made a member take its current step; legality of its effects depends on it. */
struct cause {
	enum dsm_event_type type;
	uint8_t msg_class; /* enum page_class, for DSM_EV_MSG */
	uint8_t msg_type;  /* enum page_type */
	uint32_t version;  /* ... and of its page */
	uint64_t now;	   /* when the core was asked; effects may come later */
	uint16_t page;	   /* of a message */
	uint16_t discard;  /* page whose content may end with it */
	bool at_home;	   /* an eviction, where home of the page was */
	bool has_data;	   /* it carried page data ... */
	uint64_t data;	   /* ... with this content */
};

struct member {
	struct dsm_core *core;
	void *core_memory; /* kept from seed to seed */
	size_t core_bytes;
	bool ended; /* its core said LOST */
	struct memory memory;
	struct thread threads[THREADS_MAX];
	struct device devices[DEVICES_MAX];
	uint64_t deadline; /* of its timer */
	uint32_t timer;	   /* generation */
	uint32_t timers;   /* that came since its core was last given anything else */
	/* the step under way */
	bool paused; /* stopped between two effects; events wait in `blocked` */
	struct cause cause;
	struct dsm_effects *fx;
	uint32_t fx_next;
	struct dsm_proof proof[DSM_PROOFS_MAX]; /* for the next step */
	uint8_t proofs;
	uint16_t touched[WORLD_TOUCHED_MAX];
	unsigned n_touched;
	struct clock_event *blocked;
	size_t n_blocked;
	size_t blocked_room;
	/* what its counters must say in the end */
	uint64_t stale_given;
	uint64_t odd_given;
	bool odd_told; /* that the last acquire nobody may make is refused */
	struct counts counts;
	uint8_t accuses; /* whom it must say to have broken the protocol, + 1; 0: nobody */
};

struct figures {
	uint64_t steps;
	uint64_t page_faults; /* stalls of threads that ended */
	uint64_t retries;     /* threads that came after a wake and found the page gone again */
	uint64_t reads, writes;
	uint64_t acquires;
	uint64_t requests;		/* GET_S, GET_X, UPGRADE that were served */
	uint64_t collided;		/* of those, queued behind another one */
	uint64_t held_back;		/* forwards put off by a hold */
	uint64_t done[SIM_FAULT_KINDS]; /* faults of --faults that were carried out */
	uint64_t wait_max;		/* ns, longest stall */
	uint64_t instructions;		/* that retired */
	uint64_t sets;			/* ... and needed several pages at once */
	uint64_t retire_max;		/* ns, longest time of one */
	uint64_t retries_max;		/* of one instruction */
	uint64_t stale_version;		/* messages overtaken by a newer version */
	uint64_t redirected;		/* requests that found their home moved */
	uint64_t losses_in_change;	/* cells struck while somebody left or came */
	uint64_t worlds;		/* lives of spaces */
	uint64_t again;			/* ... that followed one that had ended */
	uint64_t zombies;		/* messages of an ended life that came into another one */
	uint64_t hostile;		/* messages no rule allows, tried and taken back */
	uint64_t steps_after_loss;	/* in spaces no loss concerned, after a loss elsewhere */
};

struct failure {
	bool set;
	uint64_t seed;
	uint64_t step;
	const char *invariant; /* "I1" ... */
	int page;	       /* -1: none */
	char text[240];
};

/* A message that no longer reaches the life it was sent in: its link is cut, or who should get it
 * has ended or is dead. */
struct stray {
	struct letter letter;
	uint8_t from, to; /* members of that life */
};
enum { STRAYS_MAX = 64 };

struct world {
	const struct options *options; /* &shape */
	struct options shape;	       /* the run's, with the members and steps of this world */
	unsigned room;		       /* members there is memory for */
	char name[8]; /* space and life, "a1": begins the lines of the transcript */
	uint8_t cell[DSM_MEMBERS_MAX]; /* where each member lives */
	struct tuning tuning;
	struct rng rng;
	struct rng enemy; /* of hostile.c, which changes nothing */
	uint64_t seed;
	uint64_t now;	/* ns */
	uint64_t steps; /* of this seed */
	uint64_t space_pages;
	struct dsm_range local[WORLD_LOCALS]; /* right behind and before the used pages */
	struct clock clock;
	struct links links;
	struct oracle oracle;
	struct book *books;   /* of each page, for the invariants */
	uint64_t *space_page; /* used page -> page of the space */
	struct member *members;
	dsm_set paused; /* members stopped within a step */
	dsm_set dead;
	dsm_set ended;
	dsm_set stopping;     /* members whose threads and devices stop, so that they can leave */
	dsm_set leaving;      /* ... that were told to */
	dsm_set left;	      /* ... that have */
	unsigned founders;    /* members that were there at first */
	dsm_set absent;	      /* members that did not begin yet: they have no core */
	uint8_t newcomer;     /* who of them is said to come, + 1; 0: nobody */
	dsm_set taken;	      /* members that were told so */
	dsm_set suspects;     /* members whose loss may be said: dead, or cut off from somebody */
	bool doomed;	      /* there are suspects: this life ends */
	uint64_t silence;     /* ns, most after which a member takes a silent one for lost */
	bool lonely;	      /* one is left, and nobody will come: this life ends */
	uint64_t lonely_step; /* ... in this step of it */
	bool draining;	      /* nothing new is started */
	bool done;	      /* came to its end */
	unsigned rests;	      /* how often it was brought to rest */
	uint64_t events;      /* since load, or the rest, began */
	uint64_t load_steps;  /* of w->steps, when load began */
	struct world *before; /* the life before this one, or NULL */
	struct world *after;  /* the life after this one, or NULL */
	struct stray strays[STRAYS_MAX];
	unsigned n_strays;
	unsigned strays_sent; /* into the life after this one */
	uint64_t digest;      /* of all that happened */
	struct transcript *transcript;
	struct figures *figures; /* summed over worlds and seeds */
	struct failure failure;
};

/* Memory for `room` members and the pages of options. */
void world_init(struct world *w, const struct options *options, unsigned room);
void world_free(struct world *w);

/* Sets threads, devices and troubles going. */
void world_begin(struct world *w);
/* When this world's next event is due, ns. */
uint64_t world_due(const struct world *w);
/* Its next event, or what follows when there is none any more. False: it has come to its end, or an
 * invariant was violated: w->failure says which. */
bool world_turn(struct world *w);
/* Adds this life's counters to the figures. */
void world_gather(struct world *w);

/* Members that are there and are neither dead nor have said LOST. */
dsm_set world_living(const struct world *w);
/* Those whose loss concerns the space: who did not leave, and who is said to come. */
dsm_set world_concerned(const struct world *w);
/* Sets a member's threads and devices going, unless it is no time for load. */
void world_start_member(struct world *w, unsigned m);

/* Notes the first violation of a seed; the run ends at the next chance. page -1: no page. */
void world_fail(struct world *w, const char *invariant, int page, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* Used page of a page of the space; WORLD_NO_PAGE if it is not one of ours. */
uint16_t world_page(const struct world *w, struct gpage page);

/* Does m's core say that it is the home of a page? */
bool world_is_home(const struct world *w, unsigned m, uint16_t page);
/* The member whose core says so; WORLD_NO_HOME: none, it is on its way. */
unsigned world_home(struct world *w, uint16_t page);

static inline uint64_t member_bit(unsigned m)
{
	return (uint64_t)1 << m;
}

#define world_say(w, ...)                                                                          \
	do {                                                                                       \
		if ((w)->transcript->mode != TRANSCRIPT_OFF)                                       \
			transcript_add((w)->transcript, (w)->name, __VA_ARGS__);                   \
	} while (0)

#endif
