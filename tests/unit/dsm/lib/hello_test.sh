#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: hello_test.sh 01-hello CELL-CONTROLLER: the example as its head tells, on one host: by address, then by name.
set -u
hello=$1 controller=$2
work=$(mktemp -d) || exit 1
first='' cluster=''
trap '[ -z "$first$cluster" ] || kill $first $cluster 2>/dev/null; rm -rf "$work"' EXIT
[ -e /dev/userfaultfd ] || { echo "SKIP: no /dev/userfaultfd"; exit 77; }

listening() {
	for _ in $(seq 300); do
		address=$(sed -n 's/^listening on //p' "$work/first")
		[ -z "$address" ] || return 0
		sleep 0.1
	done
	cat "$work/first"
	return 1
}

# answered STATUS: of the second one.
answered() {
	local status
	wait "$first"
	status=$?
	first=''
	cat "$work/first" "$work/second"
	[ $status = 0 ] && [ "$1" = 0 ] &&
		grep -qx 'member 0 reads: hello from member 1' "$work/first" && grep -qx 'member 1 is answered: 42' "$work/second"
}

"$hello" "$work/key" 127.0.0.1:0 >"$work/first" 2>&1 &
first=$!
listening || exit 1
"$hello" "$work/key" 127.0.0.1:0 "$address" >"$work/second" 2>&1
answered $? || exit 1

"$controller" --state "$work/state" --key "$work/cluster.key" --ready-file "$work/ready" 2>/dev/null &
cluster=$!
for _ in $(seq 300); do
	[ ! -e "$work/ready" ] || break
	sleep 0.1
done
by_name=(--cluster "unix:$work/state/ctl.sock" --key "$work/cluster.key" --name letter)
"$hello" "${by_name[@]}" >"$work/first" 2>&1 &
first=$!
listening || exit 1
"$hello" "${by_name[@]}" 127.0.0.1:0 >"$work/second" 2>&1
answered $? || exit 1
kill "$cluster"
wait "$cluster"
cluster=''
