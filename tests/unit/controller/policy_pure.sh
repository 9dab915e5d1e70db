#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: policy_pure.sh LIBPOLICY.A CC: the policy calls nothing that allocates, waits, reads a clock or the world.
set -u -o pipefail
library=$1 cc=$2
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT

# What it may call: its own functions, base helpers without state, and the C library's strings. Sanitizers add theirs.
allowed='^(policy_.*|err_set|name_valid|text_escape|size_format|mem(chr|cpy|set|cmp|move)|str(cmp|ncmp|len)|v?snprintf'
allowed+='|__(v?snprintf|memcpy|memset)_chk|__assert_fail|__stack_chk_fail|__popcountdi2|_GLOBAL_OFFSET_TABLE_'
allowed+='|__(asan|ubsan|tsan)_.*)$'
foreign() { nm --undefined-only --format=just-symbols "$@" | grep -vE ':$|^$' | sort -u | grep -vE "$allowed"; }

if foreign "$library"; then
	echo "the policy must not call these"
	exit 1
fi
[ "$(nm --undefined-only "$library" | wc -l)" -gt 20 ] || { echo "$library holds nothing"; exit 1; }
printf '#include <stdlib.h>\nvoid *policy_x(void);\nvoid *policy_x(void) { return malloc(3); }\n' >"$work/x.c"
"$cc" -c -o "$work/x.o" "$work/x.c" || exit 1
foreign "$work/x.o" >/dev/null || { echo "a planted malloc was not caught"; exit 1; }
echo "pure"
