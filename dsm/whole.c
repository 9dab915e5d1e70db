/* SPDX-License-Identifier: Apache-2.0 */
#include "dsm/whole.h"

#include <errno.h>
#include <linux/userfaultfd.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "proto/ids.h"

enum { MAPPINGS = 65530 }; /* where the kernel does not say */

static atomic_uint all_taken; /* of the process */

static uint32_t mappings_allowed(void)
{
	FILE *f = fopen("/proc/sys/vm/max_map_count", "re");
	unsigned n = MAPPINGS;

	if (!f)
		return n;
	if (fscanf(f, "%u", &n) != 1)
		n = MAPPINGS;
	fclose(f);
	return n;
}

void whole_open(struct whole *w, int fd)
{
	uint32_t n = mappings_allowed();

	*w = (struct whole){.fd = fd, .most = n > WHOLE_SPARE ? (n - WHOLE_SPARE) / 2 : 0};
}

static int wake(const struct whole *w, void *at, size_t bytes, struct err *e)
{
	struct uffdio_range range = {.start = (uintptr_t)at, .len = bytes};
	int rc;

	do
		rc = ioctl(w->fd, UFFDIO_WAKE, &range);
	while (rc && errno == EAGAIN);
	return rc ? err_sys(e, errno, "wake a chunk") : ERR_OK;
}

/* Small pages: the page of zeros everywhere, to be copied when it is written. */
static int fill(const struct whole *w, void *at, size_t bytes, struct err *e)
{
	size_t done = 0;

	while (done < bytes) {
		struct uffdio_zeropage z = {
			.range = {.start = (uintptr_t)at + done, .len = bytes - done}};

		if (ioctl(w->fd, UFFDIO_ZEROPAGE, &z) && errno != EAGAIN)
			return err_sys(e, errno, "fill a chunk with zeros");
		if (z.zeropage > 0)
			done += (size_t)z.zeropage;
	}
	return ERR_OK;
}

/* False: there is no room for it. */
static bool count_one(struct whole *w)
{
	if (atomic_fetch_add(&all_taken, 1) >= w->most) {
		atomic_fetch_sub(&all_taken, 1);
		return false;
	}
	w->taken++;
	return true;
}

/* By the system call itself: a race detector takes mmap() for a write to the range, and threads
 * here write it, too. */
static int map_anew(void *at, size_t bytes)
{
	static const int advice[] = {MADV_DONTFORK, MADV_DONTDUMP, MADV_HUGEPAGE}; /* M9 */

	if (syscall(SYS_mmap, at, bytes, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0L) == -1)
		return -1;
	for (unsigned i = 0; i < sizeof(advice) / sizeof(advice[0]); i++)
		if (madvise(at, bytes, advice[i]) &&
		    !(advice[i] == MADV_HUGEPAGE && errno == EINVAL))
			return -1;
	return 0;
}

int whole_take(struct whole *w, void *at, size_t bytes, struct err *e)
{
	if (!count_one(w))
		return fill(w, at, bytes, e);
	if (map_anew(at, bytes))
		return errno == ENOMEM ? fill(w, at, bytes, e)
				       : err_sys(e, errno, "map a whole chunk");
	return wake(w, at, bytes, e);
}

/* What is not there yet reads as zeros, as it should, and costs no memory until it is written. A
 * race detector need not know: the value is not used. */
__attribute__((no_sanitize("thread", "address"))) static void touch(const volatile uint8_t *at,
								    size_t bytes)
{
	for (size_t i = 0; i < bytes; i += DSM_PAGE_SIZE)
		(void)at[i];
}

/* Touched before it is registered: then no page of it can be missing any more, and what threads
 * write meanwhile they write where it stays. */
int whole_split(const struct whole *w, void *at, size_t bytes, struct err *e)
{
	struct uffdio_register reg = {
		.range = {.start = (uintptr_t)at, .len = bytes},
		.mode = UFFDIO_REGISTER_MODE_MISSING | UFFDIO_REGISTER_MODE_WP,
	};

	touch(at, bytes);
	if (madvise(at, bytes, MADV_NOHUGEPAGE) && errno != EINVAL)
		return err_sys(e, errno, "forbid huge pages of a chunk that is split");
	if (ioctl(w->fd, UFFDIO_REGISTER, &reg))
		return err_sys(e, errno,
			       errno == ENOMEM ? "split a whole chunk (vm.max_map_count is too low)"
					       : "split a whole chunk");
	return ERR_OK;
}

void whole_close(struct whole *w)
{
	atomic_fetch_sub(&all_taken, w->taken);
	w->taken = 0;
}
