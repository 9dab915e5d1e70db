/* SPDX-License-Identifier: Apache-2.0 */
/* The functions behind cli_verbs; what each does stands in its line of the table. Threads: one. */
#ifndef CELLULAR_CLI_VERBS_H
#define CELLULAR_CLI_VERBS_H

#include "controller/cli/cli.h"

int verb_status(struct cli *cli, void *state, struct err *e);
int verb_cell_list(struct cli *cli, void *state, struct err *e);
int verb_cell_show(struct cli *cli, void *state, struct err *e);

int verb_vm_start_prepare(struct cli *cli, void **state, struct err *e);
int verb_vm_start(struct cli *cli, void *state, struct err *e);
void verb_vm_start_finish(void *state);
int verb_vm_list(struct cli *cli, void *state, struct err *e);
int verb_vm_show(struct cli *cli, void *state, struct err *e);
int verb_vm_console(struct cli *cli, void *state, struct err *e);
int verb_vm_stop(struct cli *cli, void *state, struct err *e);
int verb_vm_kill(struct cli *cli, void *state, struct err *e);
int verb_vm_wait(struct cli *cli, void *state, struct err *e);

int verb_mem_map(struct cli *cli, void *state, struct err *e);
int verb_mem_stat(struct cli *cli, void *state, struct err *e);

int verb_space_list(struct cli *cli, void *state, struct err *e);
int verb_space_show(struct cli *cli, void *state, struct err *e);

/* One question about cli->args[0], or about everything if the verb has no argument. */
int verb_ask(struct cli *cli, Cellular__CtlOp op, Cellular__CtlReply **reply, struct err *e);

#endif
