/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/cli/words.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define WORD(words, i) ((unsigned)(i) < sizeof(words) / sizeof((words)[0]) ? (words)[i] : "?")

const char *words_vm_state(Cellular__VmState state)
{
	static const char *const words[] = {"unknown", "starting", "running",
					    "exited",  "ending",   "ended"};

	return WORD(words, state);
}

const char *words_frag_state(Cellular__FragState state)
{
	static const char *const words[] = {"none",    "starting", "listening", "ready",
					    "running", "stopped",  "gone"};

	return WORD(words, state);
}

const char *words_end_cause(Cellular__EndCause cause)
{
	static const char *const words[] = {"none",	 "exit",	 "guest-fault",
					    "killed",	 "start-failed", "process-died",
					    "cell-lost", "member-lost",	 "monitor"};

	return WORD(words, cause);
}

const char *words_on_exit(Cellular__OnExit on_exit)
{
	static const char *const words[] = {"destroy", "preserve"};

	return WORD(words, on_exit);
}

const char *words_time(uint64_t unix_ms, char out[WORDS_TIME_MAX])
{
	time_t seconds = (time_t)(unix_ms / 1000);
	struct tm tm;

	if (unix_ms == 0 || !localtime_r(&seconds, &tm) ||
	    strftime(out, WORDS_TIME_MAX, "%F %T", &tm) == 0)
		snprintf(out, WORDS_TIME_MAX, "-");
	return out;
}

const char *words_duration(uint64_t ms, char out[WORDS_TIME_MAX])
{
	uint64_t s = ms / 1000;

	if (ms < 1000)
		snprintf(out, WORDS_TIME_MAX, "%" PRIu64 " ms", ms);
	else if (s < 60)
		snprintf(out, WORDS_TIME_MAX, "%" PRIu64 ".%" PRIu64 " s", s, ms % 1000 / 100);
	else if (s < 3600)
		snprintf(out, WORDS_TIME_MAX, "%" PRIu64 " min %" PRIu64 " s", s / 60, s % 60);
	else if (s < 86400)
		snprintf(out, WORDS_TIME_MAX, "%" PRIu64 " h %" PRIu64 " min", s / 3600,
			 s % 3600 / 60);
	else
		snprintf(out, WORDS_TIME_MAX, "%" PRIu64 " d %" PRIu64 " h", s / 86400,
			 s % 86400 / 3600);
	return out;
}

const char *words_numbers(const uint32_t *numbers, size_t n, char out[WORDS_LIST_MAX])
{
	size_t used = 0;

	snprintf(out, WORDS_LIST_MAX, "-");
	for (size_t i = 0; i < n;) {
		size_t last = i;

		while (last + 1 < n && numbers[last + 1] == numbers[last] + 1)
			last++;
		if (used + 30 > WORDS_LIST_MAX) {
			snprintf(out + used, WORDS_LIST_MAX - used, ",...");
			break;
		}
		used += (size_t)snprintf(out + used, WORDS_LIST_MAX - used, "%s%u", used ? "," : "",
					 numbers[i]);
		if (last > i)
			used += (size_t)snprintf(out + used, WORDS_LIST_MAX - used, "-%u",
						 numbers[last]);
		i = last + 1;
	}
	return out;
}
