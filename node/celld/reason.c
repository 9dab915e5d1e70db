/* SPDX-License-Identifier: Apache-2.0 */
#include "node/celld/reason.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

void reason_set(struct end_reason *r, Cellular__EndCause cause, const char *fmt, ...)
{
	va_list ap;

	r->cause = cause;
	va_start(ap, fmt);
	vsnprintf(r->text, sizeof(r->text), fmt, ap);
	va_end(ap);
}

void reason_from_message(struct end_reason *r, const Cellular__EndReason *in)
{
	*r = (struct end_reason){0};
	if (!in)
		return;
	r->cause = in->cause;
	r->code = in->code;
	r->member = in->member;
	snprintf(r->cell, sizeof(r->cell), "%s", in->cell);
	snprintf(r->text, sizeof(r->text), "%s", in->text);
}

void reason_to_message(const struct end_reason *r, Cellular__EndReason *out)
{
	cellular__end_reason__init(out);
	out->cause = r->cause;
	out->code = r->code;
	out->member = r->member;
	out->cell = (char *)r->cell;
	out->text = (char *)r->text;
}

void reason_of_process(struct end_reason *r, int wait_status, int pid, const char *words)
{
	const char *said = words[0] ? "; its last words: " : "";

	if (WIFSIGNALED(wait_status) && WTERMSIG(wait_status) == SIGSYS)
		reason_set(r, CELLULAR__END_CAUSE__END_PROCESS_DIED,
			   "cell-vm (pid %d) on %s was ended by signal %d (%s): it made a system "
			   "call that its sandbox forbids%s%s",
			   pid, r->cell, SIGSYS, strsignal(SIGSYS), said, words);
	else if (WIFSIGNALED(wait_status))
		reason_set(r, CELLULAR__END_CAUSE__END_PROCESS_DIED,
			   "cell-vm (pid %d) on %s was ended by signal %d (%s)%s%s", pid, r->cell,
			   WTERMSIG(wait_status), strsignal(WTERMSIG(wait_status)), said, words);
	else
		reason_set(r, CELLULAR__END_CAUSE__END_PROCESS_DIED,
			   "cell-vm (pid %d) on %s ended by itself with status %d%s%s", pid,
			   r->cell, WEXITSTATUS(wait_status), said, words);
}
