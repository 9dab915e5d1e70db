/* SPDX-License-Identifier: Apache-2.0 */
#include "family.h"

#include <err.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PATIENCE_MS = 30000, ADDRESS_BYTES = 64 };

struct relative {
	struct cdsm_options options;
	unsigned self, members;
	uint64_t bytes;
	int (*work)(struct cdsm *space, unsigned self, unsigned members, void *context);
	void *context;
};

static int work_and_leave(const struct relative *r, struct cdsm *space)
{
	struct cdsm_error why;
	int status = r->work(space, r->self, r->members, r->context);

	if (cdsm_leave(space, PATIENCE_MS, &why))
		errx(1, "%s", why.text);
	cdsm_close(space);
	return status;
}

static int child(const struct relative *r, int from_parent)
{
	char address[ADDRESS_BYTES];
	struct cdsm_error why;
	struct cdsm *space;

	if (read(from_parent, address, sizeof(address)) != sizeof(address))
		return 1; /* the parent has said why */
	if (cdsm_join(&r->options, address, PATIENCE_MS, &space, &why))
		errx(1, "%s", why.text);
	return work_and_leave(r, space);
}

static int parent(const struct relative *r, int to_children)
{
	char address[ADDRESS_BYTES] = "";
	struct cdsm_error why;
	struct cdsm *space;

	if (cdsm_create(&r->options, r->bytes, &space, &why))
		errx(1, "%s", why.text);
	strncpy(address, cdsm_address(space), sizeof(address) - 1);
	for (unsigned i = 1; i < r->members; i++)
		if (write(to_children, address, sizeof(address)) != sizeof(address))
			err(1, "write");
	close(to_children);
	return work_and_leave(r, space);
}

static int wait_for_children(unsigned n)
{
	int status, failed = 0;

	while (n--)
		failed |= wait(&status) < 0 || status;
	return failed;
}

int family(unsigned members, uint64_t bytes,
	   int (*work)(struct cdsm *space, unsigned self, unsigned members, void *context),
	   void *context)
{
	struct relative r = {CDSM_OPTIONS, 0, members, bytes, work, context};
	unsigned char key[CDSM_KEY_BYTES];
	int fds[2];

	if (getrandom(key, sizeof(key), 0) != sizeof(key) || pipe(fds))
		err(1, "prepare");
	r.options.key = key;
	/* Before there is a space: a child does not inherit one. */
	for (r.self = 1; r.self < members; r.self++)
		if (fork() == 0) {
			close(fds[1]);
			exit(child(&r, fds[0]));
		}
	close(fds[0]);
	r.self = 0;
	return parent(&r, fds[1]) | wait_for_children(members - 1);
}

void family_meet(struct cdsm *space, unsigned members)
{
	struct cdsm_error why;

	if (cdsm_barrier(space, 0, members, &why))
		errx(1, "%s", why.text);
}

unsigned family_argument(int argc, char **argv, int n, unsigned otherwise, unsigned max)
{
	unsigned long value;

	if (argc <= n)
		return otherwise;
	value = strtoul(argv[n], NULL, 10);
	if (!value || value > max)
		errx(2, "argument %d: a number from 1 to %u", n, max);
	return (unsigned)value;
}
