#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Every C file is formatted by .clang-format; every file carries its licence line.
set -u
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
command -v clang-format >/dev/null || { echo "SKIP: clang-format is not installed"; exit 77; }
bad=0
badly=$(git ls-files '*.c' '*.h' | xargs clang-format --dry-run --Werror 2>&1 |
	sed -n 's/^\([^:]*\):.* code should be clang-formatted.*/\1: run clang-format -i on it/p' | sort -u)
[ -z "$badly" ] || { echo "$badly"; bad=1; }
# What clang-format makes of a comment line that it breaks after a word.
git ls-files '*.c' '*.h' | xargs grep -nHE '^ \*[A-Za-z(]' && { echo "a comment lost the blank after its star"; bad=1; }
while read -r file; do
	[ -s "$file" ] || continue
	head -n 5 "$file" | grep -q 'SPDX-License-Identifier: Apache-2.0' || { echo "$file: no licence line"; bad=1; }
done < <(git ls-files | grep -vE '^LICENSE$|\.json$|\.suppress$|^tests/fuzz/corpus/|\.gitignore$')
exit $bad
