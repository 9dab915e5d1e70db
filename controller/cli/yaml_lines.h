/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where things stand in a YAML text. libcyaml checks a file against a schema but names the place of
 * an error only roughly (the last value it read); these functions walk the text again with libyaml
 * and find the exact line.
 *
 * A path names a node: "memory", "files[0].path", "placement[1].vcpus[2]"; "" is the document.
 *
 * Threads: pure functions.
 */
#ifndef CELLULAR_CLI_YAML_LINES_H
#define CELLULAR_CLI_YAML_LINES_H

#include <stdbool.h>
#include <stddef.h>

#include "proto/base/err.h"

enum {
	YAML_DEPTH_MAX = 16,
	YAML_PATH_MAX = 256, /* longer paths are cut */
};

struct yaml_mark {
	unsigned line; /* both from 1 */
	unsigned column;
};

/*
 * Whether the text is one well-formed document, not deeper than YAML_DEPTH_MAX, without anchors
 * and aliases. INVALID with a sentence; *at is the place then.
 */
int yaml_check(const char *text, size_t length, struct yaml_mark *at, struct err *e);

/* Place of the node with this path. */
bool yaml_find(const char *text, size_t length, const char *path, struct yaml_mark *at);

/* Place of the first mapping key `key` that begins at *at or after it; moves *at there. */
bool yaml_find_key(const char *text, size_t length, const char *key, struct yaml_mark *at);

/* Path of the value that begins at this place. */
bool yaml_path_at(const char *text, size_t length, struct yaml_mark at, char path[YAML_PATH_MAX]);

#endif
