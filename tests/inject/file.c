/* SPDX-License-Identifier: Apache-2.0 */
/* The test's side of inject.h: the file. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/inject/inject.h"

static char path[128];

struct inject *inject_new(const char *dir)
{
	void *p = MAP_FAILED;
	int fd;

	snprintf(path, sizeof(path), "%s/cellular-inject.XXXXXX", dir);
	fd = mkstemp(path);
	if (fd < 0)
		return NULL;
	if (!ftruncate(fd, sizeof(struct inject)))
		p = mmap(NULL, sizeof(struct inject), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (p == MAP_FAILED) {
		unlink(path);
		return NULL;
	}
	setenv("INJECT_FILE", path, 1);
	return p;
}

void inject_forget(struct inject *in)
{
	munmap(in, sizeof(*in));
	unlink(path);
	unsetenv("INJECT_FILE");
}

void inject_reset(struct inject *in)
{
	in->armed = false;
	in->nth = in->site = in->calls = in->fired = 0;
	in->started = 0;
	in->live = 0;
	in->errnum = 0;
	in->name[0] = in->where[0] = '\0';
}
