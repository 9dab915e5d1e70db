#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Each function of cellular/dsm.h is named by exactly one man page, with the prototype of the
# header, and each name of a page is a function. Each error is explained by a page that names it.
set -u -o pipefail
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../../.." && pwd) || exit 1
header=$top/dsm/lib/cellular/dsm.h
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
command -v mandoc >/dev/null || { echo "SKIP: mandoc is not installed"; exit 77; }
bad=0
fails() { echo "$1"; bad=1; }

${CC:-cc} -E -P "$header" | tr '\n' ' ' | tr ';' '\n' | grep -oE '[a-z_0-9 ]*[ *]cdsm_[a-z0-9_]+ ?\([^)]*\)' |
	sed -E 's/^ *//; s/ *\( */(/; s/ +/ /g; s/ ,/,/g' >"$work/prototypes"
grep -oE 'cdsm_[a-z0-9_]+\(' "$work/prototypes" | tr -d '(' | sort >"$work/functions"
sed -n 's/^\.Nm \(cdsm_[a-z_0-9]*\)\( ,\)\?$/\1/p' "$top"/deploy/man/cdsm_*.3 | sort >"$work/named"
diff "$work/functions" "$work/named" || fails "the man pages name other functions than the header declares (<)"
# As it is printed, blanks aside.
for page in "$top"/deploy/man/cdsm_*.3; do
	mandoc -T ascii "$page" | sed 's/.\x08//g'
done | tr -d ' \n' >"$work/pages"
while read -r prototype; do
	want=$(tr -d ' \n' <<<"$prototype")
	grep -qF -- "$want" "$work/pages" || fails "no man page has the prototype: $prototype"
done <"$work/prototypes"
for code in $(grep -oE 'CDSM_E[A-Z]+ =' "$header" | tr -d ' ='); do
	grep -qw "$code" "$top"/deploy/man/cdsm_*.3 || fails "no man page explains $code"
done
[ "$(wc -l <"$work/functions")" -ge 12 ] || fails "the header declares next to nothing"
exit $bad
