/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/hello_stream.h"

#include <assert.h>
#include <string.h>

int hello_stream_begin(struct hello_stream *s, bool dialer, struct hello_out *out, struct err *e)
{
	struct hello_1 first;
	int rc;

	s->dialer = dialer;
	out->length = 0;
	if (!dialer) {
		s->want = sizeof(struct hello_1);
		return ERR_OK;
	}
	s->want = sizeof(struct hello_2);
	rc = hello_dial(&s->hello, &first, e);
	if (rc)
		return rc;
	memcpy(out->bytes, &first, sizeof(first));
	out->length = sizeof(first);
	return ERR_OK;
}

static int take_first(struct hello_stream *s, const void *in, struct hello_out *out, struct err *e)
{
	struct hello_1 first;
	struct hello_2 second;
	int rc;

	memcpy(&first, in, sizeof(first));
	rc = hello_accept(&s->hello, &first, &second, e);
	if (rc)
		return rc;
	memcpy(out->bytes, &second, sizeof(second));
	out->length = sizeof(second);
	s->want = sizeof(struct hello_3);
	return ERR_OK;
}

static int take_second(struct hello_stream *s, const void *in, struct hello_out *out, struct err *e)
{
	struct hello_2 second;
	struct hello_3 third;
	int rc;

	memcpy(&second, in, sizeof(second));
	rc = hello_dial_answer(&s->hello, &second, &third, e);
	if (rc)
		return rc;
	memcpy(out->bytes, &third, sizeof(third));
	out->length = sizeof(third);
	s->want = 0;
	return ERR_OK;
}

static int take_third(struct hello_stream *s, const void *in, struct err *e)
{
	struct hello_3 third;
	int rc;

	memcpy(&third, in, sizeof(third));
	rc = hello_accept_done(&s->hello, &third, e);
	if (!rc)
		s->want = 0;
	return rc;
}

int hello_stream_take(struct hello_stream *s, const void *in, struct hello_out *out, struct err *e)
{
	assert(s->want);
	out->length = 0;
	if (s->dialer)
		return take_second(s, in, out, e);
	if (s->want == sizeof(struct hello_1))
		return take_first(s, in, out, e);
	return take_third(s, in, e);
}
