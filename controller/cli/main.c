/* SPDX-License-Identifier: Apache-2.0 */
/* cellctl: one verb, one conversation with the controller, one exit status. */
#include <locale.h>
#include <signal.h>
#include <stdio.h>

#include "controller/cli/cli.h"
#include "proto/base/text.h"

static int complain(const struct err *e)
{
	char safe[2 * ERR_TEXT_MAX];

	fprintf(stderr, "cellctl: %s\n", text_escape(e->text, safe, sizeof(safe)));
	return err_exit_status(e->code);
}

static int run(struct cli *cli, const struct verb *verb, struct err *e)
{
	void *state = NULL;
	int rc = verb->prepare ? verb->prepare(cli, &state, e) : ERR_OK;

	if (rc)
		return rc;
	rc = client_open(&cli->server, &cli->client, e);
	if (!rc) {
		rc = verb->run(cli, state, e);
		client_close(cli->client);
	}
	if (verb->finish)
		verb->finish(state);
	if (!rc && (fflush(cli->out) != 0 || ferror(cli->out)))
		rc = err_set(e, ERR_SYS, "cannot write to standard output");
	return rc;
}

int main(int argc, char **argv)
{
	const struct verb *verb;
	struct err e = {0};
	struct cli cli;

	setlocale(LC_CTYPE, ""); /* widths of characters in tables */
	signal(SIGPIPE, SIG_IGN);
	if (cli_parse(argc, argv, &cli, &verb, &e))
		return complain(&e);
	if (cli.help) {
		cli_help(verb, stdout);
		return 0;
	}
	if (cli.version) {
		puts("cellctl " CELLULAR_VERSION);
		return 0;
	}
	return run(&cli, verb, &e) ? complain(&e) : 0;
}
