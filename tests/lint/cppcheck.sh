#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: cppcheck.sh BUILD-DIR
set -u
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
command -v cppcheck >/dev/null || { echo "SKIP: cppcheck is not installed"; exit 77; }
mkdir -p "$1/cppcheck"
cppcheck --quiet --cppcheck-build-dir="$1/cppcheck" -j 2 --enable=warning,portability,performance --inline-suppr \
	--suppressions-list=tests/lint/cppcheck.suppress --error-exitcode=1 --std=c11 -D_GNU_SOURCE -D__x86_64__ -I . \
	--template='{file}:{line}: {severity}: {message} [{id}]' proto dsm node controller tests/sim
