/* SPDX-License-Identifier: Apache-2.0 */
#include "node/celld/vm_uids.h"

#include <assert.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

void vm_uids_default(struct vm_uids *u)
{
	*u = (struct vm_uids){.first = VM_UIDS_FIRST, .n = VM_UIDS_LAST - VM_UIDS_FIRST + 1};
}

/* Digits only; *end is where they end. */
static unsigned long digits(const char *text, char **end)
{
	if (*text < '0' || *text > '9') {
		*end = (char *)text;
		return 0;
	}
	return strtoul(text, end, 10);
}

int vm_uids_parse(const char *text, struct vm_uids *out, struct err *e)
{
	char *end;
	unsigned long first = digits(text, &end), last = 0;

	if (*end == '-')
		last = digits(end + 1, &end);
	if (*end || !first || last < first || last >= UINT32_MAX || last - first >= VM_UIDS_MAX)
		return err_set(e, ERR_INVALID,
			       "--vm-uids wants FIRST-LAST, at most %d uids and not root's, not "
			       "'%.40s'",
			       VM_UIDS_MAX, text);
	*out = (struct vm_uids){.first = (uid_t)first, .n = (unsigned)(last - first + 1)};
	return ERR_OK;
}

bool vm_uids_possible(struct vm_uids *u)
{
	const uint32_t wanted = 1u << CAP_SETUID | 1u << CAP_SETGID;
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct has[_LINUX_CAPABILITY_U32S_3] = {{0}};

	if (!syscall(SYS_capget, &head, has) && (has[0].effective & wanted) == wanted)
		return true;
	u->n = 0;
	return false;
}

int vm_uids_take(struct vm_uids *u, uid_t *out, struct err *e)
{
	*out = 0;
	if (!u->n)
		return ERR_OK;
	for (unsigned i = 0; i < u->n; i++) {
		unsigned at = (u->next + i) % u->n;

		if (u->taken[at / 64] >> at % 64 & 1)
			continue;
		u->taken[at / 64] |= 1ull << at % 64;
		u->next = at + 1;
		*out = u->first + at;
		return ERR_OK;
	}
	return err_set(e, ERR_NOSPACE, "all %u uids for fragments are taken (--vm-uids)", u->n);
}

void vm_uids_give_back(struct vm_uids *u, uid_t *uid)
{
	unsigned at = *uid - u->first;

	if (!*uid)
		return;
	assert(at < u->n && u->taken[at / 64] >> at % 64 & 1);
	u->taken[at / 64] &= ~(1ull << at % 64);
	*uid = 0;
}
