/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "dsm/lib/space.h"

#define SAME(name, inside)                                                                         \
	_Static_assert((int)CDSM_##name == (int)ERR_##inside, "the public codes are ours")
SAME(OK, OK);
SAME(EINVAL, INVALID);
SAME(ENOMEM, NOMEM);
SAME(ESYS, SYS);
SAME(EDENIED, DENIED);
SAME(ENOTFOUND, NOTFOUND);
SAME(EEXISTS, EXISTS);
SAME(ETIMEOUT, TIMEOUT);
SAME(EUNREACHABLE, UNREACHABLE);
SAME(ELOST, LOST);
SAME(EPROTOCOL, PROTOCOL);
SAME(EAUTH, AUTH);
SAME(EVERSION, VERSION);
SAME(EUNSUPPORTED, UNSUPPORTED);
SAME(ESTATE, STATE);
SAME(ENOSPACE, NOSPACE);
_Static_assert(CDSM_TEXT_MAX >= ERR_TEXT_MAX, "a sentence fits");

/* What only the inside can tell apart: the sentence says it. */
static int public_code(const struct err *e)
{
	switch (e->code) {
	case ERR_EPOCH:
		return CDSM_EPROTOCOL;
	case ERR_BUSY:
	case ERR_TOOBIG:
	case ERR_GUEST:
	case ERR_INTERRUPTED:
		return CDSM_ESYS;
	default:
		return (int)e->code;
	}
}

int space_fail(struct cdsm_error *why, const struct err *e)
{
	int code = public_code(e);

	if (why) {
		why->code = code;
		why->bytes = 0;
		memcpy(why->text, e->text, sizeof(e->text));
	}
	return code;
}

int space_refuse(struct cdsm_error *why, enum cdsm_code code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	if (why) {
		why->code = code;
		why->bytes = 0;
		/* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): it was started */
		vsnprintf(why->text, sizeof(why->text), fmt, ap);
	}
	va_end(ap);
	return code;
}

const char *cdsm_error_name(int code)
{
	static const char *const names[] = {
#define NAME(name) [CDSM_##name] = "CDSM_" #name
		NAME(OK),	    NAME(EINVAL),	NAME(ENOMEM),	 NAME(ESYS),
		NAME(EDENIED),	    NAME(ENOTFOUND),	NAME(EEXISTS),	 NAME(ETIMEOUT),
		NAME(EUNREACHABLE), NAME(ELOST),	NAME(EPROTOCOL), NAME(EAUTH),
		NAME(EVERSION),	    NAME(EUNSUPPORTED), NAME(ESTATE),	 NAME(ENOSPACE),
#undef NAME
	};
	const int n = (int)(sizeof(names) / sizeof(names[0]));

	return code >= 0 && code < n && names[code] ? names[code] : "?";
}

const char *cdsm_version(void)
{
	return CELLULAR_VERSION;
}
