#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: tidy.sh BUILD-DIR: clang-tidy with .clang-tidy over every source the build compiles, except generated ones.
# A file that has not changed since it last passed, nor any header, is not read again.
set -u -o pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
build=$1
command -v clang-tidy >/dev/null || { echo "SKIP: clang-tidy is not installed"; exit 77; }
[ -e "$build/compile_commands.json" ] || { echo "no compile_commands.json in $build"; exit 1; }
passed=$build/tidy
mkdir -p "$passed"
headers=$(git ls-files '*.h' .clang-tidy '*.proto' | xargs cat | sha256sum | cut -c1-16)
todo=()
while read -r file; do
	grep -q "\"file\": \".*/$file\"" "$build/compile_commands.json" || continue
	[ -e "$passed/$(sha256sum <"$file" | cut -c1-16).$headers" ] || todo+=("$file")
done < <(git ls-files 'proto/*.c' 'dsm/*.c' 'node/*.c' 'controller/*.c' 'tests/*.c' | grep -v '^node/guest/')
echo "${#todo[@]} files to read"
[ ${#todo[@]} = 0 ] && exit 0
export build passed headers
# shellcheck disable=SC2016
printf '%s\0' "${todo[@]}" | xargs -0 -P 2 -n 1 bash -c '
	clang-tidy --quiet -p "$build" "$1" 2>/dev/null && : >"$passed/$(sha256sum <"$1" | cut -c1-16).$headers"' tidy
