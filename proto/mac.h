/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HMAC-SHA256 (RFC 2104, FIPS 180-4) by libcrypto. A header of its own because libcrypto's headers
 * take names of our error list.
 *
 * Threads: any.
 */
#ifndef CELLULAR_PROTO_MAC_H
#define CELLULAR_PROTO_MAC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MAC_BYTES = 32 };

/* false: libcrypto could not. */
bool mac_make(const uint8_t *key, size_t key_bytes, const void *text, size_t n,
	      uint8_t mac[MAC_BYTES]);

/* libcrypto reads its configuration file when first used: makes it do so now, for a process that
 * is about to lose sight of files. false: it does not work. */
bool mac_prepare(void);

/* In constant time. */
bool mac_equal(const uint8_t a[MAC_BYTES], const uint8_t b[MAC_BYTES]);

#endif
