#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: hello_test.sh 01-hello: the example as its head tells, on one host.
set -u
hello=$1
work=$(mktemp -d) || exit 1
first=
trap '[ -z "$first" ] || kill "$first" 2>/dev/null; rm -rf "$work"' EXIT
[ -e /dev/userfaultfd ] || { echo "SKIP: no /dev/userfaultfd"; exit 77; }

"$hello" "$work/key" 127.0.0.1:0 >"$work/first" 2>&1 &
first=$!
for _ in $(seq 300); do
	address=$(sed -n 's/^listening on //p' "$work/first")
	[ -z "$address" ] || break
	sleep 0.1
done
[ -n "$address" ] || { cat "$work/first"; exit 1; }
"$hello" "$work/key" 127.0.0.1:0 "$address" >"$work/second" 2>&1
second=$?
wait "$first"
status=$?
first=
cat "$work/first" "$work/second"
[ $status = 0 ] && [ $second = 0 ] &&
	grep -qx 'member 0 reads: hello from member 1' "$work/first" && grep -qx 'member 1 is answered: 42' "$work/second"
