/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { LEVELS = LOG_LEVEL_DEBUG + 1 };

static const char *const level_names[LEVELS] = {"error", "warning", "info", "debug"};
static const char *log_component = "cellular";
static enum log_level log_max = LOG_LEVEL_INFO;

void log_open(const char *component)
{
	const char *wanted = getenv("CELLULAR_LOG");

	log_component = component;
	for (int i = 0; wanted && i < LEVELS; i++)
		if (!strcmp(wanted, level_names[i]))
			log_max = (enum log_level)i;
}

static size_t put_head(char *line, size_t room, enum log_level level)
{
	struct timespec ts;
	struct tm tm;
	size_t n;

	clock_gettime(CLOCK_REALTIME, &ts);
	gmtime_r(&ts.tv_sec, &tm);
	n = strftime(line, room, "%FT%T", &tm);
	n += (size_t)snprintf(line + n, room - n, ".%03ldZ %.64s: %s: ", ts.tv_nsec / 1000000,
			      log_component, level_names[level]);
	return n;
}

/* A log line never holds a control character: what it quotes may come from a stranger. */
static void blank_controls(char *text, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)text[i] < ' ' || text[i] == 127)
			text[i] = ' ';
}

void log_line(enum log_level level, const char *fmt, ...)
{
	char line[LOG_LINE_MAX];
	int saved = errno;
	size_t n;
	ssize_t put;
	va_list ap;

	if (level > log_max)
		return;
	n = put_head(line, sizeof(line), level);
	va_start(ap, fmt);
	vsnprintf(line + n, sizeof(line) - n, fmt, ap);
	va_end(ap);
	n = strlen(line);
	blank_controls(line, n);
	line[n++] = '\n'; /* over the NUL */
	put = write(STDERR_FILENO, line, n);
	(void)put; /* there is nowhere else to complain */
	errno = saved;
}
