/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Identifiers that separate processes agree on. Each is a struct of one field, so that a page
 * number cannot be passed for an address, nor a cell for a member.
 */
#ifndef CELLULAR_PROTO_IDS_H
#define CELLULAR_PROTO_IDS_H

#include <stdbool.h>
#include <stdint.h>

enum {
	DSM_PAGE_SHIFT = 12,
	DSM_PAGE_SIZE = 1 << DSM_PAGE_SHIFT,
	DSM_CHUNK_PAGES = 512, /* 2 MiB: the unit of home placement */
	DSM_MEMBERS_MAX = 64,  /* nothing but this line and the width of dsm_set knows the number */
	CELL_KEY_BYTES = 32,   /* key of a VM or of the cluster, for HMAC-SHA256 */
	CELL_NAME_MAX = 64,    /* cell and VM names, with their NUL: [A-Za-z0-9._-], not empty */
};

struct member_id {
	uint8_t v;
}; /* 0 .. members-1 within one space; 255: none */
struct cell_id {
	uint32_t v;
}; /* given by the controller, from 1; 0: none */
struct space_id {
	uint64_t v;
}; /* unique in the cluster; a VM's space has the VM's id */
struct epoch {
	uint32_t v;
}; /* membership view; compared by serial arithmetic (RFC 1982) */
struct gpa {
	uint64_t v;
}; /* guest-physical byte address = offset into the space */
struct gpage {
	uint64_t v;
}; /* page number in the space: gpa >> 12 */

#define MEMBER_NONE ((struct member_id){255})

/* A set of members, bit m for member m. */
typedef uint64_t dsm_set;
_Static_assert(sizeof(dsm_set) * 8 == DSM_MEMBERS_MAX, "one bit a member");

static inline dsm_set dsm_bit(uint8_t member)
{
	return (dsm_set)1 << member;
}
/* The lowest member of a set that is not empty. */
static inline struct member_id dsm_lowest(dsm_set set)
{
	return (struct member_id){(uint8_t)__builtin_ctzll(set)};
}

static inline bool member_eq(struct member_id a, struct member_id b)
{
	return a.v == b.v;
}
static inline struct gpage gpage_of(struct gpa a)
{
	return (struct gpage){a.v >> DSM_PAGE_SHIFT};
}
static inline struct gpa gpa_of(struct gpage p)
{
	return (struct gpa){p.v << DSM_PAGE_SHIFT};
}

/* RFC 1982: true if a is after b, for numbers that wrap. */
static inline bool serial_after(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) > 0;
}

#endif
