/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The log of a daemon: one line a message to stderr, "2026-11-22T16:40:01.123Z celld: warning:
 * text". Only programs log; libraries return errors.
 *
 * Threads: log_open before others start; all else from any thread. A line is one write(2): lines do
 * not mix.
 */
#ifndef CELLULAR_BASE_LOG_H
#define CELLULAR_BASE_LOG_H

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

enum { LOG_LINE_MAX = 1024 }; /* longer lines are cut */

/* component is kept, not copied. The level is INFO unless the environment's CELLULAR_LOG says
 * error, warning, info or debug. */
void log_open(const char *component);

void log_line(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...)	 log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...)	 log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...)	 log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
