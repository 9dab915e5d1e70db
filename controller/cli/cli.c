/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/cli/cli.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "controller/cli/verbs.h"

enum {
	TIMEOUT_MS = 30000,
	START_TIMEOUT_MS = 60000,
	TIMEOUT_S_MAX = 1000000,
	WIDTH_MAX = 1000,
	ROWS_MAX = 1000
};

static const char wait_help[] =
	"Waits until the guest has exited or the VM has ended. Exit status: 0 if the guest exited "
	"with\n"
	"code 0, else 1 with a sentence that says why; 5 if --timeout is over first.\n";

static const char map_help[] =
	"A picture of the VM's memory, one character for a run of pages:\n"
	"  A   held by cell A alone, which may write it\n"
	"  a   shared by several cells, or read-only at one; A owns it\n"
	"  +   different parts of it are held in different ways\n"
	"  .   touched by nobody yet\n"
	"then, for each cell, pages it holds exclusively, shared, and owns. Cells are asked one "
	"after the\n"
	"other while the VM runs: a page on its way may be counted twice or not at all.\n";

const struct verb cli_verbs[] = {
	{"cell", "list", NULL, "all cells of the cluster", NULL, 0, 0, TIMEOUT_MS, NULL,
	 verb_cell_list, NULL},
	{"cell", "show", "NAME", "one cell in full", NULL, 1, 0, TIMEOUT_MS, NULL, verb_cell_show,
	 NULL},
	{"vm", "start", "FILE.yaml", "start a VM",
	 "Returns when the VM runs. FILE.yaml: see cellular-vm(5).\n", 1, 0, START_TIMEOUT_MS,
	 verb_vm_start_prepare, verb_vm_start, verb_vm_start_finish},
	{"vm", "list", NULL, "all VMs, also those that have ended", NULL, 0, 0, TIMEOUT_MS, NULL,
	 verb_vm_list, NULL},
	{"vm", "show", "NAME", "one VM in full: fragments, exposure, why it ended", NULL, 1, 0,
	 TIMEOUT_MS, NULL, verb_vm_show, NULL},
	{"vm", "console", "NAME", "what the VM wrote, byte for byte",
	 "The last 256 KiB. With --follow, goes on until the VM has ended.\n", 1, CLI_FOLLOW,
	 TIMEOUT_MS, NULL, verb_vm_console, NULL},
	{"vm", "stop", "NAME", "end a VM, or let go of a preserved one", NULL, 1, 0, TIMEOUT_MS,
	 NULL, verb_vm_stop, NULL},
	{"vm", "kill", "NAME", "end a VM at once", NULL, 1, 0, TIMEOUT_MS, NULL, verb_vm_kill,
	 NULL},
	{"vm", "wait", "NAME", "wait for the end of a VM", wait_help, 1, 0, 0, NULL, verb_vm_wait,
	 NULL},
	{"mem", "map", "VM", "a picture of which cell holds which memory", map_help, 1,
	 CLI_WIDTH | CLI_ROWS | CLI_COLOUR, TIMEOUT_MS, NULL, verb_mem_map, NULL},
	{"mem", "stat", "VM", "page faults by cause, cell by cell",
	 "With --hot: the guest addresses whose pages cause the most faults between cells, and at\n"
	 "which cells.\n",
	 1, CLI_HOT, TIMEOUT_MS, NULL, verb_mem_stat, NULL},
	{"space", "list", NULL, "named spaces of native programs", NULL, 0, 0, TIMEOUT_MS, NULL,
	 verb_space_list, NULL},
	{"space", "show", "NAME", "one of them, with the members that can be called", NULL, 1, 0,
	 TIMEOUT_MS, NULL, verb_space_show, NULL},
	{"status", NULL, NULL, "the controller and the cluster in a few lines", NULL, 0, 0,
	 TIMEOUT_MS, NULL, verb_status, NULL},
};

const unsigned cli_verbs_count = sizeof(cli_verbs) / sizeof(cli_verbs[0]);

static const struct {
	enum cli_option option;
	const char *name, *help;
} verb_options[] = {
	{CLI_FOLLOW, "--follow", "  -f, --follow             go on until the VM has ended\n"},
	{CLI_WIDTH, "--width",
	 "      --width N            columns of the terminal (default: as it is)\n"},
	{CLI_ROWS, "--rows", "      --rows N             rows of the picture at most (32)\n"},
	{CLI_HOT, "--hot", "      --hot                the pages that cause the most faults\n"},
	{CLI_COLOUR, "--color", "      --color WHEN         auto, always or never\n"},
};

static const struct option long_options[] = {
	{"controller", required_argument, NULL, 'c'}, {"key", required_argument, NULL, 'k'},
	{"output", required_argument, NULL, 'o'},     {"timeout", required_argument, NULL, 't'},
	{"follow", no_argument, NULL, 'f'},	      {"width", required_argument, NULL, 'w'},
	{"rows", required_argument, NULL, 'r'},	      {"hot", no_argument, NULL, 'H'},
	{"color", required_argument, NULL, 'C'},      {"help", no_argument, NULL, 'h'},
	{"version", no_argument, NULL, 'V'},	      {NULL, 0, NULL, 0},
};

static const char common_options[] =
	"  -c, --controller ADDR    unix:PATH or tcp:IP:PORT (CELLCTL_CONTROLLER;\n"
	"                           " CLI_DEFAULT_CONTROLLER ")\n"
	"  -k, --key FILE           key of the cluster (CELLCTL_KEY; " CLI_DEFAULT_KEY ")\n"
	"  -o, --output FORMAT      table or json\n"
	"  -t, --timeout S          give up after S seconds (0: never)\n"
	"  -h, --help\n"
	"  -V, --version\n";

static const char exit_codes[] =
	"Exit: 0 ok, 1 failed, 2 usage, 3 not found, 4 unreachable, 5 timed out, 6 denied,\n"
	"7 conflict.\n";

/* ---- help ---- */

static void help_of_all(FILE *out)
{
	char words[64];

	fputs("usage: cellctl [OPTIONS] VERB\n\n", out);
	for (unsigned i = 0; i < cli_verbs_count; i++) {
		const struct verb *v = &cli_verbs[i];

		snprintf(words, sizeof(words), "%s%s%s%s%s", v->group, v->name ? " " : "",
			 v->name ? v->name : "", v->args ? " " : "", v->args ? v->args : "");
		fprintf(out, "  %-22s %s\n", words, v->summary);
	}
	fprintf(out, "\n%s\n%s", common_options, exit_codes);
}

void cli_help(const struct verb *v, FILE *out)
{
	if (!v) {
		help_of_all(out);
		return;
	}
	fprintf(out, "usage: cellctl [OPTIONS] %s%s%s%s%s\n\n%s\n", v->group, v->name ? " " : "",
		v->name ? v->name : "", v->args ? " " : "", v->args ? v->args : "", v->summary);
	if (v->help)
		fprintf(out, "%s", v->help);
	fputc('\n', out);
	for (unsigned i = 0; i < sizeof(verb_options) / sizeof(verb_options[0]); i++)
		if (v->options & verb_options[i].option)
			fputs(verb_options[i].help, out);
	fprintf(out, "%s\n%s", common_options, exit_codes);
}

/* ---- command line ---- */

static int number(const char *name, const char *text, double max, double *out, struct err *e)
{
	char *end;

	*out = strtod(text, &end);
	if (((text[0] < '0' || text[0] > '9') && text[0] != '.') || *end ||
	    !(*out >= 0 && *out <= max))
		return err_set(e, ERR_INVALID, "%s wants a number from 0 to %.0f, not '%.40s'",
			       name, max, text);
	return ERR_OK;
}

static int choice(const char *name, const char *text, const char *const *words, unsigned n,
		  unsigned *out, struct err *e)
{
	for (unsigned i = 0; i < n; i++)
		if (strcmp(text, words[i]) == 0) {
			*out = i;
			return ERR_OK;
		}
	return err_set(e, ERR_INVALID, "%s cannot be '%.40s'; see cellctl --help", name, text);
}

static int take_choice(struct cli *cli, int c, const char *text, struct err *e)
{
	static const char *const outputs[] = {"table", "json"};
	static const char *const colours[] = {"auto", "always", "never"};
	unsigned i = 0;
	int rc;

	if (c == 'o') {
		rc = choice("--output", text, outputs, 2, &i, e);
		cli->json = i == 1;
	} else {
		cli->given |= CLI_COLOUR;
		rc = choice("--color", text, colours, 3, &i, e);
		cli->colour = (enum cli_colour)i;
	}
	return rc;
}

static int take_number(struct cli *cli, int c, const char *text, struct err *e)
{
	double n;
	int rc = c == 't'   ? number("--timeout", text, TIMEOUT_S_MAX, &n, e)
		 : c == 'w' ? number("--width", text, WIDTH_MAX, &n, e)
			    : number("--rows", text, ROWS_MAX, &n, e);

	if (rc)
		return rc;
	if (c == 't') {
		cli->timeout_given = true;
		cli->server.timeout_ms = (uint32_t)(n * 1000 + 0.999);
	} else if (c == 'w') {
		cli->given |= CLI_WIDTH;
		cli->width = (unsigned)n;
	} else {
		cli->given |= CLI_ROWS;
		cli->rows = (unsigned)n;
	}
	return ERR_OK;
}

static int take_option(struct cli *cli, int c, const char *text, const char *word, struct err *e)
{
	switch (c) {
	case 'c':
		cli->server.controller = text;
		return ERR_OK;
	case 'k':
		cli->server.key = text;
		return ERR_OK;
	case 'f':
		cli->given |= CLI_FOLLOW;
		return ERR_OK;
	case 'H':
		cli->given |= CLI_HOT;
		return ERR_OK;
	case 'h':
		cli->help = true;
		return ERR_OK;
	case 'V':
		cli->version = true;
		return ERR_OK;
	case 'o':
	case 'C':
		return take_choice(cli, c, text, e);
	case 't':
	case 'w':
	case 'r':
		return take_number(cli, c, text, e);
	default:
		return err_set(e, ERR_INVALID,
			       c == ':' ? "%.64s wants a value; see cellctl --help"
					: "unknown option %.64s; see cellctl --help",
			       word);
	}
}

/* Number of words that name the verb; 0: it does not match. */
static int match(const struct verb *v, int n, char **words)
{
	if (n < 1 || strcmp(words[0], v->group) != 0)
		return 0;
	if (!v->name)
		return 1;
	return n > 1 && strcmp(words[1], v->name) == 0 ? 2 : 0;
}

static int find_verb(struct cli *cli, int n, char **words, const struct verb **verb, struct err *e)
{
	int used = 0;

	for (unsigned i = 0; i < cli_verbs_count && !used; i++) {
		used = match(&cli_verbs[i], n, words);
		if (used)
			*verb = &cli_verbs[i];
	}
	if (!used)
		return err_set(e, ERR_INVALID,
			       "there is no verb '%.40s%s%.40s'; see cellctl --help", words[0],
			       n > 1 ? " " : "", n > 1 ? words[1] : "");
	if (cli->help)
		return ERR_OK;
	if ((unsigned)(n - used) != (*verb)->n_args)
		return err_set(e, ERR_INVALID, "usage: cellctl %s%s%s%s%s", (*verb)->group,
			       (*verb)->name ? " " : "", (*verb)->name ? (*verb)->name : "",
			       (*verb)->args ? " " : "", (*verb)->args ? (*verb)->args : "");
	cli->n_args = (*verb)->n_args;
	for (unsigned i = 0; i < cli->n_args; i++)
		cli->args[i] = words[used + (int)i];
	return ERR_OK;
}

static int check_options(const struct cli *cli, const struct verb *verb, struct err *e)
{
	for (unsigned i = 0; i < sizeof(verb_options) / sizeof(verb_options[0]); i++)
		if (cli->given & ~verb->options & verb_options[i].option)
			return err_set(e, ERR_INVALID, "%s is no option of this verb",
				       verb_options[i].name);
	return ERR_OK;
}

static const char *environment(const char *name, const char *otherwise)
{
	const char *value = getenv(name);

	return value && value[0] ? value : otherwise;
}

int cli_parse(int argc, char **argv, struct cli *cli, const struct verb **verb, struct err *e)
{
	int c, rc;

	*cli = (struct cli){
		.out = stdout,
		.server = {.controller = environment("CELLCTL_CONTROLLER", CLI_DEFAULT_CONTROLLER),
			   .key = environment("CELLCTL_KEY", CLI_DEFAULT_KEY)}};
	*verb = NULL;
	optind = 0;
	opterr = 0;
	while ((c = getopt_long(argc, argv, ":c:k:o:t:fhV", long_options, NULL)) != -1) {
		rc = take_option(cli, c, optarg, argv[optind - 1], e);
		if (rc)
			return rc;
	}
	if (cli->version)
		return ERR_OK;
	if (optind == argc)
		return cli->help ? ERR_OK
				 : err_set(e, ERR_INVALID, "what shall I do? See cellctl --help");
	rc = find_verb(cli, argc - optind, argv + optind, verb, e);
	if (rc || cli->help)
		return rc;
	if (!cli->timeout_given)
		cli->server.timeout_ms = (*verb)->timeout_ms;
	return check_options(cli, *verb, e);
}
