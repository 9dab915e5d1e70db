/* SPDX-License-Identifier: Apache-2.0 */
/* A space from its first member to its last, as the public header tells it. */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "crew.h"
#include "tests/unit/unit.h"

enum { MEMBERS = 3, PAGES = 1200 }; /* three homes */

static const struct crew_config space = {.bytes = PAGES * (uint64_t)CDSM_PAGE_BYTES};

static atomic_ullong *word(const struct hand *h, unsigned page)
{
	return (atomic_ullong *)(h->base + (size_t)page * CDSM_PAGE_BYTES);
}

static unsigned long long value(unsigned member, unsigned page)
{
	return 1000ull * (member + 1) + page;
}

static void share(struct hand *h)
{
	size_t bytes = 0;

	HOLDS(h->crew, cdsm_map(h->space, &bytes) == h->base && bytes == space.bytes);
	HOLDS(h->crew, atomic_load(word(h, PAGES - 1)) == 0);
	crew_meet(h, MEMBERS);
	HOLDS(h->crew, cdsm_present(h->space) == (1 << MEMBERS) - 1);
	HOLDS(h->crew, cdsm_check(h->space, NULL) == CDSM_OK);
	for (unsigned p = h->self; p < PAGES; p += MEMBERS * 7)
		atomic_store(word(h, p), value(h->self, p));
	for (unsigned i = 0; i < 500; i++)
		atomic_fetch_add(word(h, PAGES - 1) + 1, 1);
	crew_meet(h, MEMBERS);
	for (unsigned m = 0; m < MEMBERS; m++)
		for (unsigned p = m; p < PAGES; p += MEMBERS * 7)
			HOLDS(h->crew, atomic_load(word(h, p)) == value(m, p));
	HOLDS(h->crew, atomic_load(word(h, PAGES - 1) + 1) == 500 * MEMBERS);
	crew_meet(h, MEMBERS);
	crew_leave(h);
}

static void a_space_is_zero_and_shared(void)
{
	crew_run(MEMBERS, &space, share);
}

/* Each hand writes a page of its own and leaves when the parent says so; who is there afterwards
 * reads the pages of all that were. */
static void stay_until_sent_away(struct hand *h)
{
	unsigned long long nothing;
	struct cdsm_error why;

	for (unsigned m = 0; m < h->self; m++) {
		crew_wait(h->crew, &h->crew->mark[m], 1); /* it has written */
		HOLDS(h->crew, atomic_load(word(h, m)) == value(m, m));
	}
	atomic_store(word(h, h->self), value(h->self, h->self));
	atomic_store(&h->crew->mark[h->self], 1);
	crew_wait(h->crew, &h->crew->step, h->self + 1);
	HOLDS(h->crew, cdsm_leave(h->space, CREW_PATIENCE_MS, &why) == CDSM_OK);
	HOLDS(h->crew, cdsm_leave(h->space, 0, &why) == CDSM_OK);
	HOLDS(h->crew, cdsm_check(h->space, &why) == CDSM_ESTATE && strstr(why.text, "has left"));
	HOLDS(h->crew, cdsm_present(h->space) == 0);
	HOLDS(h->crew, !crew_touch(h->crew, word(h, 0), false, &nothing));
	HOLDS(h->crew, !crew_touch(h->crew, word(h, PAGES - 1), true, &nothing));
	cdsm_close(h->space);
	atomic_store(&h->crew->mark[h->self], 2);
}

static void send_away(struct crew *crew, unsigned self)
{
	atomic_store(&crew->step, self + 1);
	CU_ASSERT(crew_wait(crew, &crew->mark[self], 2));
}

static void members_come_and_go_and_the_data_stays(void)
{
	struct crew *crew = crew_start(2, &space, stay_until_sent_away);

	if (!crew)
		return;
	CU_ASSERT(crew_wait(crew, &crew->mark[1], 1));
	send_away(crew, 0); /* who created it */
	crew_add(crew, 2, 1, &space, stay_until_sent_away);
	CU_ASSERT(crew_wait(crew, &crew->mark[2], 1));
	send_away(crew, 1);
	crew_add(crew, 3, 2, &space, stay_until_sent_away);
	CU_ASSERT(crew_wait(crew, &crew->mark[3], 1));
	send_away(crew, 2);
	send_away(crew, 3); /* and nobody is there */
	crew_finish(crew, 4, 0);
}

static void a_space_lies_where_it_is_wanted(void)
{
	struct cdsm_options o = CDSM_OPTIONS;
	struct cdsm_error why;
	struct cdsm *a, *b;
	void *want;

	if (!crew_can())
		return;
	o.key = crew_key;
	/* A hole in the address space, which the kernel fills from above. */
	want = mmap(NULL, 1 << 30, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	munmap(want, 1 << 30);
	o.address = want;
	CU_ASSERT_EQUAL_FATAL(cdsm_create(&o, 1 << 20, &a, &why), CDSM_OK);
	CU_ASSERT_PTR_EQUAL(cdsm_map(a, NULL), want);
	CU_ASSERT_EQUAL(cdsm_create(&o, 4096, &b, &why), CDSM_EEXISTS); /* there is one */
	o.address = NULL;
	CU_ASSERT_EQUAL_FATAL(cdsm_create(&o, 4096, &b, &why), CDSM_OK); /* two in one process */
	memset(cdsm_map(a, NULL), 1, 1 << 20);
	CU_ASSERT_EQUAL(((unsigned char *)cdsm_map(b, NULL))[4095], 0);
	CU_ASSERT_EQUAL(cdsm_leave(a, 1000, NULL), CDSM_OK); /* alone: at once */
	cdsm_close(a);
	cdsm_close(b); /* alone, nobody minds */
	cdsm_close(NULL);
}

static void sizes_are_rounded_up_to_pages(void)
{
	struct cdsm_options o = CDSM_OPTIONS;
	struct cdsm *c;
	size_t bytes;

	if (!crew_can())
		return;
	o.key = crew_key;
	CU_ASSERT_EQUAL_FATAL(cdsm_create(&o, 4097, &c, NULL), CDSM_OK);
	cdsm_map(c, &bytes);
	CU_ASSERT_EQUAL(bytes, 8192);
	cdsm_close(c);
}

int main(void)
{
	static const struct unit_case cases[] = {
		UNIT_CASE(a_space_is_zero_and_shared),
		UNIT_CASE(members_come_and_go_and_the_data_stays),
		UNIT_CASE(a_space_lies_where_it_is_wanted),
		UNIT_CASE(sizes_are_rounded_up_to_pages),
	};

	return unit_main("cdsm life", cases, UNIT_COUNT(cases));
}
