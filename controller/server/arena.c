/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/server/arena.h"

#include <assert.h>
#include <errno.h>
#include <stdalign.h>
#include <string.h>
#include <sys/mman.h>

static const size_t arena_bytes = (size_t)512 << 20;
enum { KEEP = 1 << 20 }; /* bytes that stay touched after a reset */

/* NULL: no room. */
static void *take(struct arena *a, size_t n)
{
	size_t at = (a->used + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);

	if (n > arena_bytes - at)
		return NULL;
	a->used = at + n;
	return a->memory + at;
}

static void *allocate(void *context, size_t n)
{
	return take(context, n);
}

static void release(void *context, void *piece)
{
	(void)context;
	(void)piece;
}

int arena_init(struct arena *a, struct err *e)
{
	a->memory = mmap(NULL, arena_bytes, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (a->memory == MAP_FAILED) {
		a->memory = NULL;
		return err_sys(e, errno, "cannot reserve memory for messages");
	}
	a->used = 0;
	a->allocator = (ProtobufCAllocator){allocate, release, a};
	return ERR_OK;
}

void arena_free(struct arena *a)
{
	if (a->memory)
		munmap(a->memory, arena_bytes);
	a->memory = NULL;
}

void arena_reset(struct arena *a)
{
	if (a->used > KEEP)
		madvise(a->memory + KEEP, a->used - KEEP, MADV_DONTNEED);
	a->used = 0;
}

void *arena_take(struct arena *a, size_t n)
{
	void *piece = take(a, n);

	assert(piece);
	memset(piece, 0, n);
	return piece;
}

char *arena_text(struct arena *a, const char *text)
{
	size_t n = strlen(text) + 1;

	return memcpy(arena_take(a, n), text, n);
}
