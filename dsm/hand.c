/* SPDX-License-Identifier: Apache-2.0 */
#include "dsm/hand.h"

#include <errno.h>
#include <linux/userfaultfd.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

/* As in linux/userfaultfd.h since 6.8. */
struct move {
	uint64_t to, from, bytes;
	uint64_t mode;
	int64_t moved;
};

enum {
	BYTES = HAND_PAGES * DSM_PAGE_SIZE,
	MOVE_NUMBER = 5,
	MOVE_DONTWAKE = 1 << 0,
	TRIES = 16, /* while other threads change the address space */
};

#define MOVE _IOWR(UFFDIO, MOVE_NUMBER, struct move)

static bool adopt(const struct hand *h)
{
	struct uffdio_register reg = {
		.range = {.start = (uintptr_t)h->base, .len = BYTES},
		.mode = UFFDIO_REGISTER_MODE_MISSING | UFFDIO_REGISTER_MODE_WP,
	};

	madvise(h->base, BYTES, MADV_DONTFORK);
	madvise(h->base, BYTES, MADV_DONTDUMP);
	madvise(h->base, BYTES, MADV_NOHUGEPAGE);
	return !ioctl(h->fd, UFFDIO_REGISTER, &reg) && (reg.ioctls & 1ULL << MOVE_NUMBER);
}

void hand_open(struct hand *h, int fd)
{
	*h = (struct hand){.fd = fd};
	h->base = mmap(NULL, BYTES, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (h->base == MAP_FAILED)
		h->base = NULL;
	else if (!adopt(h))
		hand_close(h);
}

/* Room for n pages, or NULL. */
static uint8_t *room(struct hand *h, uint32_t n)
{
	if (h->used + n > HAND_PAGES) {
		if (madvise(h->base, BYTES, MADV_DONTNEED))
			return NULL;
		h->used = 0;
	}
	return h->base + (size_t)h->used * DSM_PAGE_SIZE;
}

/* Bytes that were moved. */
static uint64_t move(const struct hand *h, const void *from, void *to, uint64_t bytes)
{
	uint64_t done = 0;

	for (int left = TRIES; done < bytes && left > 0; left--) {
		struct move m = {.to = (uintptr_t)to + done,
				 .from = (uintptr_t)from + done,
				 .bytes = bytes - done,
				 .mode = MOVE_DONTWAKE};

		if (ioctl(h->fd, MOVE, &m) && errno != EAGAIN)
			break;
		if (m.moved > 0) {
			done += (uint64_t)m.moved;
			left = TRIES;
		}
	}
	return done;
}

uint32_t hand_take(struct hand *h, void *from, uint32_t n, const void **out)
{
	uint32_t moved = 0;

	*out = h->base ? room(h, n) : NULL;
	if (*out)
		moved = (uint32_t)(move(h, from, (void *)*out, (uint64_t)n * DSM_PAGE_SIZE) /
				   DSM_PAGE_SIZE);
	h->used += moved;
	return moved;
}

void hand_close(struct hand *h)
{
	if (h->base)
		munmap(h->base, BYTES);
	h->base = NULL;
}
