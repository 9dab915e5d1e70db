#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs the seeds of a list, a line of options each: seeds.sh CELLSIM LIST. All must be clean.
set -u
cellsim=$1 list=$2 n=0 bad=0
while read -ra words; do
	[[ ${words[0]-#} == \#* ]] && continue
	n=$((n + 1))
	"$cellsim" --first "${words[@]}" || { echo "FAILED: cellsim ${words[*]}"; bad=$((bad + 1)); }
done <"$list"
echo "$n lines, $bad failed"
[ "$n" -gt 0 ] && [ "$bad" -eq 0 ]
