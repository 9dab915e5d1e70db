#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: tidy.sh BUILD-DIR [NODES]: clang-tidy with .clang-tidy over every source the build compiles, except generated ones.
# NODES bounds the analyzer's work on one function (its default of 225000 takes 15 s for the largest file).
# Tests are read without the analyzer: it does not know that CUnit's fatal assertions do not return.
# A file that has not changed since it last passed, nor any header, is not read again.
set -u -o pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
build=$1 nodes=${2:-10000}
command -v clang-tidy >/dev/null || { echo "SKIP: clang-tidy is not installed"; exit 77; }
[ -e "$build/compile_commands.json" ] || { echo "no compile_commands.json in $build"; exit 1; }
passed=$build/tidy
mkdir -p "$passed"
# What the host's compiler reads: library guests are compiled with options that only gcc knows. A file that is compiled several times
# is read once: as people run it, without planted bugs, if it is compiled like that.
command -v jq >/dev/null || { echo "SKIP: jq is not installed"; exit 77; }
jq '[.[] | select(.command | contains("-ffreestanding") | not)] | group_by(.file) | map(min_by(.command | contains("-DDSM_BUGS")))' \
	"$build/compile_commands.json" >"$passed/compile_commands.json"
headers=$({ echo "$nodes"; git ls-files '*.h' .clang-tidy '*.proto' | xargs cat; } | sha256sum | cut -c1-16)
todo=()
while read -r file; do
	grep -q "\"file\": \".*/$file\"" "$passed/compile_commands.json" || continue # not built here
	[ -e "$passed/$(sha256sum <"$file" | cut -c1-16).$headers" ] || todo+=("$file")
done < <(git ls-files 'proto/*.c' 'dsm/*.c' 'node/*.c' 'controller/*.c' 'tests/*.c' | grep -v '^node/guest/')
echo "${#todo[@]} files to read"
[ ${#todo[@]} = 0 ] && exit 0
export passed headers nodes
# shellcheck disable=SC2016
printf '%s\0' "${todo[@]}" | xargs -0 -P 2 -n 1 bash -c '
	checks=
	case $1 in tests/*) checks=-clang-analyzer-*,-bugprone-suspicious-* ;; esac
	clang-tidy --quiet -p "$passed" ${checks:+--checks="$checks"} --extra-arg=-Wno-error \
		--extra-arg=-Xclang --extra-arg=-analyzer-config --extra-arg=-Xclang \
		--extra-arg=max-nodes="$nodes" "$1" 2>/dev/null >"$passed/log.$$" || { cat "$passed/log.$$"; exit 1; }
	: >"$passed/$(sha256sum <"$1" | cut -c1-16).$headers"
	rm "$passed/log.$$"' tidy
