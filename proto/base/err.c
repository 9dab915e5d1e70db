/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct {
	const char *name, *sentence;
} errors[] = {
#define X(code, name, sentence) [code] = {#name, sentence},
	ERR_LIST(X)
#undef X
};

enum { ERRORS = sizeof(errors) / sizeof(errors[0]) };

const char *err_name(int code)
{
	return code >= 0 && code < ERRORS ? errors[code].name : "?";
}

const char *err_sentence(int code)
{
	return code >= 0 && code < ERRORS ? errors[code].sentence : "?";
}

int err_set(struct err *e, enum err_code code, const char *fmt, ...)
{
	va_list ap;

	if (!e)
		return code;
	va_start(ap, fmt);
	vsnprintf(e->text, sizeof(e->text), fmt, ap);
	va_end(ap);
	e->code = code;
	return code;
}

static enum err_code code_of_errno(int errnum)
{
	switch (errnum) {
	case EACCES:
	case EPERM:
		return ERR_DENIED;
	case ENOENT:
		return ERR_NOTFOUND;
	case EADDRINUSE:
	case EEXIST:
		return ERR_EXISTS;
	case ENOMEM:
		return ERR_NOMEM;
	case ETIMEDOUT:
		return ERR_TIMEOUT;
	case ECONNREFUSED:
	case EHOSTUNREACH:
	case ENETUNREACH:
	case EADDRNOTAVAIL:
		return ERR_UNREACHABLE;
	default:
		return ERR_SYS;
	}
}

int err_sys(struct err *e, int errnum, const char *fmt, ...)
{
	enum err_code code = code_of_errno(errnum);
	size_t n;
	va_list ap;

	if (!e)
		return code;
	va_start(ap, fmt);
	vsnprintf(e->text, sizeof(e->text), fmt, ap);
	va_end(ap);
	n = strlen(e->text);
	snprintf(e->text + n, sizeof(e->text) - n, ": %s", strerror(errnum));
	e->code = code;
	return code;
}

int err_wrap(struct err *e, int code, const char *fmt, ...)
{
	char was[ERR_TEXT_MAX];
	size_t n;
	va_list ap;

	if (!e)
		return code;
	memcpy(was, e->text, sizeof(was));
	va_start(ap, fmt);
	vsnprintf(e->text, sizeof(e->text), fmt, ap);
	va_end(ap);
	n = strlen(e->text);
	snprintf(e->text + n, sizeof(e->text) - n, ": %s", was);
	return e->code;
}

int err_exit_status(int code)
{
	switch (code) {
	case ERR_OK:
		return 0;
	case ERR_INVALID:
		return 2;
	case ERR_NOTFOUND:
		return 3;
	case ERR_UNREACHABLE:
		return 4;
	case ERR_TIMEOUT:
		return 5;
	case ERR_DENIED:
	case ERR_AUTH:
		return 6;
	case ERR_EXISTS:
	case ERR_BUSY:
	case ERR_STATE:
		return 7;
	default:
		return 1;
	}
}
