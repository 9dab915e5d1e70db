#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: ports_test.sh BUILD. Peers that break the rules, at every port of a cluster at work: the controller's sockets, with and without
# the key; celld and cellctl, whose controller is an impostor; a fragment's data plane while it listens; the pair a cell-vm inherits.
# Each connection is closed and counted, deadlines hold, crowds are bounded, and a VM computes on and is right.
# shellcheck source=tests/rack/cluster.sh
. "$(dirname "${BASH_SOURCE[0]}")/cluster.sh"
stranger=$build/tests/stranger
guests=$build/guests
controller_options=(--listen tcp:127.0.0.1:0)
files_max=128 # the daemons must raise it: the crowds below are larger
ulimit -S -n $files_max || skip "no $files_max open files are allowed"
cluster_up 3 --cpus 8
raised() { awk '/^Max open files/ { exit !($4 == $5) }' "/proc/$1/limits"; }
for pid in "$controller_pid" "${cell_pid[@]}"; do want "$(cat "/proc/$pid/comm") raises its limit of open files" raised "$pid"; done
local=unix:$work/state/ctl.sock
tcp=$(grep '^tcp:' "$work/controller.ready")

# survivor_starts ROUNDS, survivor_is_right: a VM on all three cells that computes meanwhile.
survivor_starts() {
	survivor_rounds=$1
	want "survivor starts" ctl vm start "$(spread survivor "$guests/pulse.elf" 64MiB preserve work "$1")"
	survivor_pids="$(vm_pid survivor 0) $(vm_pid survivor 1) $(vm_pid survivor 2)"
}
survivor_is_right() {
	local pid n=$((survivor_rounds * 10))
	for pid in $survivor_pids; do want "survivor: cell-vm $pid is the same" alive "$pid"; done
	say "survivor is $(vm_state survivor)"
	want "survivor exits with 0" ctl -t 120 vm wait survivor
	want "survivor is right" grep -qx "result work sum=$n right=$n" <(ctl vm console survivor)
	want "survivor lets itself be stopped" ctl vm stop survivor
}

survivor_starts 800
rejected() { ctl -o json status | jq .rejected; }
counted() { [ "$(rejected)" -ge "$1" ]; }
open_files() { find "/proc/$1/fd" -mindepth 1 | wc -l; }
closed_after() { sed -n "s/^$1: closed after \([0-9]*\) ms.*/\1/p" "$work/$2"; }
# in_time ACT FILE MS: it was closed within five times the stated deadline.
in_time() {
	local ms
	ms=$(closed_after "$1" "$2")
	say "$1: closed after ${ms:-?} ms, stated: $3"
	[ -n "$ms" ] && [ "$ms" -le $((5 * $3)) ]
}

say "== the controller's ports: deadlines (meanwhile the rest goes on)"
"$stranger" "$tcp" loris >"$work/loris.tcp" 2>&1 &
waiters=$!
"$stranger" "$local" loris >"$work/loris.unix" 2>&1 &
waiters="$waiters $!"
"$stranger" -k "$work/key" "$tcp" frame-loris >"$work/frame.tcp" 2>&1 &
waiters="$waiters $!"
"$stranger" -c -k "$work/key" "$local" frame-loris >"$work/frame.unix" 2>&1 &
waiters="$waiters $!"

say "== the controller's ports: strangers"
for address in "$local" "$tcp"; do
	for act in garbage zeros http short version kind epoch space member mac pages; do
		n=$(rejected)
		want "$act at ${address%%:*} is closed" "$stranger" "$address" $act
		want "and counted" wait_for 20 counted $((n + 1))
	done
done

say "== the controller's ports: peers who have the key"
for kind in '' -c; do
	for act in frame-garbage frame-short frame-version frame-large frame-checksum frame-gap frame-type frame-message frame-foreign; do
		n=$(rejected)
		want "$act${kind:+ of a cell} is closed" "$stranger" $kind -k "$work/key" "$tcp" $act
		want "and counted" wait_for 20 counted $((n + 1))
	done
done

say "== the controller's ports: crowds"
before=$(open_files "$controller_pid")
for address in "$local" "$tcp"; do
	"$stranger" "$address" crowd 600 >"$work/crowd.${address%%:*}" 2>&1 &
	waiters="$waiters $!"
	want "600 connect at ${address%%:*}" wait_for 20 grep -q connected "$work/crowd.${address%%:*}"
	want "and cellctl is served" ctl cell list
done
during=$(open_files "$controller_pid")
want "more than $files_max at once" [ "$during" -gt $files_max ]
say "the controller has $before files open, $during with 1200 silent connections"
want "a listener holds 256 at most" [ "$during" -le $((before + 2 * 256 + 8)) ]
for pid in $waiters; do want "a waiting peer is closed" wait "$pid"; done
want "one byte at tcp" in_time loris loris.tcp 5000
want "one byte at unix" in_time loris loris.unix 5000
want "a byte of a client's frame" in_time frame-loris frame.tcp 10000
want "a byte of a cell's frame" in_time frame-loris frame.unix 10000
want "crowd at tcp" in_time crowd crowd.tcp 5000
want "crowd at unix" in_time crowd crowd.unix 5000
files_are_back() { [ "$(open_files "$controller_pid")" -le $((before + 2)) ]; }
want "nothing of it is left" wait_for 20 files_are_back
want "and all were counted: $(rejected)" counted $((22 + 18 + 4 + 1200))
want "the cells are up" cells_up 3
survivor_is_right

say "== a fragment's data plane"
survivor_starts 200
# Fragment 0 waits for fragment 1, which is stopped before it learns where fragment 0 is; meanwhile fragment 0's port is open: for
# 20 s at most, then the VM would not start.
kill -STOP "${cell_pid[2]}"
ctl vm start "$(spread target "$guests/pulse.elf" 64MiB preserve work 10)" >"$work/start" 2>&1 &
starting=$!
frag_is() { [ "$(vm_field target ".fragments[] | select(.member == $1) | .state")" = "$2" ]; }
want "fragment 0 listens" wait_for 10 frag_is 0 listening
want "fragment 1 listens" wait_for 10 frag_is 1 listening
late=$(vm_pid target 1)
kill -STOP "$late"
kill -CONT "${cell_pid[2]}"
want "fragment 2 listens" wait_for 10 frag_is 2 listening
data=tcp:$(vm_field target '.fragments[] | select(.member == 0) | .address')
space=$(vm_field target .id)
epoch=$(vm_field target .epoch)
acts="garbage zeros http short version kind epoch space member mac pages loris"
pids=
for act in $acts; do
	"$stranger" "$data" "$act" "$space" "$epoch" >"$work/data.$act" 2>&1 &
	pids="$pids $!"
done
"$stranger" "$data" crowd 80 >"$work/data.crowd" 2>&1 &
pids="$pids $!"
for pid in $pids; do want "a stranger is closed" wait "$pid"; done
kill -CONT "$late"
want "one byte" in_time loris data.loris 5000
want "a crowd of 80 on 64 places" in_time crowd data.crowd 10000
want "then the VM starts" wait "$starting"
want "and exits with 0" ctl -t 120 vm wait target
want "and is right" grep -qx "result work sum=100 right=100" <(ctl vm console target)
n=$(vm_field target '.fragments[0].stat.counters.rejected')
want "fragment 0 counted them: $n" [ "$n" -ge 92 ]
want "its port is closed" [ "$("$stranger" "$data" loris >/dev/null 2>&1; echo $?)" = 2 ]
want "it is let go" ctl vm stop target
survivor_is_right

say "== celld and cellctl with an impostor for a controller"
fake=unix:$work/fake.sock
"$bin/celld" --name cell8 --controller "$fake" --key "$work/key" --data 127.0.0.9 --run "$work/run8" --memory 1GiB --cpus 4 \
	2>"$work/cell8.log" &
cell_pid[8]=$!
cellctl_says() {
	"$bin/cellctl" -c "$fake" -k "$work/key" -t 3 vm list >"$work/out" 2>"$work/err"
	local status=$?
	say "cellctl: $status $(sed "s|$work/||g" "$work/err")"
	[ $status -ge 1 ] && [ $status -le 7 ] && [ "$(wc -l <"$work/err")" = 1 ] && [ ! -s "$work/out" ]
}
for act in garbage mac loris frame-garbage frame-large frame-checksum frame-type frame-message frame-foreign frame-loris; do
	"$stranger" -l -k "$work/key" "$fake" "$act" >"$work/fake.log" 2>&1 &
	impostor=$!
	want "the impostor ($act) listens" wait_for 10 test -S "$work/fake.sock"
	want "celld closes" wait_for 50 grep -q closed "$work/fake.log"
	[ "$act" != frame-loris ] || want "in time" in_time frame-loris fake.log 10000
	want "cellctl gives up" cellctl_says
	end_process $impostor
	rm -f "$work/fake.sock"
done
want "celld lives" alive "${cell_pid[8]}"
want "and said why" [ "$(grep -c 'no controller' "$work/cell8.log")" -ge 3 ]
"$bin/cell-controller" --state "$work/state8" --key "$work/key" --listen "$fake" 2>"$work/controller8.log" &
second=$!
joined() { "$bin/cellctl" -c "$fake" -k "$work/key" cell list 2>/dev/null | grep -q cell8; }
want "and joins when a true one is there" wait_for 30 joined
rejected_all() { [ "$("$bin/cellctl" -c "$fake" -k "$work/key" -o json cell show cell8 | jq .rejected)" -ge "$1" ]; }
want "which hears how many it rejected" wait_for 20 rejected_all 10
end_process "${cell_pid[8]}"
unset 'cell_pid[8]'
end_process $second

say "== the pair a cell-vm inherits"
cell_start 7 --cell-vm "$build/tests/fake-vm"
for mode in garbage backward foreign drop; do
	printf '%s\n' "name: $mode" "guest: $guests/pulse.elf" "args: [$mode]" 'memory: 2MiB' 'vcpus: 1' 'placement:' \
		'  - {cell: cell7, vcpus: [0]}' >"$work/$mode.yaml"
	ctl vm start "$work/$mode.yaml" >"$work/out" 2>&1
	want "a cell-vm that says $mode ends" wait_for 30 vm_is $mode ended
	say "reason: $(vm_field $mode '.reason.cause + ": " + .reason.text')"
	want "with a reason" [ "$(vm_field $mode .reason.text | wc -c)" -gt 10 ]
done
want "its celld lives" alive "${cell_pid[7]}"

want "nothing is left" wait_for 5 no_fragments
done_testing
