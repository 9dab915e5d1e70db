/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdlib.h>

#include "controller/cli/json.h"
#include "controller/cli/table.h"
#include "controller/cli/verbs.h"
#include "controller/cli/words.h"
#include "proto/base/size.h"

static int print_spaces(const Cellular__CtlReply *reply, FILE *out, struct err *e)
{
	struct table *t = table_new("NAME,>SIZE,>MEMBERS,>MAX,KEY,CREATED");
	char size[SIZE_TEXT_MAX], time[WORDS_TIME_MAX];

	for (size_t i = 0; i < reply->n_spaces; i++) {
		const Cellular__SpaceInfo *s = reply->spaces[i];

		table_row(t);
		table_put(t, "%s", s->name);
		table_put(t, "%s", size_format(s->bytes, size));
		table_put(t, "%zu", s->n_present);
		table_put(t, "%u", s->members);
		table_put(t, "%s", s->drawn ? "drawn" : "own");
		table_put(t, "%s", words_time(s->created_ms, time));
	}
	return table_print(t, out, e);
}

static int print_spaces_json(const Cellular__CtlReply *reply, FILE *out, struct err *e)
{
	json_t *list = json_array();

	for (size_t i = 0; i < reply->n_spaces; i++)
		json_array_append_new(list, json_space(reply->spaces[i]));
	return json_print(list, out, e);
}

int verb_space_list(struct cli *cli, void *state, struct err *e)
{
	Cellular__CtlReply *reply;
	int rc = verb_ask(cli, CELLULAR__CTL_OP__OP_SPACE_LIST, &reply, e);

	(void)state;
	if (rc)
		return rc;
	rc = cli->json ? print_spaces_json(reply, cli->out, e) : print_spaces(reply, cli->out, e);
	cellular__ctl_reply__free_unpacked(reply, NULL);
	return rc;
}

static int print_space(const Cellular__SpaceInfo *s, FILE *out, struct err *e)
{
	struct table *t = table_new("SPACE,VALUE");
	char size[SIZE_TEXT_MAX], time[WORDS_TIME_MAX];

	table_row(t);
	table_put(t, "name");
	table_put(t, "%s", s->name);
	table_row(t);
	table_put(t, "size");
	table_put(t, "%s", size_format(s->bytes, size));
	table_row(t);
	table_put(t, "key");
	table_put(t, "%s", s->drawn ? "drawn for the name" : "its own; who joins must know it");
	table_row(t);
	table_put(t, "created");
	table_put(t, "%s", words_time(s->created_ms, time));
	table_row(t);
	table_put(t, "members");
	table_put(t, "%zu, in all its life at most %u", s->n_present, s->members);
	for (size_t i = 0; i < s->n_present; i++) {
		table_row(t);
		table_put(t, "member %u", s->present[i]->member);
		table_put(t, "%s (pid %u)", s->present[i]->address, s->present[i]->pid);
	}
	return table_print(t, out, e);
}

int verb_space_show(struct cli *cli, void *state, struct err *e)
{
	Cellular__CtlReply *reply;
	int rc = verb_ask(cli, CELLULAR__CTL_OP__OP_SPACE_SHOW, &reply, e);

	(void)state;
	if (rc)
		return rc;
	if (reply->n_spaces != 1)
		rc = err_set(e, ERR_PROTOCOL, "the controller's answer names %zu spaces",
			     reply->n_spaces);
	else
		rc = cli->json ? json_print(json_space(reply->spaces[0]), cli->out, e)
			       : print_space(reply->spaces[0], cli->out, e);
	cellular__ctl_reply__free_unpacked(reply, NULL);
	return rc;
}
