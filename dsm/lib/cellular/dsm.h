/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libcellular-dsm: memory that several processes share, on one host or on many.
 *
 * A *space* is a range of 4 KiB pages. A process that has created or joined it is a *member*: it
 * sees the range at an address of its own and reads and writes it as any other memory. A page that
 * is not here is brought from the member that has it when it is touched; at any time it is writable
 * at one member or readable at several. Loads, stores and atomic instructions of all members are in
 * one order that all see the same (sequential consistency, page by page and across pages, as far as
 * the processor keeps it for threads of one process).
 *
 *	struct cdsm_options options = CDSM_OPTIONS;
 *	struct cdsm_error why;
 *	struct cdsm *space;
 *	uint64_t *word;
 *
 *	options.key_file = "space.key";
 *	if (cdsm_create(&options, 64 << 20, &space, &why))
 *		errx(1, "%s", why.text);
 *	word = cdsm_map(space, NULL);
 *	...
 *	cdsm_leave(space, 10000, &why);
 *	cdsm_close(space);
 *
 * Others call cdsm_join(&options, address, timeout_ms, &space, &why) in place of cdsm_create.
 *
 * Needs Linux 6.1 or newer on x86-64, and the right to userfaultfd: read and write permission on
 * /dev/userfaultfd, or root.
 *
 * Errors. A function that returns int returns 0 or one of enum cdsm_code. It then fills *why, if
 * that is not NULL, with the code and one sentence. Nothing here prints, or ends the process.
 *
 * Loss of a member. A member that dies, leaves without cdsm_leave, or is not heard of for
 * `silence_ms` is lost, and the space ends at all others: there is no copy of what it held. From
 * then on every call returns CDSM_ELOST, those that wait at once; every access to the range raises
 * SIGBUS with si_code BUS_ADRERR and the address in si_addr, threads that wait for a page too.
 * Nothing ever reads zeros or old data. cdsm_check tells why; cdsm_close frees.
 *
 * Threads. All functions may be called from any thread at any time, but for cdsm_close: no other
 * call on that space may be under way or follow, and no thread may touch the range. Different
 * spaces have nothing to do with each other. No function is async-signal-safe but cdsm_map,
 * cdsm_self, cdsm_address and cdsm_error_name. A member has one thread of its own, which answers
 * the other members and blocks all signals; with a name it has two.
 *
 * Keep the range away from what does not fault as a thread does: mlock, O_DIRECT, registered
 * buffers of io_uring, RDMA or vhost. read(2) and write(2) into it work (EFAULT once the space has
 * ended; see also CDSM_FAULTS_INLINE). After fork the child does not have the range: touching it
 * raises SIGSEGV there. It may exec, and become a member by itself.
 */
#ifndef CELLULAR_DSM_H
#define CELLULAR_DSM_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CDSM_PAGE_BYTES	 4096
#define CDSM_MEMBERS_MAX 64
#define CDSM_KEY_BYTES	 32
#define CDSM_LOCKS	 4096
#define CDSM_BARRIERS	 256
#define CDSM_PARTIES_MAX 4096

/* ---- errors ---- */

enum cdsm_code {
	CDSM_OK = 0,
	CDSM_EINVAL = 1,	/* an argument is out of its range */
	CDSM_ENOMEM = 2,	/* memory could not be had */
	CDSM_ESYS = 3,		/* a system call failed; the sentence says which */
	CDSM_EDENIED = 4,	/* the right to do this is missing: userfaultfd, a key file */
	CDSM_ENOTFOUND = 5,	/* no such file */
	CDSM_EEXISTS = 6,	/* address or port is in use */
	CDSM_ETIMEOUT = 8,	/* the time allowed is over */
	CDSM_EUNREACHABLE = 9,	/* nobody answers there */
	CDSM_ELOST = 10,	/* a member was lost: the space has ended */
	CDSM_EPROTOCOL = 11,	/* the other side is no member, or a broken one */
	CDSM_EAUTH = 12,	/* the other side has another key */
	CDSM_EVERSION = 13,	/* the other side speaks another version */
	CDSM_EUNSUPPORTED = 16, /* not on this kernel, or not in this version of the library */
	CDSM_ESTATE = 18,	/* not in a state that allows this */
	CDSM_ENOSPACE = 19,	/* no room: a limit is reached, or no number is left */
};

#define CDSM_TEXT_MAX 320

struct cdsm_error {
	int code;		  /* enum cdsm_code */
	char text[CDSM_TEXT_MAX]; /* one sentence without a newline, NUL-terminated */
	uint64_t bytes; /* CDSM_ENOSPACE of cdsm_pin: what could still be pinned; else 0 */
};

/* "CDSM_ELOST" for a code; "?" for a number that is none. */
const char *cdsm_error_name(int code);

/* Version of the library that runs, as "0.1.0". */
const char *cdsm_version(void);

/* ---- a space: create, join, leave ---- */

/* Who resolves a page fault. */
enum cdsm_faults {
	CDSM_FAULTS_THREAD = 0, /* the member's own thread; the application needs to know nothing */
	/*
	 * The thread that faulted, in a handler of SIGBUS that cdsm_create and cdsm_join install:
	 * faster, since no thread is woken. What it asks of the application: SIGBUS is not blocked;
	 * a handler of its own is installed before the first such space, and is called for what is
	 * not ours and after the end; system calls are not given memory of the range (they fail
	 * with EFAULT where a page is not here); 16 KiB of the thread's stack are free.
	 */
	CDSM_FAULTS_INLINE = 1,
};

/*
 * What is 0 or NULL takes the value said. Begin with CDSM_OPTIONS: new fields come at the end, and
 * `size` tells a newer library which ones the caller knows. Strings and key belong to the caller
 * and are not used after the call.
 */
struct cdsm_options {
	size_t size; /* sizeof(struct cdsm_options) */
	/* Where this member listens for the others: "IP:PORT", "[IPv6]:PORT"; port 0: the system
	 * chooses. Members dial each other: it must be an address that all can reach.
	 * NULL: "127.0.0.1:0", this host only. */
	const char *listen;
	/* What all members know and nobody else may: CDSM_KEY_BYTES random bytes, or a file that
	 * holds them as 64 hex digits and that only its owner may read (cdsm_key_file makes one).
	 * One of both; with a name none is needed, see there. The links prove that they know it;
	 * they are not encrypted. */
	const unsigned char *key;
	const char *key_file;
	uint64_t space; /* tells apart the spaces of one key: the same at all members; who joins by
			   name takes the space's */
	/* Where the range shall be in this process, a multiple of the page size; nothing may be
	 * mapped there. NULL: where the kernel likes. Give all members the same address if the data
	 * holds pointers into itself. */
	void *address;
	/* cdsm_create only; who joins takes them from the space. */
	uint32_t members;    /* how many may join in the life of the space, the first one counted:
				1 .. CDSM_MEMBERS_MAX; 0: CDSM_MEMBERS_MAX */
	uint32_t silence_ms; /* a member not heard of for so long is lost; 0: 3000 */
	/* How long a page that came here is kept at least before it is given to somebody else, in
	 * microseconds; longer helps where members write the same pages often. 0: 200; less than 20
	 * is 20. */
	uint32_t hold_us;
	uint32_t faults; /* enum cdsm_faults */
	uint32_t reserved;
	uint64_t pin_limit; /* bytes this member may pin; 0: half of the host's memory */
	/*
	 * A space that others find by a name. All three, or none: the cluster's controller,
	 * "tcp:IP:PORT" or "unix:PATH"; the file with the cluster's key; the space's name, 1 to 63
	 * characters of A-Z a-z 0-9 . _ - with neither . nor - first. See "Names" below.
	 */
	const char *cluster;
	const char *cluster_key_file;
	const char *name;
};

#define CDSM_OPTIONS                                                                               \
	{                                                                                          \
		.size = sizeof(struct cdsm_options)                                                \
	}

/*
 * Names. A space that is created with a name is found by it at the cluster's controller, for as
 * long as a member holds the name: the creator does, and everybody who joins by name. So the name
 * outlives its creator; it is free again when the last member that holds it has left, has ended, or
 * could not reach the controller for 20 seconds. If no key is given, one is drawn for the space and
 * told to those who join: the cluster's key is all they need. A key that is given stays unknown to
 * the controller, and who joins gives it, too.
 *
 * The controller is asked when a space is created or joined, never when it is used: if it goes, the
 * space runs on, and cannot be found. A second thread of the member, which blocks all signals,
 * dials it again until it is back, also one that was started anew and knows nothing of the space.
 * If another space took the name meanwhile, this one stays without. cdsm_leave and cdsm_close take
 * up to 1 s longer if the controller does not answer.
 *
 * A controller has room for 1024 names and 1024 members that hold them.
 */

/*
 * Makes sure that a key file is there: a missing one is made, with mode 0600, from random bytes of
 * the system; it appears whole, also when several processes make it at once.
 *
 * Errors: CDSM_EINVAL: it is there and holds no key, or others than its owner may read it;
 * CDSM_EDENIED, CDSM_ENOTFOUND: it cannot be read or made there; CDSM_ESYS.
 */
int cdsm_key_file(const char *path, struct cdsm_error *why);

struct cdsm; /* a member's side of a space; made by cdsm_create and cdsm_join */

/*
 * Begins a space of `bytes` bytes (rounded up to whole pages; up to 2^32 - 1 pages), all zero, with
 * this process as member 0; others may join it from now on. Memory is taken as pages are touched;
 * bookkeeping takes 32 bytes a touched page at most.
 *
 * Errors: CDSM_EINVAL: options, or no bytes; CDSM_EDENIED: no right to userfaultfd, to the key file
 * or to the port; CDSM_ENOTFOUND: no key file; CDSM_EEXISTS: the port is in use, or something is
 * mapped at `address`; CDSM_EUNREACHABLE: `listen` is no address of this host; CDSM_EUNSUPPORTED:
 * the kernel's userfaultfd lacks what is needed; CDSM_ENOMEM, CDSM_ESYS.
 *
 * With a name, after 15 s at the latest: CDSM_EEXISTS: there is a space of that name;
 * CDSM_EUNREACHABLE: no controller is there, or it does not answer; CDSM_EAUTH: the cluster has
 * another key; CDSM_ETIMEOUT: the controller was just started and does not know yet whether the
 * name is free; CDSM_ENOSPACE: it has no room; CDSM_EPROTOCOL, CDSM_EVERSION, CDSM_EUNSUPPORTED: it
 * is no controller, or of another version; CDSM_EINVAL also: others cannot call where this member
 * listens (an address for all interfaces).
 */
int cdsm_create(const struct cdsm_options *options, uint64_t bytes, struct cdsm **out,
		struct cdsm_error *why);

/*
 * Becomes a member of the space that the member at `address` belongs to: any of them, as
 * cdsm_address gives it there. Blocks until all members know this one, or for up to timeout_ms. A
 * member that cannot be reached, or leaves, is called again until the time is over. address NULL:
 * the space that has the name of the options; its members are tried one after the other.
 *
 * Errors: CDSM_ETIMEOUT, CDSM_EUNREACHABLE: nobody of that `space` is there, or not all members
 * could be reached; CDSM_EAUTH: not the same key; CDSM_EPROTOCOL: who listens there is no member;
 * CDSM_EVERSION; CDSM_ENOSPACE: no number is left (struct cdsm_options, members);
 * CDSM_ELOST: a member was lost meanwhile; also as cdsm_create. By name: CDSM_ENOTFOUND: there is
 * no space of that name; CDSM_EINVAL also: it has a key of its own, and none was given.
 */
int cdsm_join(const struct cdsm_options *options, const char *address, int timeout_ms,
	      struct cdsm **out, struct cdsm_error *why);

/*
 * Leaves the space, which goes on without this member: all that it has moves to the others. Blocks
 * until they know and have it, or for up to timeout_ms. From the call on no thread here should
 * touch the range: it may wait until the member has left, and then raises SIGBUS; other calls
 * return CDSM_ESTATE. What the last member leaves behind is gone. Afterwards call cdsm_close.
 *
 * Errors: CDSM_ESTATE: a thread of this member holds a lock, and nothing was done; CDSM_ETIMEOUT:
 * it goes on, call again to wait on; CDSM_ELOST: the space ended before.
 */
int cdsm_leave(struct cdsm *space, int timeout_ms, struct cdsm_error *why);

/* Unmaps the range and frees. Without a cdsm_leave that has succeeded the others lose this member.
 * NULL is allowed. */
void cdsm_close(struct cdsm *space);

/* 0, or why there is no space any more: CDSM_ELOST; CDSM_ESTATE: this member leaves, or has left.
 * Never blocks. */
int cdsm_check(struct cdsm *space, struct cdsm_error *why);

/* ---- what a member sees ---- */

/* The address of the range here; its size to *bytes, if not NULL. Valid until cdsm_close. */
void *cdsm_map(const struct cdsm *space, size_t *bytes);

/* Number of this member, 0 .. CDSM_MEMBERS_MAX - 1; never used for another one. */
unsigned cdsm_self(const struct cdsm *space);

/* Who is there now: bit m for member m. 0 once this member left. */
uint64_t cdsm_present(const struct cdsm *space);

/* Where this member listens, "IP:PORT": what others give to cdsm_join. The space's, valid until
 * cdsm_close. */
const char *cdsm_address(const struct cdsm *space);

/* Counted by a member since it came. Begin with CDSM_STATS: new fields come at the end. */
struct cdsm_stats {
	size_t size;		/* sizeof(struct cdsm_stats) */
	uint64_t faults_local;	/* accesses that faulted, and were served without a message */
	uint64_t faults_read;	/* ... that read, and were served by other members */
	uint64_t faults_write;	/* ... that wrote, and were served by other members */
	uint64_t fault_ns_mean; /* of those served by others, from the fault read to the thread
				   woken */
	uint64_t fault_ns_p50, fault_ns_p99; /* to 12 % */
	uint64_t given;			     /* pages given or copied to other members */
	uint64_t invalidated;		     /* copies dropped for a writer elsewhere */
	uint64_t messages_in, messages_out;
	uint64_t bytes_in, bytes_out; /* of these messages */
	uint64_t resident_bytes;      /* pages that are here now */
	uint64_t owned_bytes;	      /* of those, pages this member answers for */
	uint64_t locks_cached;	      /* cdsm_lock: the lock was here and free */
	uint64_t locks_waited;	      /* ... where it was not: threads that waited */
	uint64_t locks_asked;	      /* times a lock was asked for at its manager */
	uint64_t locks_recalled;      /* times others asked for a lock that was here */
	uint64_t barriers;	      /* cdsm_barrier: passed */
	uint64_t pinned_bytes, pin_limit;
};

#define CDSM_STATS                                                                                 \
	{                                                                                          \
		.size = sizeof(struct cdsm_stats)                                                  \
	}

/* Fills *out as far as its `size` says. Errors: CDSM_EINVAL: no such size; CDSM_ELOST. */
int cdsm_stats(struct cdsm *space, struct cdsm_stats *out, struct cdsm_error *why);

/* ---- pages ---- */

/*
 * These work on the pages that [address, address + bytes) touches; cdsm_discard on those that lie
 * in it as a whole. It lies within the range of the space; 0 bytes are allowed.
 *
 * Errors of all: CDSM_EINVAL: not within the range; CDSM_ESTATE: this member leaves; CDSM_ELOST,
 * at once also in a thread that waits.
 */

/*
 * Charges pages to this member's limit, all of them or none, and brings them here to read; returns
 * when each has been here. A pinned page is never given up by this member itself, to make room or
 * by cdsm_discard; one that another member writes leaves all the same, and comes back when it is
 * touched. Pinning a page again costs nothing, and one cdsm_unpin unpins it. (What the host swaps
 * is the host's business: keep the process out of swap by its cgroup.)
 *
 * CDSM_ENOSPACE: it would be more than the limit, and nothing was done; why->bytes says how much
 * could still be pinned. CDSM_ENOMEM.
 */
int cdsm_pin(struct cdsm *space, const void *address, uint64_t bytes, struct cdsm_error *why);
int cdsm_unpin(struct cdsm *space, const void *address, uint64_t bytes, struct cdsm_error *why);

/* Brings pages here, sixteen at a time, to be read or (write not 0) to be written; returns when
 * each has been here. Faster than touching one after the other. */
int cdsm_prefetch(struct cdsm *space, const void *address, uint64_t bytes, int write,
		  struct cdsm_error *why);

/*
 * Nobody wants what is in the pages: they may be thrown away, here and elsewhere. A later read
 * gives zeros or the old content, a read after a later write what was written. A write of another
 * thread at the same time may be lost with the rest.
 *
 * CDSM_ESTATE: one of them is pinned here, and nothing was done.
 */
int cdsm_discard(struct cdsm *space, void *address, uint64_t bytes, struct cdsm_error *why);

/* ---- locks and barriers ---- */

/*
 * Locks 0 .. CDSM_LOCKS - 1 of the space: at most one thread of all members holds one. Threads get
 * it in the order in which they came, seen from its manager: a member that has it lets the threads
 * go first that waited there before somebody else asked. A lock stays with the member that used it
 * last: locking it there again takes no message. What was written under the lock is seen by who
 * holds it next.
 *
 * A member that dies ends the space, and with it all locks. A member cannot leave while one of its
 * threads holds a lock.
 *
 * Errors: CDSM_EINVAL: no such lock; CDSM_ESTATE: this thread holds it already (cdsm_unlock: does
 * not hold it), or this member leaves; CDSM_ELOST, at once also in a thread that waits.
 */
int cdsm_lock(struct cdsm *space, unsigned lock, struct cdsm_error *why);
int cdsm_unlock(struct cdsm *space, unsigned lock, struct cdsm_error *why);

/*
 * Waits until `parties` threads, of whatever members, are in it: 1 .. CDSM_PARTIES_MAX; the same
 * number in all of them. Then it may be used again. What they wrote before is seen by all after it.
 * Barriers 0 .. CDSM_BARRIERS - 1. Who came and then left with its member does not count.
 *
 * Errors: CDSM_EINVAL: no such barrier, or the first one to come said another number of parties;
 * CDSM_ESTATE: this member leaves; CDSM_ELOST, at once also in a thread that waits.
 */
int cdsm_barrier(struct cdsm *space, unsigned barrier, unsigned parties, struct cdsm_error *why);

/* ---- atomics ---- */

/*
 * On an 8-byte aligned word of the range. They are the processor's own: a page is writable at one
 * member only, so an atomic instruction there is atomic for all members, and C11 and C++ atomics on
 * the range do as well. These differ in that they return CDSM_ELOST where the space has ended
 * before; if it ends just then, SIGBUS is raised.
 *
 * cdsm_add adds `value`, wrapping; *before, if not NULL, is what the word was.
 * cdsm_compare_exchange stores `wanted` if the word is *expected; else *expected becomes what it
 * is, and *done is false.
 *
 * Errors: CDSM_EINVAL: not such a word; CDSM_ESTATE: this member leaves; CDSM_ELOST.
 */
int cdsm_add(struct cdsm *space, uint64_t *word, uint64_t value, uint64_t *before,
	     struct cdsm_error *why);
int cdsm_compare_exchange(struct cdsm *space, uint64_t *word, uint64_t *expected, uint64_t wanted,
			  int *done, struct cdsm_error *why);

#ifdef __cplusplus
}
#endif

#endif
