/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/cli/yaml_lines.h"

#include <stdio.h>
#include <string.h>
#include <yaml.h>

/* A mapping or sequence that is open. */
struct level {
	bool mapping;
	bool value_next;  /* mapping: a key was read */
	bool is_key;	  /* it stands where a key should */
	unsigned index;	  /* sequence: of the next entry */
	size_t path_used; /* length of its own path */
};

struct node {
	const char *path;
	const char *text; /* scalars; else NULL */
	bool is_key;
	struct yaml_mark at;
};

struct walk {
	yaml_parser_t parser;
	yaml_event_t event;
	struct level level[YAML_DEPTH_MAX + 1];
	unsigned depth;
	unsigned documents;
	char path[YAML_PATH_MAX];
	struct yaml_mark at; /* of the event */
};

/* true: enough seen */
typedef bool (*visit_fn)(void *context, const struct node *node);

static struct yaml_mark mark_of(yaml_mark_t m)
{
	return (struct yaml_mark){(unsigned)m.line + 1, (unsigned)m.column + 1};
}

static bool before(struct yaml_mark a, struct yaml_mark b)
{
	return a.line < b.line || (a.line == b.line && a.column < b.column);
}

/* Appends to the path from `used` on; returns the new length. */
static size_t extend(struct walk *w, size_t used, const char *fmt, const char *name, unsigned index)
{
	size_t room = sizeof(w->path) - used;
	int n = name ? snprintf(w->path + used, room, fmt, name)
		     : snprintf(w->path + used, room, fmt, index);

	return n < 0 || (size_t)n >= room ? sizeof(w->path) - 1 : used + (size_t)n;
}

/* Before a node: sets its path, says whether it is a key. */
static bool begin_node(struct walk *w, const char *scalar, size_t *path_used)
{
	struct level *top = w->depth ? &w->level[w->depth - 1] : NULL;

	*path_used = strlen(w->path);
	if (!top)
		return false;
	if (!top->mapping) {
		*path_used = extend(w, top->path_used, "[%u]", NULL, top->index);
		return false;
	}
	if (top->value_next)
		return false; /* the key has set the path */
	*path_used =
		extend(w, top->path_used, top->path_used ? ".%s" : "%s", scalar ? scalar : "?", 0);
	return true;
}

static void end_node(struct walk *w)
{
	struct level *top = w->depth ? &w->level[w->depth - 1] : NULL;

	if (!top)
		return;
	if (top->mapping)
		top->value_next = !top->value_next;
	else
		top->index++;
}

static int too_deep(struct err *e)
{
	return err_set(e, ERR_INVALID, "nested deeper than %d levels", YAML_DEPTH_MAX);
}

static int open_level(struct walk *w, bool mapping, visit_fn visit, void *context, bool *stop,
		      struct err *e)
{
	struct level next = {.mapping = mapping};
	struct node node = {.path = w->path, .at = w->at};

	if (w->depth == YAML_DEPTH_MAX)
		return too_deep(e);
	next.is_key = node.is_key = begin_node(w, NULL, &next.path_used);
	w->level[w->depth++] = next;
	*stop = visit && visit(context, &node);
	return ERR_OK;
}

static bool scalar(struct walk *w, visit_fn visit, void *context)
{
	struct node node = {
		.path = w->path, .text = (const char *)w->event.data.scalar.value, .at = w->at};
	size_t path_used;
	bool stop;

	node.is_key = begin_node(w, node.text, &path_used);
	stop = visit && visit(context, &node);
	end_node(w);
	return stop;
}

static int take_event(struct walk *w, visit_fn visit, void *context, bool *stop, struct err *e)
{
	switch (w->event.type) {
	case YAML_STREAM_END_EVENT:
		*stop = true;
		return ERR_OK;
	case YAML_DOCUMENT_START_EVENT:
		if (w->documents++)
			return err_set(e, ERR_INVALID, "a second document begins here");
		return ERR_OK;
	case YAML_ALIAS_EVENT:
		return err_set(e, ERR_INVALID, "anchors and aliases are not allowed");
	case YAML_MAPPING_START_EVENT:
		return open_level(w, true, visit, context, stop, e);
	case YAML_SEQUENCE_START_EVENT:
		return open_level(w, false, visit, context, stop, e);
	case YAML_MAPPING_END_EVENT:
	case YAML_SEQUENCE_END_EVENT:
		w->depth--;
		w->path[w->level[w->depth].path_used] = '\0';
		end_node(w);
		return ERR_OK;
	case YAML_SCALAR_EVENT:
		*stop = scalar(w, visit, context);
		return ERR_OK;
	default:
		return ERR_OK;
	}
}

static int parse_error(struct walk *w, struct err *e)
{
	const char *problem = w->parser.problem ? w->parser.problem : "cannot be read";

	w->at = mark_of(w->parser.problem_mark);
	return err_set(e, ERR_INVALID, "not well-formed YAML: %s", problem);
}

static int walk(const char *text, size_t length, visit_fn visit, void *context,
		struct yaml_mark *at, struct err *e)
{
	struct walk w = {0};
	bool stop = false;
	int rc = ERR_OK;

	if (!yaml_parser_initialize(&w.parser))
		return err_set(e, ERR_NOMEM, "no memory to read YAML");
	yaml_parser_set_input_string(&w.parser, (const unsigned char *)text, length);
	while (!rc && !stop) {
		if (!yaml_parser_parse(&w.parser, &w.event)) {
			rc = parse_error(&w, e);
			break;
		}
		w.at = mark_of(w.event.start_mark);
		rc = take_event(&w, visit, context, &stop, e);
		yaml_event_delete(&w.event);
	}
	yaml_parser_delete(&w.parser);
	if (at)
		*at = w.at;
	return rc;
}

int yaml_check(const char *text, size_t length, struct yaml_mark *at, struct err *e)
{
	return walk(text, length, NULL, NULL, at, e);
}

/* ---- searches ---- */

struct search {
	const char *wanted;
	char *path;
	struct yaml_mark at;
	bool found;
};

static bool has_path(void *context, const struct node *node)
{
	struct search *s = context;

	s->found = !node->is_key && strcmp(node->path, s->wanted) == 0;
	s->at = node->at;
	return s->found;
}

bool yaml_find(const char *text, size_t length, const char *path, struct yaml_mark *at)
{
	struct search s = {.wanted = path};

	walk(text, length, has_path, &s, NULL, NULL);
	if (s.found)
		*at = s.at;
	return s.found;
}

static bool is_key_from(void *context, const struct node *node)
{
	struct search *s = context;

	s->found = node->is_key && node->text && !before(node->at, s->at) &&
		   strcmp(node->text, s->wanted) == 0;
	if (s->found)
		s->at = node->at;
	return s->found;
}

bool yaml_find_key(const char *text, size_t length, const char *key, struct yaml_mark *at)
{
	struct search s = {.wanted = key, .at = *at};

	walk(text, length, is_key_from, &s, NULL, NULL);
	if (s.found)
		*at = s.at;
	return s.found;
}

static bool is_value_at(void *context, const struct node *node)
{
	struct search *s = context;

	s->found = !node->is_key && node->path[0] && node->at.line == s->at.line &&
		   node->at.column == s->at.column;
	if (s->found)
		snprintf(s->path, YAML_PATH_MAX, "%s", node->path);
	return s->found;
}

bool yaml_path_at(const char *text, size_t length, struct yaml_mark at, char path[YAML_PATH_MAX])
{
	struct search s = {.at = at, .path = path};

	walk(text, length, is_value_at, &s, NULL, NULL);
	return s.found;
}
