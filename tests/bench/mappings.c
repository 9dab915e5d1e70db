/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bench/mappings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "dsm/core/internal.h"
#include "tests/bench/floor.h"
#include "tests/bench/team.h"

static struct {
	void *at;
	size_t bytes;
} made[64];
static unsigned made_n;

void *__real_mmap(void *at, size_t bytes, int prot, int flags, int fd, off_t offset);
void *__wrap_mmap(void *at, size_t bytes, int prot, int flags, int fd, off_t offset);

void *__wrap_mmap(void *at, size_t bytes, int prot, int flags, int fd, off_t offset)
{
	void *p = __real_mmap(at, bytes, prot, flags, fd, offset);

	if (p != MAP_FAILED && flags & MAP_ANONYMOUS && flags & MAP_PRIVATE &&
	    made_n < sizeof(made) / sizeof(made[0])) {
		made[made_n].at = p;
		made[made_n++].bytes = bytes;
	}
	return p;
}

double mappings_resident(const void *at, size_t bytes)
{
	uintptr_t first = (uintptr_t)at & ~(uintptr_t)(FLOOR_PAGE - 1);
	size_t pages = ((uintptr_t)at + bytes - first + FLOOR_PAGE - 1) / FLOOR_PAGE, n = 0;
	unsigned char *in = malloc(pages);

	if (in && !mincore((void *)first, pages * FLOOR_PAGE, in))
		for (size_t i = 0; i < pages; i++)
			n += in[i] & 1;
	free(in);
	return (double)n * FLOOR_PAGE;
}

static size_t core_bytes(const struct seat *s)
{
	const struct dsm_core_config config = {
		.self = {(uint8_t)s->self},
		.members = (uint8_t)s->members,
		.epoch = {1},
		.pages = s->bench->pages(s),
	};

	return dsm_core_bytes(&config);
}

static void add_core(const struct dsm_core *core, struct mappings_part *out)
{
	const uint64_t pages = core->config.pages;

	out[MAPPINGS_HOLDERS] = (struct mappings_part){"holders' entries, a page", core->holders,
						       pages * sizeof(*core->holders)};
	out[MAPPINGS_HOMES] = (struct mappings_part){"homes' entries, a page", core->homes,
						     pages * sizeof(*core->homes)};
	out[MAPPINGS_CHUNKS] = (struct mappings_part){
		"the map's entries, a chunk", core->chunks,
		(pages + DSM_CHUNK_PAGES - 1) / DSM_CHUNK_PAGES * sizeof(*core->chunks)};
	out[MAPPINGS_FIXED] =
		(struct mappings_part){"the core before its tables", core,
				       (size_t)((uint8_t *)core->holders - (uint8_t *)core)};
}

unsigned mappings_parts(const struct seat *s, struct mappings_part out[MAPPINGS_PARTS])
{
	size_t core = core_bytes(s), space = s->bench->pages(s) * FLOOR_PAGE;
	unsigned n = MAPPINGS_FIXED + 1;
	bool found = false;

	for (unsigned i = 0; i < made_n && n < MAPPINGS_PARTS; i++) {
		if (made[i].bytes >= space)
			continue; /* the pages */
		if (made[i].bytes == core && !found) {
			add_core(made[i].at, out);
			found = true;
			continue;
		}
		out[n].at = made[i].at;
		out[n].bytes = made[i].bytes;
		snprintf(out[n++].name, MAPPINGS_NAME, "a mapping of %zu KiB",
			 made[i].bytes / 1024);
	}
	if (!found)
		team_fail(s, "no mapping of the core's %zu bytes was seen", core);
	return n;
}
