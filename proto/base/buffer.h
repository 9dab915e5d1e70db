/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A run of bytes that grows at its end and is consumed from its start: streams on their way in or
 * out. Zero is an empty buffer.
 *
 * Threads: belongs to one.
 */
#ifndef CELLULAR_BASE_BUFFER_H
#define CELLULAR_BASE_BUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buffer {
	uint8_t *memory;
	size_t capacity;
	size_t start; /* first byte in use */
	size_t end;   /* after the last one */
};

static inline size_t buffer_length(const struct buffer *b)
{
	return b->end - b->start;
}
static inline uint8_t *buffer_bytes(const struct buffer *b)
{
	return b->memory ? b->memory + b->start : NULL;
}

/* Makes room for n more bytes behind the end and returns it, NULL if memory could not be had (the
 * buffer stays as it was). */
uint8_t *buffer_room(struct buffer *b, size_t n);
/* The n bytes that were written into the room are in use now. */
void buffer_added(struct buffer *b, size_t n);
/* buffer_room, copy, buffer_added. false: no memory. */
bool buffer_append(struct buffer *b, const void *bytes, size_t n);
/* Forgets the first n bytes. */
void buffer_consume(struct buffer *b, size_t n);
/* Frees the memory if the buffer is empty and took more than `keep` bytes: one large message is not
 * paid for for ever. */
void buffer_give_back(struct buffer *b, size_t keep);
void buffer_free(struct buffer *b);

#endif
