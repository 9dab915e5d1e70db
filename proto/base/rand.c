/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/base/rand.h"

#include <errno.h>
#include <sys/random.h>

int rand_bytes(void *to, size_t n, struct err *e)
{
	uint8_t *at = to;

	while (n) {
		ssize_t got = getrandom(at, n, 0);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return err_sys(e, errno, "cannot draw random bytes");
		at += got;
		n -= (size_t)got;
	}
	return ERR_OK;
}
