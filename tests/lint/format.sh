#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Every C file is formatted by .clang-format; every file carries its licence line.
set -u
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
command -v clang-format >/dev/null || { echo "SKIP: clang-format is not installed"; exit 77; }
bad=0
while read -r file; do
	clang-format --dry-run --Werror "$file" 2>/dev/null || { echo "$file: run clang-format -i on it"; bad=1; }
	# What clang-format makes of a comment line that it breaks after a word.
	grep -nHE '^ \*[A-Za-z(]' "$file" && { echo "$file: a comment lost the blank after its star"; bad=1; }
done < <(git ls-files '*.c' '*.h')
while read -r file; do
	[ -s "$file" ] || continue
	head -n 5 "$file" | grep -q 'SPDX-License-Identifier: Apache-2.0' || { echo "$file: no licence line"; bad=1; }
done < <(git ls-files | grep -vE '^LICENSE$|\.json$|\.suppress$|^tests/fuzz/corpus/|\.gitignore$')
exit $bad
