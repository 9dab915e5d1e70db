/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char help[] =
	"usage: cell-controller --state DIR --key FILE [--listen ADDR]... [--ready-file FILE]\n"
	"\n"
	"Places virtual machines on cells and knows what became of them. VMs do not need it to run "
	"on: it may be\n"
	"ended, or die, and be started again on the same directory.\n"
	"\n"
	"  --state DIR          where it keeps what it knows; made if missing\n"
	"  --key FILE           key of the cluster, for cells and clients; made if missing\n"
	"  --listen ADDR        tcp:IP:PORT (port 0: chosen) or unix:PATH; up to 8 times.\n"
	"                       unix:DIR/ctl.sock is always served\n"
	"  --ready-file FILE    written when it serves: one address a line\n"
	"  --start-timeout S    seconds a VM may take to start, 1 to 3600 (60)\n"
	"  --help, --version\n"
	"\n"
	"Exit status: 0 ended by SIGTERM or SIGINT, 1 failed, 2 usage, 3 not found, 4 unreachable, "
	"6 denied,\n"
	"7 conflict: another controller uses DIR, or ADDR is in use.\n";

enum { OPT_STATE = 256, OPT_KEY, OPT_LISTEN, OPT_READY, OPT_START, OPT_HELP, OPT_VERSION };

static const struct option table[] = {
	{"state", required_argument, NULL, OPT_STATE},
	{"key", required_argument, NULL, OPT_KEY},
	{"listen", required_argument, NULL, OPT_LISTEN},
	{"ready-file", required_argument, NULL, OPT_READY},
	{"start-timeout", required_argument, NULL, OPT_START},
	{"help", no_argument, NULL, OPT_HELP},
	{"version", no_argument, NULL, OPT_VERSION},
	{0},
};

static int add_listen(struct server_config *config, const char *address, struct err *e)
{
	if (config->n_listen == SERVER_LISTEN_MAX)
		return err_set(e, ERR_INVALID, "more than %d addresses to listen on",
			       SERVER_LISTEN_MAX);
	config->listen[config->n_listen++] = address;
	return ERR_OK;
}

static int seconds(const char *text, uint32_t *ms, struct err *e)
{
	char *end;
	long v;

	errno = 0;
	v = strtol(text, &end, 10);
	if (errno || end == text || *end || v < 1 || v > 3600)
		return err_set(e, ERR_INVALID, "--start-timeout is 1 to 3600 seconds, not %s",
			       text);
	*ms = (uint32_t)v * 1000;
	return ERR_OK;
}

static int take(int option, struct server_config *config, char **argv, struct err *e)
{
	switch (option) {
	case OPT_STATE:
		config->state_dir = optarg;
		return ERR_OK;
	case OPT_KEY:
		config->key_file = optarg;
		return ERR_OK;
	case OPT_LISTEN:
		return add_listen(config, optarg, e);
	case OPT_READY:
		config->ready_file = optarg;
		return ERR_OK;
	case OPT_START:
		return seconds(optarg, &config->times.start, e);
	case ':':
		return err_set(e, ERR_INVALID, "%s needs a value", argv[optind - 1]);
	default:
		return err_set(e, ERR_INVALID, "unknown option %s (--help lists them)",
			       argv[optind - 1]);
	}
}

enum options_verdict options_parse(int argc, char **argv, struct server_config *config,
				   struct err *e)
{
	int option, ret = ERR_OK;

	*config = (struct server_config){.times = policy_times_default};
	while (!ret && (option = getopt_long(argc, argv, ":", table, NULL)) != -1) {
		if (option == OPT_HELP || option == OPT_VERSION) {
			fputs(option == OPT_HELP ? help : "cell-controller " CELLULAR_VERSION "\n",
			      stdout);
			return OPTIONS_DONE;
		}
		ret = take(option, config, argv, e);
	}
	if (!ret && optind < argc)
		ret = err_set(e, ERR_INVALID, "unexpected argument %s", argv[optind]);
	if (!ret && (!config->state_dir || !config->key_file))
		ret = err_set(e, ERR_INVALID, "%s is missing (--help shows the usage)",
			      config->state_dir ? "--key" : "--state");
	return ret ? OPTIONS_BAD : OPTIONS_RUN;
}
