#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Reads every shell script with shellcheck, and every man page with mandoc.
set -u
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
command -v shellcheck >/dev/null || { echo "SKIP: shellcheck is not installed"; exit 77; }
command -v mandoc >/dev/null || { echo "SKIP: mandoc is not installed"; exit 77; }
bad=0
git ls-files | xargs grep -lE '^#!.*\b(bash|sh)$|^# shellcheck shell=' | xargs shellcheck -x -S warning || bad=1
while read -r page; do
	mandoc -T lint -W warning "$page" || bad=1
done < <(git ls-files 'deploy/man/*.[0-9]')
exit $bad
