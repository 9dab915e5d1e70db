/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/base/buffer.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { BUFFER_LEAST = 512 };

static void move_to_front(struct buffer *b)
{
	size_t n = buffer_length(b);

	if (b->memory && n && b->start)
		memmove(b->memory, b->memory + b->start, n);
	b->start = 0;
	b->end = n;
}

uint8_t *buffer_room(struct buffer *b, size_t n)
{
	size_t wanted = buffer_length(b) + n;
	size_t capacity = b->capacity ? b->capacity : BUFFER_LEAST;
	uint8_t *memory;

	if (b->memory && n <= b->capacity - b->end)
		return b->memory + b->end;
	if (b->start < b->capacity / 2)
		wanted += b->start; /* moving is not worth it yet: a long queue would be moved again
				       and again */
	else
		move_to_front(b);
	while (capacity < wanted)
		capacity *= 2;
	if (capacity > b->capacity) {
		memory = realloc(b->memory, capacity);
		if (!memory)
			return NULL;
		b->memory = memory;
		b->capacity = capacity;
	}
	return b->memory + b->end;
}

void buffer_added(struct buffer *b, size_t n)
{
	assert(n <= b->capacity - b->end);
	b->end += n;
}

bool buffer_append(struct buffer *b, const void *bytes, size_t n)
{
	uint8_t *room = buffer_room(b, n);

	if (!room)
		return false;
	if (n)
		memcpy(room, bytes, n);
	buffer_added(b, n);
	return true;
}

void buffer_consume(struct buffer *b, size_t n)
{
	assert(n <= buffer_length(b));
	b->start += n;
	if (b->start == b->end)
		b->start = b->end = 0;
}

void buffer_free(struct buffer *b)
{
	free(b->memory);
	*b = (struct buffer){0};
}

void buffer_give_back(struct buffer *b, size_t keep)
{
	if (!buffer_length(b) && b->capacity > keep)
		buffer_free(b);
}
