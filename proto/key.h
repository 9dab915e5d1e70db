/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The key file of a cluster: 64 hex digits and a newline, readable by its owner only. Whoever can
 * read it can speak to the controller; cell-controller makes it, celld and cellctl read it.
 *
 * Threads: no shared state.
 */
#ifndef CELLULAR_PROTO_KEY_H
#define CELLULAR_PROTO_KEY_H

#include <stdint.h>

#include "proto/base/err.h"
#include "proto/ids.h"

/* Reads a key. NOTFOUND: no file; DENIED: no right to read it; INVALID: not a key, or group or
 * others may read it. */
int key_file_read(const char *path, uint8_t key[CELL_KEY_BYTES], struct err *e);

/* As key_file_read, but a missing file is made first, mode 0600, from getrandom. The file appears
 * whole or not at all; if two make it at once, both end with the same key. */
int key_file_make(const char *path, uint8_t key[CELL_KEY_BYTES], struct err *e);

#endif
