/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "controller/options.h"
#include "controller/server/server.h"
#include "proto/base/fd.h"
#include "proto/base/log.h"

int main(int argc, char **argv)
{
	struct server_config config;
	struct err e;

	switch (options_parse(argc, argv, &config, &e)) {
	case OPTIONS_DONE:
		return 0;
	case OPTIONS_RUN:
		log_open("cell-controller");
		if (fd_raise_limit(&e)) /* its peers are more than the usual 1024 */
			log_warning("%s", e.text);
		if (!server_run(&config, &e))
			return 0;
		break;
	case OPTIONS_BAD:
		break;
	}
	fprintf(stderr, "cell-controller: %s\n", e.text);
	return err_exit_status(e.code);
}
