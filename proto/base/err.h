/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one error vocabulary of the project.
 *
 * A function that can fail returns 0 (ERR_OK) or one of these codes, and writes a sentence into the
 * caller's struct err if it was given one. errno is converted at the edge of the system call
 * (err_sys); on its way up a message gains context (err_wrap). Nothing here exits or prints.
 *
 * Threads: no shared state; a struct err belongs to one thread at a time.
 */
#ifndef CELLULAR_BASE_ERR_H
#define CELLULAR_BASE_ERR_H

/* code, name, what it means to the reader */
#define ERR_LIST(X)                                                                                \
	X(0, OK, "success")                                                                        \
	X(1, INVALID, "an argument or a field is out of its range")                                \
	X(2, NOMEM, "memory could not be had")                                                     \
	X(3, SYS, "a system call failed")                                                          \
	X(4, DENIED, "the right to do this is missing")                                            \
	X(5, NOTFOUND, "no such thing")                                                            \
	X(6, EXISTS, "it is there already, or in use")                                             \
	X(7, BUSY, "not now; try again")                                                           \
	X(8, TIMEOUT, "the time allowed is over")                                                  \
	X(9, UNREACHABLE, "the other side cannot be reached")                                      \
	X(10, LOST, "a member or a link was lost")                                                 \
	X(11, PROTOCOL, "the other side broke the protocol")                                       \
	X(12, AUTH, "the other side does not know the key")                                        \
	X(13, VERSION, "no common protocol version")                                               \
	X(14, EPOCH, "the message is of another epoch")                                            \
	X(15, TOOBIG, "larger than its limit")                                                     \
	X(16, UNSUPPORTED, "not supported here")                                                   \
	X(17, GUEST, "the guest did something that ends it")                                       \
	X(18, STATE, "not in a state that allows this")                                            \
	X(19, NOSPACE, "no room: memory, CPUs or table entries are used up")                       \
	X(20, INTERRUPTED, "asked to stop")

enum err_code {
#define X(code, name, text) ERR_##name = (code),
	ERR_LIST(X)
#undef X
};

enum { ERR_TEXT_MAX = 320 };

struct err {
	enum err_code code;
	char text[ERR_TEXT_MAX]; /* one sentence without a newline, NUL-terminated, cut if too long
				  */
};

/* Name ("NOTFOUND") and sentence of a code; "?" for a code that is not in the list. */
const char *err_name(int code);
const char *err_sentence(int code);

/* Sets code and text; e may be NULL. Returns code, so that `return err_set(...)` reads well. */
int err_set(struct err *e, enum err_code code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Converts an errno value (EACCES/EPERM: DENIED, ENOENT: NOTFOUND, EADDRINUSE/EEXIST: EXISTS,
 * ENOMEM: NOMEM, ETIMEDOUT: TIMEOUT, ECONNREFUSED/EHOSTUNREACH/ENETUNREACH: UNREACHABLE, else SYS);
 * the text becomes
 * "<fmt>: <strerror>". */
int err_sys(struct err *e, int errnum, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Puts "<fmt>: " before the text that is there. Returns e->code (or `code` when e is NULL). */
int err_wrap(struct err *e, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* The exit status a program ends with for a code: 0 ok, 1 failed, 2 usage (INVALID), 3 NOTFOUND, 4
 * UNREACHABLE, 5 TIMEOUT, 6 DENIED/AUTH, 7 EXISTS/BUSY/STATE (conflict). All others are 1. */
int err_exit_status(int code);

#endif
