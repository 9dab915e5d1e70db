/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The memory adapter on userfaultfd: MISSING + WP on private anonymous memory (Linux
 * Documentation/admin-guide/mm/userfaultfd.rst). Contract: dsm/mem.h; the numbers M1..M15 below are
 * its lines.
 *
 * Opening goes: descriptor -> features -> map the whole range -> advice and registration of the
 * coherent ranges (all but the local ones). Faults come from KVM, that is from kernel mode, so the
 * descriptor must be one that takes those: from /dev/userfaultfd, or from the system call with
 * CAP_SYS_PTRACE or vm.unprivileged_userfaultfd=1.
 *
 * No call here but wake() and install_run() ever wakes a thread: the core says when. The kernel
 * answers EAGAIN to an operation that met a change of the address space by another thread
 * (mmap_changing); nothing was done then, and it is tried again.
 */
#include "dsm/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "dsm/hand.h"
#include "dsm/whole.h"

enum {
	FAULT_BATCH = 32,    /* messages one read takes */
	ALIGNMENT = 2 << 20, /* so that KVM and huge pages of local ranges line up */
	FD_FLAGS = O_CLOEXEC | O_NONBLOCK,
};

struct mem {
	int fd;
	bool sigbus; /* nobody waits in the kernel */
	struct hand hand;
	struct whole whole;
	uint8_t *base;
	size_t bytes;
};

static const uint8_t zero_page[DSM_PAGE_SIZE] __attribute__((aligned(DSM_PAGE_SIZE)));

static int uffd_descriptor(struct err *e)
{
	int dev = open("/dev/userfaultfd", O_RDWR | O_CLOEXEC);
	int fd;

	if (dev >= 0) {
		fd = ioctl(dev, USERFAULTFD_IOC_NEW, FD_FLAGS);
		close(dev);
		if (fd >= 0)
			return fd;
	}
	fd = (int)syscall(SYS_userfaultfd, FD_FLAGS);
	if (fd >= 0)
		return fd;
	if (errno == ENOSYS)
		err_set(e, ERR_UNSUPPORTED, "this kernel has no userfaultfd");
	else if (errno == EPERM || errno == EACCES)
		err_set(e, ERR_DENIED,
			"no right to userfaultfd: open /dev/userfaultfd to this user or run as "
			"root");
	else
		err_sys(e, errno, "userfaultfd");
	return -1;
}

/* Write-protection is needed, THREAD_ID and MOVE are welcome; EVENT_* are never asked for (M7). */
static int uffd_features(int fd, bool sigbus, struct err *e)
{
	const uint64_t need = UFFD_FEATURE_PAGEFAULT_FLAG_WP | (sigbus ? UFFD_FEATURE_SIGBUS : 0);
	const uint64_t welcome[] = {UFFD_FEATURE_THREAD_ID | HAND_FEATURE, UFFD_FEATURE_THREAD_ID,
				    0};

	for (unsigned i = 0; i < sizeof(welcome) / sizeof(welcome[0]); i++) {
		struct uffdio_api api = {.api = UFFD_API, .features = need | welcome[i]};

		if (ioctl(fd, UFFDIO_API, &api) == 0)
			return ERR_OK;
	}
	return err_set(e, ERR_UNSUPPORTED, "userfaultfd of this kernel cannot write-protect%s",
		       sigbus ? ", or raise signals" : "");
}

/* Reserves address space: at `want`, or aligned where the kernel likes. */
static int map_range(struct mem *m, void *want, struct err *e)
{
	const int prot = PROT_READ | PROT_WRITE;
	const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
	uint8_t *p, *aligned;

	if (want) {
		p = mmap(want, m->bytes, prot, flags | MAP_FIXED_NOREPLACE, -1, 0);
		if (p == MAP_FAILED)
			return err_sys(e, errno, "map %zu bytes at %p", m->bytes, want);
		m->base = p;
		return ERR_OK;
	}
	p = mmap(NULL, m->bytes + ALIGNMENT, prot, flags, -1, 0);
	if (p == MAP_FAILED)
		return err_sys(e, errno, "map %zu bytes", m->bytes);
	aligned = (uint8_t *)(((uintptr_t)p + ALIGNMENT - 1) & ~(uintptr_t)(ALIGNMENT - 1));
	if (aligned > p)
		munmap(p, (size_t)(aligned - p));
	munmap(aligned + m->bytes, (size_t)(p + ALIGNMENT - aligned));
	m->base = aligned;
	return ERR_OK;
}

/* Makes pages [first, end) coherent. */
static int register_range(struct mem *m, uint64_t first, uint64_t end, struct err *e)
{
	const uint64_t need = 1ULL << _UFFDIO_COPY | 1ULL << _UFFDIO_ZEROPAGE |
			      1ULL << _UFFDIO_WAKE | 1ULL << _UFFDIO_WRITEPROTECT;
	static const int advice[] = {MADV_DONTFORK, MADV_DONTDUMP, MADV_NOHUGEPAGE}; /* M9 */
	uint8_t *at = m->base + (first << DSM_PAGE_SHIFT);
	size_t bytes = (end - first) << DSM_PAGE_SHIFT;
	struct uffdio_register reg = {
		.range = {.start = (uintptr_t)at, .len = bytes},
		.mode = UFFDIO_REGISTER_MODE_MISSING | UFFDIO_REGISTER_MODE_WP,
	};

	for (unsigned i = 0; i < sizeof(advice) / sizeof(advice[0]); i++)
		/* EINVAL to NOHUGEPAGE: a kernel without huge pages */
		if (madvise(at, bytes, advice[i]) &&
		    !(advice[i] == MADV_NOHUGEPAGE && errno == EINVAL))
			return err_sys(e, errno, "madvise(%d)", advice[i]);
	if (ioctl(m->fd, UFFDIO_REGISTER, &reg))
		return err_sys(e, errno, "register %zu bytes with userfaultfd", bytes);
	if ((reg.ioctls & need) != need)
		return err_set(e, ERR_UNSUPPORTED,
			       "userfaultfd lacks operations on this memory (has 0x%llx)",
			       (unsigned long long)reg.ioctls);
	return ERR_OK;
}

static int by_first(const void *a, const void *b)
{
	uint64_t x = ((const struct dsm_range *)a)->first, y = ((const struct dsm_range *)b)->first;

	return (x > y) - (x < y);
}

/* Registers everything between the local ranges. */
static int register_coherent(struct mem *m, const struct mem_config *config, struct err *e)
{
	struct dsm_range local[DSM_LOCALS_MAX];
	uint64_t next = 0;
	int rc = ERR_OK;

	memcpy(local, config->local, sizeof(local));
	qsort(local, config->locals, sizeof(local[0]), by_first);
	for (int i = 0; i < config->locals && !rc; i++) {
		if (local[i].first < next || local[i].first > config->pages ||
		    local[i].pages > config->pages - local[i].first)
			return err_set(e, ERR_INVALID, "local ranges overlap or leave the space");
		if (local[i].first > next)
			rc = register_range(m, next, local[i].first, e);
		next = local[i].first + local[i].pages;
	}
	if (!rc && next < config->pages)
		rc = register_range(m, next, config->pages, e);
	return rc;
}

static void uffd_close(struct mem *m)
{
	if (!m)
		return;
	hand_close(&m->hand);
	whole_close(&m->whole);
	if (m->base)
		munmap(m->base, m->bytes); /* before the descriptor: a stray access faults instead
					      of reading zeros (M10) */
	if (m->fd >= 0)
		close(m->fd);
	free(m);
}

static int uffd_open(const struct mem_config *config, struct mem **out, struct err *e)
{
	struct mem *m;
	int rc;

	if (!config->pages || config->pages > UINT32_MAX || config->locals > DSM_LOCALS_MAX ||
	    ((uintptr_t)config->want & (DSM_PAGE_SIZE - 1)))
		return err_set(e, ERR_INVALID,
			       "%llu pages, %u local ranges, address %p: out of range",
			       (unsigned long long)config->pages, config->locals, config->want);
	m = calloc(1, sizeof(*m));
	if (!m)
		return err_set(e, ERR_NOMEM, "no memory for the memory adapter");
	m->bytes = config->pages << DSM_PAGE_SHIFT;
	m->sigbus = config->sigbus;
	m->fd = uffd_descriptor(e);
	if (m->fd < 0) {
		rc = e ? (int)e->code : ERR_DENIED;
		goto fail;
	}
	rc = uffd_features(m->fd, config->sigbus, e);
	if (!rc)
		rc = map_range(m, config->want, e);
	if (!rc)
		rc = register_coherent(m, config, e);
	if (rc)
		goto fail;
	hand_open(&m->hand, m->fd);
	whole_open(&m->whole, m->fd);
	*out = m;
	return ERR_OK;
fail:
	uffd_close(m);
	return rc;
}

static void *uffd_base(const struct mem *m)
{
	return m->base;
}

static int uffd_fd(const struct mem *m)
{
	return m->fd;
}

static int uffd_faults(struct mem *m, struct mem_fault *out, int max)
{
	struct uffd_msg msg[FAULT_BATCH];
	int want = max < FAULT_BATCH ? max : FAULT_BATCH, n = 0;
	ssize_t got;

	do
		got = read(m->fd, msg, (size_t)want * sizeof(msg[0]));
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return errno == EAGAIN ? 0 : -ERR_SYS;
	for (int i = 0; i < (int)(got / (ssize_t)sizeof(msg[0])); i++) {
		const uint64_t flags = msg[i].arg.pagefault.flags;

		if (msg[i].event != UFFD_EVENT_PAGEFAULT)
			continue;
		out[n++] = (struct mem_fault){
			.page = {(msg[i].arg.pagefault.address - (uintptr_t)m->base) >>
				 DSM_PAGE_SHIFT},
			.write = flags & (UFFD_PAGEFAULT_FLAG_WRITE | UFFD_PAGEFAULT_FLAG_WP),
			.thread = msg[i].arg.pagefault.feat.ptid,
		};
	}
	return n;
}

static struct uffdio_range page_range(const struct mem *m, struct gpage page)
{
	return (struct uffdio_range){
		.start = (uintptr_t)m->base + (page.v << DSM_PAGE_SHIFT),
		.len = DSM_PAGE_SIZE,
	};
}

static int failed(struct err *e, const char *what, struct gpage page)
{
	if (errno == EEXIST)
		return err_set(e, ERR_EXISTS, "%s page 0x%llx: it is present", what,
			       (unsigned long long)page.v);
	return err_sys(e, errno, "%s page 0x%llx", what, (unsigned long long)page.v);
}

/* M1: COPY with WP for a read-only page, even one of zeros; ZEROPAGE only with write right. M5:
 * EEXIST. */
static int uffd_install(struct mem *m, struct gpage page, bool writable, const void *data,
			struct err *e)
{
	const struct uffdio_range range = page_range(m, page);
	const uint64_t source = (uintptr_t)(data ? data : zero_page);
	int rc;

	do {
		if (!data && writable) {
			struct uffdio_zeropage z = {.range = range,
						    .mode = UFFDIO_ZEROPAGE_MODE_DONTWAKE};

			rc = ioctl(m->fd, UFFDIO_ZEROPAGE, &z);
		} else {
			struct uffdio_copy c = {
				.dst = range.start,
				.src = source,
				.len = range.len,
				.mode = UFFDIO_COPY_MODE_DONTWAKE |
					(writable ? 0 : UFFDIO_COPY_MODE_WP),
			};

			rc = ioctl(m->fd, UFFDIO_COPY, &c);
		}
	} while (rc && errno == EAGAIN);
	return rc ? failed(e, "install", page) : ERR_OK;
}

/* M5: the kernel says how far it came; what it did woke those who waited for it. */
static int uffd_install_run(struct mem *m, struct gpage first, uint32_t n, bool writable,
			    const void *data, struct err *e)
{
	uint64_t done = 0, bytes = (uint64_t)n << DSM_PAGE_SHIFT;

	while (done < bytes) {
		struct uffdio_copy c = {
			.dst = page_range(m, first).start + done,
			.src = (uintptr_t)data + done,
			.len = bytes - done,
			.mode = writable ? 0 : UFFDIO_COPY_MODE_WP,
		};

		if (ioctl(m->fd, UFFDIO_COPY, &c) && errno != EAGAIN)
			return failed(e, "install",
				      (struct gpage){first.v + (done >> DSM_PAGE_SHIFT)});
		if (c.copy > 0)
			done += (uint64_t)c.copy;
	}
	return ERR_OK;
}

static int write_protect(struct mem *m, struct gpage page, uint32_t n, uint64_t mode,
			 const char *what, struct err *e)
{
	struct uffdio_writeprotect wp = {.range = page_range(m, page), .mode = mode};
	int rc;

	wp.range.len *= n;
	do
		rc = ioctl(m->fd, UFFDIO_WRITEPROTECT, &wp);
	while (rc && errno == EAGAIN);
	return rc ? failed(e, what, page) : ERR_OK;
}

static int uffd_protect(struct mem *m, struct gpage page, struct err *e)
{
	return write_protect(m, page, 1, UFFDIO_WRITEPROTECT_MODE_WP, "protect", e);
}

static int uffd_protect_run(struct mem *m, struct gpage first, uint32_t n, struct err *e)
{
	return write_protect(m, first, n, UFFDIO_WRITEPROTECT_MODE_WP, "protect", e);
}

static int uffd_unprotect(struct mem *m, struct gpage page, struct err *e)
{
	return write_protect(m, page, 1, UFFDIO_WRITEPROTECT_MODE_DONTWAKE, "unprotect", e);
}

/*
 * The page is stable: protected (M3) and present (M8). A race detector cannot know that: what keeps
 * writers off is the page table. So the copy is one it does not watch.
 */
__attribute__((no_sanitize("thread"))) static int uffd_read_out(struct mem *m, struct gpage page,
								void *out, struct err *e)
{
	const void *from = m->base + (page.v << DSM_PAGE_SHIFT);

	(void)e;
#if defined(__SANITIZE_THREAD__)
	for (unsigned i = 0; i < DSM_PAGE_SIZE / sizeof(uint64_t); i++)
		((uint64_t *)out)[i] = ((const volatile uint64_t *)from)[i];
#else
	memcpy(out, from, DSM_PAGE_SIZE);
#endif
	return ERR_OK;
}

/* Who copies them from there is the kernel, for a socket; of that a race detector would know. */
static int uffd_read_run(struct mem *m, struct gpage first, uint32_t n, void *room, const void **at,
			 struct err *e)
{
#if defined(__SANITIZE_THREAD__)
	*at = room;
	for (uint32_t i = 0; i < n; i++)
		uffd_read_out(m, (struct gpage){first.v + i},
			      (uint8_t *)room + (size_t)i * DSM_PAGE_SIZE, e);
#else
	(void)n;
	(void)room;
	(void)e;
	*at = m->base + (first.v << DSM_PAGE_SHIFT);
#endif
	return ERR_OK;
}

static int uffd_drop(struct mem *m, struct gpage page, struct err *e)
{
	int rc;

	do
		rc = madvise(m->base + (page.v << DSM_PAGE_SHIFT), DSM_PAGE_SIZE, MADV_DONTNEED);
	while (rc && errno == EAGAIN);
	return rc ? failed(e, "drop", page) : ERR_OK;
}

_Static_assert((int)MEM_TAKE_MAX <= (int)HAND_PAGES, "they fit");

static uint32_t uffd_take(struct mem *m, struct gpage first, uint32_t n, const void **out)
{
	return hand_take(&m->hand, m->base + (first.v << DSM_PAGE_SHIFT), n, out);
}

static int uffd_whole(struct mem *m, struct gpage first, uint32_t n, struct err *e)
{
	return whole_take(&m->whole, m->base + (first.v << DSM_PAGE_SHIFT),
			  (size_t)n << DSM_PAGE_SHIFT, e);
}

static int uffd_split(struct mem *m, struct gpage first, uint32_t n, struct err *e)
{
	return whole_split(&m->whole, m->base + (first.v << DSM_PAGE_SHIFT),
			   (size_t)n << DSM_PAGE_SHIFT, e);
}

static int uffd_wake(struct mem *m, struct gpage page, struct err *e)
{
	struct uffdio_range range = page_range(m, page);
	int rc;

	if (m->sigbus)
		return ERR_OK;
	do
		rc = ioctl(m->fd, UFFDIO_WAKE, &range);
	while (rc && errno == EAGAIN);
	return rc ? failed(e, "wake", page) : ERR_OK;
}

const struct mem_ops mem_uffd = {
	.name = "uffd",
	.open = uffd_open,
	.base = uffd_base,
	.fd = uffd_fd,
	.faults = uffd_faults,
	.install = uffd_install,
	.install_run = uffd_install_run,
	.protect = uffd_protect,
	.protect_run = uffd_protect_run,
	.unprotect = uffd_unprotect,
	.read_out = uffd_read_out,
	.read_run = uffd_read_run,
	.drop = uffd_drop,
	.take = uffd_take,
	.whole = uffd_whole,
	.split = uffd_split,
	.wake = uffd_wake,
	.close = uffd_close,
};
