/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a VM wrote to its console: the last CONSOLE_BYTES of it, addressed by offsets that count
 * from the start of the VM and never turn back. A reader that comes late is told the offset of the
 * first byte that is left.
 *
 * Threads: none of its own; a console belongs to the thread of the loop.
 */
#ifndef CELLULAR_CELLD_CONSOLE_H
#define CELLULAR_CELLD_CONSOLE_H

#include <stddef.h>
#include <stdint.h>

#include "proto/base/err.h"

enum { CONSOLE_BYTES = 256 << 10 };

/* Zeroed: empty. The ring is allocated by the first byte: most fragments have no console. */
struct console {
	uint8_t *ring; /* CONSOLE_BYTES, byte at offset o in ring[o % CONSOLE_BYTES]; NULL: nothing
			  written */
	uint64_t end;  /* offset after the last byte */
};

/* Appends; the oldest bytes give way. NOMEM: nothing was taken. */
int console_write(struct console *c, const uint8_t *data, size_t n, struct err *e);

/* Offset of the oldest byte that is left. */
uint64_t console_begin(const struct console *c);

/*
 * Copies what lies at or after *offset to out, at most n bytes; moves *offset to the first byte
 * copied: forward, if older ones are gone; back to the end, if it lay behind it. Returns bytes
 * copied.
 */
size_t console_read(const struct console *c, uint64_t *offset, uint8_t *out, size_t n);

void console_free(struct console *c);

#endif
