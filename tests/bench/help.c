/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bench/help.h"

#include <stdio.h>
#include <string.h>

enum { COLUMNS = 96, INDENT = 18 };

/* Breaks a text into lines, each after the indent; the first one goes on where the cursor is. */
static void print_wrapped(const char *text)
{
	while (*text) {
		size_t n = strlen(text), room = COLUMNS - INDENT;

		if (n > room) {
			n = room;
			while (n && text[n] != ' ')
				n--;
			n = n ? n : room;
		}
		printf("%.*s\n", (int)n, text);
		text += n;
		text += strspn(text, " ");
		if (*text)
			printf("%*s", INDENT, "");
	}
}

static void print_item(const char *name, const char *text)
{
	printf("  %-*s", INDENT - 2, name);
	print_wrapped(text);
}

static const char head[] =
	"NAME\n"
	"  cellbench - what the distributed memory costs, beside what its parts cost\n\n"
	"SYNOPSIS\n"
	"  cellbench BENCH... [--members N] [--transport tcp] [--handler thread|inline] [--shards "
	"S]\n"
	"            [--size N] [--pairs N] [--rounds N] [--json]\n"
	"  cellbench all ...\n\n"
	"DESCRIPTION\n"
	"  Starts its own members, a process each, pins them to cores, and checks what they read. "
	"A\n"
	"  bench is measured (value), and in turns with it, on the same cores, its floor: the "
	"least\n"
	"  that its parts can cost here, by a file that has nothing of ours in it. What counts is "
	"the\n"
	"  median of the pairs' ratios. The last line is the result. Its quiet says whether the\n"
	"  machine was ours meanwhile (0.95 of it idle but for us, floors within 1.3 of each "
	"other):\n"
	"  a run that something else disturbed does not count.\n\n"
	"BENCHES\n";

static const char tail[] = "\nEXIT STATUS\n"
			   "  0: measured; 1: failed, or a wrong content was read; 2: usage; 77: "
			   "this machine cannot,\n"
			   "  for want of the right to userfaultfd or of /dev/kvm.\n\n"
			   "EXAMPLES\n"
			   "  cellbench floor all\n"
			   "  cellbench random --shards 2 --json\n"
			   "  cellbench jacobi --size 512 --handler inline\n";

static void print_options(void)
{
	puts("\nOPTIONS");
	print_item("--members N", "processes; at least, and if not told, what the bench wants");
	print_item("--transport T", "tcp; there is no other one yet");
	print_item("--handler H", "who serves faults: thread, the member's own, or inline, the "
				  "thread that faulted");
	print_item("--shards S", "1 .. 8 (1): spreads the pages over so many spaces, each with a "
				 "thread, a userfaultfd, links and, as far as there are any, a "
				 "core of its own; random only");
	print_item("--size N", "of the grid of jacobi, 16 .. 8192 (1024, and again 2048)");
	print_item("--pairs N", "of value and floor, 5 .. 64 (7)");
	print_item("--rounds N", "of a pair, 10 .. 4096 (as the bench wants)");
	print_item("--json", "an object a line: one a pair, then the result");
}

void help_print(const struct bench *const *groups)
{
	fputs(head, stdout);
	print_item("floor",
		   "the parts alone; what pages cost in memory, by table; threads, and time of a "
		   "sleeping member");
	for (unsigned g = 0; groups[g]; g++)
		for (const struct bench *b = groups[g]; b->name; b++)
			print_item(b->name, b->text);
	print_options();
	fputs(tail, stdout);
}
