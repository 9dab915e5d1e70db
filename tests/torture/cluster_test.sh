#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: cluster_test.sh BUILD SECONDS [SEED]. A VM over three cells under torture, its fragments evicting at random, while on the same
# cells other VMs come and go (some by the exit of their guest, some killed, some by the death of a process), the links between the
# celld and the controller break every few seconds, the controller is killed and started again, and fragments stand still for a
# moment. The torture must come to its end with every value right.
# shellcheck source=tests/rack/cluster.sh
. "$(dirname "${BASH_SOURCE[0]}")/../rack/cluster.sh"
seconds=${2:?the length of the torture in seconds}
seed=${3:-$RANDOM}
guests=$build/guests
say "seed $seed, $seconds s"

# ---- a cluster whose control links break ----
proxies=()
proxy_start() {
	"$build/tests/torture-proxy" "unix:$work/state/ctl.sock" $((4300 + $1 * 1300)) "$work/proxy$1" >"$work/proxy$1.out" &
	proxies+=($!)
	wait_for 20 test -s "$work/proxy$1" || wrong "the proxy of cell$1 does not start"
}
proxies_end() {
	local pid
	for pid in "${proxies[@]}"; do end_process "$pid"; done
	proxies=()
}
trap 'status=$?; proxies_end; (exit $status); cluster_down' EXIT
controller_start
for i in 0 1 2; do
	proxy_start $i
	cell_start $i --controller "tcp:$(cat "$work/proxy$i")" --cell-vm "$build/tests/torture-cell-vm" --cpus 16
done
wait_for 20 cells_up 3 || { wrong "not all cells are up"; exit 1; }

# again SECONDS COMMAND...: a request may meet a cell whose link is just broken.
again() {
	local end=$(($(now_ms) + $1 * 1000))
	shift
	until "$@"; do
		[ "$(now_ms)" -lt "$end" ] || return 1
		sleep 0.2
	done
}
ended() { case $(vm_state "$1") in exited | ended) ;; *) return 1 ;; esac }
over() { ctl vm show "$1" >"$work/show" 2>&1 && grep -qE 'exited|ended' "$work/show"; }

# ---- others on the same cells ----
come_and_go() {
	local how=$1
	case $how in
	exit) again 20 ctl vm start "$(spread guest "$guests/hello.elf" 64MiB destroy others)" ;;
	*) again 20 ctl vm start "$(spread guest "$guests/pulse.elf" 64MiB destroy spin)" ;;
	esac >/dev/null 2>>"$work/others.log" || wrong "a guest does not start"
	case $how in
	kill) again 20 ctl vm kill guest >/dev/null 2>>"$work/others.log" || wrong "a guest is not killed" ;;
	die)
		wait_for 20 test -n "$(vm_pid guest 1)"
		kill -9 "$(vm_pid guest 1)" 2>/dev/null
		;;
	esac
	wait_for 30 over guest || wrong "a guest ($how) does not end"
}

want "the torture starts" ctl vm start "$(spread torture "$guests/torture.elf" 10MiB preserve "$seed" 600 "$seconds")"
wait_for 20 vm_is torture running || wrong "it does not run"
for m in 0 1 2; do pid[m]=$(vm_pid torture $m); done
end=$(($(now_ms) + seconds * 1000))
n=0
while [ "$(now_ms)" -lt "$end" ] && alive "${pid[0]}"; do
	case $((n % 3)) in
	0) come_and_go exit ;;
	1) come_and_go kill ;;
	2) come_and_go die ;;
	esac
	kill -STOP "${pid[n % 3]}" 2>/dev/null
	sleep 0.4
	kill -CONT "${pid[n % 3]}" 2>/dev/null
	n=$((n + 1))
	if [ $((n % 8)) = 4 ]; then
		controller_kill
		sleep 0.5
		controller_start
		again 30 cells_up 3 || wrong "the cells do not come back to the new controller"
	fi
done
want "others came and went ($n)" [ $n -ge 3 ]
again $((seconds + 60)) ended torture || wrong "the torture does not end"
say "the end: $(vm_field torture '.reason.cause + ": " + .reason.text')"

# ---- what came of it ----
ctl vm console torture >"$work/console"
grep -E 'WRONG|seed|result' "$work/console"
want "it exits with 0" ctl -t 20 vm wait torture
want "nothing was wrong" grep -qE "result torture seed=$seed wrong=0 " "$work/console"
want "nobody says otherwise" [ "$(grep -c WRONG "$work/console")" = 0 ]
again 20 ctl -o json mem stat torture >"$work/stat"
want "every cell evicted" [ "$(jq '[.cells[].stat.counters.evicted > 100] | all' "$work/stat")" = true ]
want "every cell gave and took" [ "$(jq '[.cells[].stat.counters | .fetch_served > 100 and .write_remote > 100] | all' "$work/stat")" = true ]
want "no message broke the protocol" [ "$(jq '[.cells[].stat.counters.refused] | add' "$work/stat")" = 0 ]
jq -c '.cells[] | [.cell, (.stat.counters | {read_remote, write_remote, upgrade_remote, fetch_served, evicted, deferred})]' "$work/stat"
proxies_end
for i in 0 1 2; do
	say "control link of cell$i: $(cat "$work/proxy$i.out")"
	want "it was cut and dialled again" awk '{ exit !($2 >= 1 && $4 >= 2) }' "$work/proxy$i.out"
done
done_testing
