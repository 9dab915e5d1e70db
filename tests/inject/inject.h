/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes one call of the C library fail, of one process: an allocation, or one that may end in a
 * system call. libinject.so stands in for those functions, either linked into a test before the C
 * library or preloaded into a program (LD_PRELOAD). What to do and what was done lies in a file of
 * shared memory that the test keeps open:
 *
 *	INJECT_FILE     path of that file
 *	INJECT_PROGRAM  name of the program meant; others are left alone. Of several processes of
 *	                that program `which` says the one meant, counted from 0 as they start
 *
 * The file is mapped before main runs, so a process may lose sight of it later (node/vm/sandbox.h).
 *
 * A *site* is a function together with the chain of return addresses above the call, up to
 * INJECT_FRAMES of them, relative to the object each lies in: the same in every run. So a sweep can
 * fail each site once, although threads make the N-th call another one in every run.
 */
#ifndef CELLULAR_TESTS_INJECT_H
#define CELLULAR_TESTS_INJECT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum { INJECT_FRAMES = 5, INJECT_SITES_MAX = 8192, INJECT_NAME_MAX = 24, INJECT_WHERE_MAX = 192 };

enum inject_kind {
	INJECT_HARD, /* the errno a broken or exhausted machine gives: ENOMEM, EMFILE, EIO, ... */
	INJECT_SOFT, /* EINTR, where the call may give it; calls that never do are not counted */
};

struct inject_site {
	_Atomic uint64_t hash; /* 0: free */
	char name[INJECT_NAME_MAX];
	char where[INJECT_WHERE_MAX]; /* "celld+0x1a2b libuv.so.1+0x..." */
};

struct inject {
	/* set by the test, before or after the process starts */
	atomic_bool armed;
	_Atomic int kind;
	_Atomic uint64_t nth;  /* the call that fails, from 1; 0: none */
	_Atomic uint64_t site; /* or: the first call from here fails; 0: none */
	atomic_uint which;     /* of the processes that start */
	atomic_uint frames;    /* of a site, at most INJECT_FRAMES; 0: that many */
	/* set by the process */
	atomic_uint started;	/* processes of that program */
	_Atomic uint64_t calls; /* while armed */
	_Atomic uint64_t fired; /* failures made: 0 or 1 */
	_Atomic int errnum;
	char name[INJECT_NAME_MAX]; /* of the call that failed */
	char where[INJECT_WHERE_MAX];
	_Atomic int64_t live; /* allocations made while armed and not freed */
	struct inject_site sites[INJECT_SITES_MAX];
	_Atomic uint32_t sites_seen;
};

/* In a test: makes the file (removed from its directory by inject_forget) and maps it; the path is
 * put into the environment. */
struct inject *inject_new(const char *dir);
void inject_forget(struct inject *in);

/* In a test that is linked with the library: this process is the one meant. */
void inject_self(struct inject *in);

/* Counters to zero, disarmed; sites stay. */
void inject_reset(struct inject *in);

#endif
