#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: quickstart_test.sh run|pair|interrupt|options
#  run        the whole quickstart at a small size; nothing is left running
#  pair       two copies side by side
#  interrupt  Ctrl-C in the middle of the VM's work: nothing is left running, exit 130
#  options    refusals: sentence and exit code
set -u -o pipefail
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd) || exit 1
[ -e /dev/kvm ] || { echo "SKIP: no /dev/kvm"; exit 77; }
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
bad=0

wrong() { echo "WRONG: $*"; bad=1; }

# left RUN: processes whose command line names this run's directory, or that hold its namespaces.
left() { pgrep -af -- "$1" | grep -v quickstart_test; }
run_dir() { sed -n 's/.*Files: \(build[^ ]*\)$/\1/p' "$1"; }
nothing_left() { # OUTPUT
	local dir
	dir=$(run_dir "$1")
	[ -n "$dir" ] || { wrong "no run directory in the output"; return; }
	sleep 0.3
	left "$dir" && wrong "something of $dir is still running"
	rm -rf "${top:?}/$dir"
}

case ${1:-} in
run)
	"$top/quickstart" --no-install --size 25 >"$work/out" 2>&1
	status=$?
	cat "$work/out"
	[ $status = 0 ] || wrong "exit $status"
	nothing_left "$work/out"
	;;
pair)
	"$top/quickstart" --no-install --size 15 --seed 1 >"$work/a" 2>&1 &
	a=$!
	"$top/quickstart" --no-install --size 15 --seed 2 >"$work/b" 2>&1 &
	b=$!
	wait $a || { wrong "the first copy failed"; cat "$work/a"; }
	wait $b || { wrong "the second copy failed"; cat "$work/b"; }
	[ "$(grep '^result' "$work/a" | head -n 2)" != "$(grep '^result' "$work/b" | head -n 2)" ] || wrong "two seeds, one result"
	nothing_left "$work/a"
	nothing_left "$work/b"
	;;
interrupt)
	setsid env --default-signal=INT "$top/quickstart" --no-install --size 100 >"$work/out" 2>&1 &
	pid=$!
	for _ in {1..600}; do
		grep -q ' s  vm' "$work/out" && break
		sleep 0.1
	done
	sleep 1
	kill -INT -- -$pid
	wait $pid
	status=$?
	[ $status = 130 ] || wrong "exit $status, not 130"
	cat "$work/out"
	nothing_left "$work/out"
	;;
options)
	refused() { # STATUS PATTERN ARGUMENT...
		local want=$1 pattern=$2
		shift 2
		"$top/quickstart" "$@" >"$work/out" 2>"$work/err"
		status=$?
		[ $status = "$want" ] || wrong "$*: exit $status, not $want"
		[ "$(wc -l <"$work/err")" = 1 ] || wrong "$*: not one sentence: $(cat "$work/err")"
		grep -q -- "$pattern" "$work/err" || wrong "$*: $(cat "$work/err")"
	}
	refused 2 "unknown option '--frobnicate'" --frobnicate
	refused 2 "wants a number" --seed
	refused 2 "not 'x'" --seed x
	refused 2 "from 10 to 200, not 900" --size 900
	"$top/quickstart" --help | grep -q -- --keep || wrong "--help says nothing of --keep"
	;;
*)
	echo "usage: $0 run|pair|interrupt|options" >&2
	exit 2
	;;
esac
exit $bad
