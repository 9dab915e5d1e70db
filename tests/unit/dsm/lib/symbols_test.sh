#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: symbols_test.sh LIBRARY-DIR: both libraries export what cellular/dsm.h declares, no more and no less; the header is
# C11 and C++ by itself and includes nothing of this tree.
set -u -o pipefail
lib=$1
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../../.." && pwd) || exit 1
header=$top/dsm/lib/cellular/dsm.h
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
bad=0

fails() { echo "$1"; bad=1; }
same() { diff "$work/declared" "$1" || fails "$2 exports something else than the header declares (<)"; }

${CC:-cc} -E -P "$header" | grep -oE '\bcdsm_[a-z0-9_]+ ?\(' | tr -d ' (' | sort -u >"$work/declared"
[ "$(wc -l <"$work/declared")" -ge 12 ] || fails "the header declares next to nothing"
nm -D --defined-only "$lib/libcellular-dsm.so.0" | awk '$2 != "A" {sub(/@.*/, "", $3); print $3}' | sort >"$work/shared"
nm -g --defined-only "$lib/libcellular-dsm.a" | awk 'NF == 3 {print $3}' | sort >"$work/static"
same "$work/shared" libcellular-dsm.so.0
same "$work/static" libcellular-dsm.a
readelf -d "$lib/libcellular-dsm.so" | grep -q 'soname: \[libcellular-dsm.so.0\]' || fails "the soname is another"
readelf -d "$lib/libcellular-dsm.so" | grep NEEDED | grep -vE 'libcrypto|libprotobuf-c|libc\.so|ld-linux' && fails "these libraries are not needed"

grep -E '^#include' "$header" | grep -vE '<std(def|int)\.h>' && fails "the header includes more than it may"
echo '#include <cellular/dsm.h>' >"$work/x.c"
cp "$work/x.c" "$work/x.cc"
strict=(-fsyntax-only -Wall -Wextra -Werror -pedantic -I"$top/dsm/lib")
${CC:-cc} -std=c11 "${strict[@]}" "$work/x.c" || fails "the header is not C11"
if command -v c++ >/dev/null; then
	c++ -std=c++11 "${strict[@]}" "$work/x.cc" || fails "the header is not C++11"
fi
echo "$(wc -l <"$work/declared") functions"
exit $bad
