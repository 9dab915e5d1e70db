#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: example_test.sh PROGRAM: with one, three and five members it says that nothing is wrong.
set -u
[ -e /dev/userfaultfd ] || { echo "SKIP: no /dev/userfaultfd"; exit 77; }
for members in 1 3 5; do
	said=$("$1" $members) || { echo "$members members: $said (status $?)"; exit 1; }
	echo "$said"
	grep -qE ": 0 (points|counts|in a) wrong" <<<"$said" || exit 1
done
"$1" 65 2>/dev/null && { echo "65 members are too many"; exit 1; }
exit 0
