/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/mac.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

bool mac_make(const uint8_t *key, size_t key_bytes, const void *text, size_t n,
	      uint8_t mac[MAC_BYTES])
{
	unsigned length = 0;

	return HMAC(EVP_sha256(), key, (int)key_bytes, text, n, mac, &length) &&
	       length == MAC_BYTES;
}

bool mac_prepare(void)
{
	uint8_t mac[MAC_BYTES];

	return mac_make((const uint8_t *)"", 0, "", 0, mac);
}

bool mac_equal(const uint8_t a[MAC_BYTES], const uint8_t b[MAC_BYTES])
{
	return CRYPTO_memcmp(a, b, MAC_BYTES) == 0;
}
