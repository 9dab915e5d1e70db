/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CRC-32C (Castagnoli; RFC 3720, appendix B.4). Threads: any.
 */
#ifndef CELLULAR_BASE_CRC32C_H
#define CELLULAR_BASE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* Goes on from crc (0 at the start) over n bytes: crc32c(crc32c(0, a), b) is the sum of a and b
 * joined. */
uint32_t crc32c(uint32_t crc, const void *bytes, size_t n);

#endif
