/* SPDX-License-Identifier: Apache-2.0 */
#include "node/celld/options.h"

#include <getopt.h>
#include <stdlib.h>

#include "proto/base/size.h"
#include "proto/base/text.h"

enum { DEFAULT_START_S = 30, CPUS_MAX = 4096, START_S_MAX = 3600 };

static const struct option long_options[] = {
	{"name", required_argument, NULL, 'n'},
	{"controller", required_argument, NULL, 'c'},
	{"key", required_argument, NULL, 'k'},
	{"data", required_argument, NULL, 'd'},
	{"run", required_argument, NULL, 'r'},
	{"memory", required_argument, NULL, 'm'},
	{"cpus", required_argument, NULL, 'p'},
	{"ready-file", required_argument, NULL, 'f'},
	{"cell-vm", required_argument, NULL, 'v'},
	{"start-timeout", required_argument, NULL, 't'},
	{"vm-uids", required_argument, NULL, 'u'},
	{"no-sandbox", no_argument, NULL, 'S'},
	{"help", no_argument, NULL, 'h'},
	{"version", no_argument, NULL, 'V'},
	{NULL, 0, NULL, 0},
};

void options_help(FILE *out)
{
	fputs("usage: celld --name NAME --controller ADDR --key FILE --data IP --run DIR "
	      "[options]\n"
	      "\n"
	      "The daemon of one cell: joins the controller, starts one cell-vm a VM fragment, "
	      "ends them.\n"
	      "\n"
	      "  --name NAME          name of this cell, unique in the cluster\n"
	      "  --controller ADDR    unix:PATH or tcp:IP:PORT; dialled for ever\n"
	      "  --key FILE           key of the cluster\n"
	      "  --data IP            address of this machine that fragments listen on\n"
	      "  --run DIR            directory for logs, made if missing; one celld a directory\n"
	      "  --memory SIZE        memory given to VMs, e.g. 8GiB (default: 80 % of the "
	      "machine)\n"
	      "  --cpus N             CPUs given to VMs (default: those celld may use)\n"
	      "  --ready-file FILE    written when celld serves\n"
	      "  --cell-vm PATH       the monitor (default: cell-vm beside celld)\n"
	      "  --start-timeout S    a cell-vm that does not listen within S seconds is ended "
	      "(30)\n"
	      "  --vm-uids FIRST-LAST users that fragments become, one each (70000-74095)\n"
	      "  --no-sandbox         fragments keep all rights: for debuggers only\n"
	      "  --help, --version\n"
	      "\n"
	      "SIGTERM ends all fragments and celld. Exit: 0 ok, 1 failed, 2 usage, 3 not found,\n"
	      "6 denied, 7 conflict (DIR is in use).\n",
	      out);
}

static int number(const char *name, const char *text, unsigned long max, unsigned *out,
		  struct err *e)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (text[0] < '0' || text[0] > '9' || *end || n < 1 || n > max)
		return err_set(e, ERR_INVALID, "--%s wants a number from 1 to %lu, not '%.40s'",
			       name, max, text);
	*out = (unsigned)n;
	return ERR_OK;
}

static int take_memory(struct celld_options *o, const char *text, struct err *e)
{
	int rc = size_parse(text, &o->account.memory, e);

	if (rc)
		return err_wrap(e, rc, "--memory");
	return o->account.memory ? ERR_OK : err_set(e, ERR_INVALID, "--memory must not be 0");
}

static int take_option(struct celld_options *o, int c, const char *text, const char *word,
		       struct err *e)
{
	int rc;

	switch (c) {
	case 'n':
		o->name = text;
		return name_valid(text)
			       ? ERR_OK
			       : err_set(e, ERR_INVALID,
					 "'%.64s' is no name: 1 to 63 of A-Z a-z 0-9 . _ -", text);
	case 'c':
		o->controller = text;
		return ERR_OK;
	case 'k':
		o->key = text;
		return ERR_OK;
	case 'd':
		o->data = text;
		return ERR_OK;
	case 'r':
		o->run = text;
		return ERR_OK;
	case 'f':
		o->ready_file = text;
		return ERR_OK;
	case 'v':
		o->program = text;
		return ERR_OK;
	case 'm':
		return take_memory(o, text, e);
	case 'p':
		return number("cpus", text, CPUS_MAX, &o->account.cpus, e);
	case 't':
		rc = number("start-timeout", text, START_S_MAX, &o->start_ms, e);
		o->start_ms *= 1000;
		return rc;
	case 'u':
		return vm_uids_parse(text, &o->uids, e);
	case 'S':
		o->no_sandbox = true;
		return ERR_OK;
	case 'h':
		o->help = true;
		return ERR_OK;
	case 'V':
		o->version = true;
		return ERR_OK;
	default:
		return err_set(e, ERR_INVALID,
			       c == ':' ? "%.64s wants a value; see celld --help"
					: "unknown option %.64s; see celld --help",
			       word);
	}
}

static int check_complete(const struct celld_options *o, struct err *e)
{
	const struct {
		const char *name, *value;
	} wanted[] = {{"name", o->name},
		      {"controller", o->controller},
		      {"key", o->key},
		      {"data", o->data},
		      {"run", o->run}};

	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
		if (!wanted[i].value)
			return err_set(e, ERR_INVALID, "--%s is missing; see celld --help",
				       wanted[i].name);
	return ERR_OK;
}

int options_parse(int argc, char **argv, struct celld_options *out, struct err *e)
{
	int c, rc;

	*out = (struct celld_options){.start_ms = DEFAULT_START_S * 1000};
	account_default(&out->account);
	vm_uids_default(&out->uids);
	optind = 0;
	opterr = 0;
	while ((c = getopt_long(argc, argv, ":h", long_options, NULL)) != -1) {
		rc = take_option(out, c, optarg, argv[optind - 1], e);
		if (rc)
			return rc;
		if (out->help || out->version)
			return ERR_OK;
	}
	if (optind < argc)
		return err_set(e, ERR_INVALID, "'%.64s' is no option; see celld --help",
			       argv[optind]);
	return check_complete(out, e);
}
