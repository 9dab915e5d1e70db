#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: coverage.sh BUILD [LEAST]. How many lines of each decoder its fuzz target reaches with nothing but its seeds and the files
# of its corpus in the tree: a table; fails if a decoder stays below LEAST percent (80). BUILD is a tree of the preset fuzz, which
# is compiled with clang's source-based coverage; BUILD/fuzz/table says which target is for which files.
set -u -o pipefail
build=$(cd "${1:?the build directory}" && pwd) || exit 1
least=${2:-80}
here=$(cd "$(dirname "$0")" && pwd) || exit 1

# tool NAME: that of the compiler's version, where there are several.
tool() { command -v "$1-14" || command -v "$1"; }
profdata=$(tool llvm-profdata) && cov=$(tool llvm-cov) || {
	echo "SKIP: llvm-profdata or llvm-cov is missing (package llvm)"
	exit 77
}
command -v jq >/dev/null || {
	echo "SKIP: jq is not installed"
	exit 77
}
work=$(mktemp -d /tmp/cellular-coverage.XXXXXX) || exit 1
trap 'rm -rf "$work"' EXIT

# measure NAME: runs its replay, leaves the figures of all files in NAME.json.
measure() {
	local replay=$build/fuzz/replay-$1 corpus=()
	[ -d "$here/corpus/$1" ] && corpus=("$here/corpus/$1")
	LLVM_PROFILE_FILE=$work/$1.raw "$replay" "${corpus[@]}" >"$work/$1.log" 2>&1 || { cat "$work/$1.log"; return 1; }
	"$profdata" merge -o "$work/$1.prof" "$work/$1.raw" &&
		"$cov" export -summary-only -instr-profile="$work/$1.prof" "$replay" >"$work/$1.json"
}

# lines NAME FILE: "covered total".
lines() {
	jq -r --arg file "/$2" '.data[0].files[] | select(.filename | endswith($file)) | .summary.lines | "\(.covered) \(.count)"' \
		"$work/$1.json"
}

failed=0 worst=100
printf '%-16s %-32s %8s %6s %6s\n' target decoder covered lines %
while read -r name decoders; do
	measure "$name" || { failed=1; continue; }
	for file in $decoders; do
		read -r covered total < <(lines "$name" "$file") || { echo "WRONG: $name knows nothing of $file"; failed=1; continue; }
		percent=$((covered * 100 / total))
		printf '%-16s %-32s %8d %6d %6d\n' "$name" "$file" "$covered" "$total" "$percent"
		[ $percent -lt "$worst" ] && worst=$percent
		[ $percent -ge "$least" ] || { echo "WRONG: below $least %"; failed=1; }
	done
done <"$build/fuzz/table"
echo "least: $worst %, wanted: $least %"
exit $failed
