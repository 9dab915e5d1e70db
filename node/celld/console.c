/* SPDX-License-Identifier: Apache-2.0 */
#include "node/celld/console.h"

#include <stdlib.h>
#include <string.h>

static size_t min_size(size_t a, size_t b)
{
	return a < b ? a : b;
}

int console_write(struct console *c, const uint8_t *data, size_t n, struct err *e)
{
	if (n == 0)
		return ERR_OK;
	if (!c->ring)
		c->ring = malloc(CONSOLE_BYTES);
	if (!c->ring)
		return err_set(e, ERR_NOMEM, "no memory for a console");
	if (n > CONSOLE_BYTES) {
		c->end += n - CONSOLE_BYTES;
		data += n - CONSOLE_BYTES;
		n = CONSOLE_BYTES;
	}
	while (n > 0) {
		size_t at = c->end % CONSOLE_BYTES;
		size_t piece = min_size(n, CONSOLE_BYTES - at);

		memcpy(c->ring + at, data, piece);
		c->end += piece;
		data += piece;
		n -= piece;
	}
	return ERR_OK;
}

uint64_t console_begin(const struct console *c)
{
	return c->end > CONSOLE_BYTES ? c->end - CONSOLE_BYTES : 0;
}

size_t console_read(const struct console *c, uint64_t *offset, uint8_t *out, size_t n)
{
	size_t copied = 0;

	if (*offset < console_begin(c))
		*offset = console_begin(c);
	if (*offset > c->end)
		*offset = c->end;
	n = min_size(n, (size_t)(c->end - *offset));
	while (copied < n) {
		size_t at = (*offset + copied) % CONSOLE_BYTES;
		size_t piece = min_size(n - copied, CONSOLE_BYTES - at);

		memcpy(out + copied, c->ring + at, piece);
		copied += piece;
	}
	return copied;
}

void console_free(struct console *c)
{
	free(c->ring);
	*c = (struct console){0};
}
