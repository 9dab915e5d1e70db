#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: containment_test.sh BUILD. Two VMs on the same three cells. A cell-vm of one is killed, then a celld: only what depended on
# it ends, everywhere and with the right reason; the other VM computes on and its result is right.
# shellcheck source=tests/rack/cluster.sh
. "$(dirname "${BASH_SOURCE[0]}")/cluster.sh"
cluster_up 4 --cpus 8
guests=$build/guests

progressed() { [ "$(ctl vm console "$1" 2>/dev/null | grep -c progress)" -gt "$2" ]; }

say "== kill -9 of one cell-vm"
want "survivor starts" ctl vm start "$(spread survivor "$guests/pulse.elf" 64MiB preserve work 400)"
want "victim starts" ctl vm start "$(spread victim "$guests/pulse.elf" 64MiB preserve spin)"
want "survivor computes" wait_for 20 progressed survivor 0
pid=$(vm_pid victim 1)
others="$(vm_pid victim 0) $(vm_pid victim 2)"
began=$(now_ms)
kill -9 "$pid"
want "victim ends" wait_for 5 vm_is victim ended
say "kill -9 to 'ended' in vm show: $(($(now_ms) - began)) ms"
for other in $others; do want "cell-vm $other is gone" wait_for 5 dead "$other"; done
say "kill -9 to the last cell-vm gone: $(($(now_ms) - began)) ms"
want "within 5 s" [ $(($(now_ms) - began)) -lt 5000 ]
want "the reason is the process" [ "$(vm_field victim .reason.cause)" = process-died ]
want "and names the signal" grep -q "signal 9" <(vm_field victim .reason.text)
want "and the cell" [ "$(vm_field victim .reason.cell)" = cell1 ]
want "vm show says so" grep -q "cell-vm (pid $pid) on cell1 was ended by signal 9" <(ctl vm show victim)
want "survivor runs" vm_is survivor running
flights=("$work"/run?/vm-*.flight)
want "each of the victim's fragments left a flight recording" [ "${#flights[@]}" = 3 ]
want "which replays as it was" "$bin/cellsim" --replay "${flights[@]}" >"$work/replay"
want "the two survivors of the three saw the loss" [ "$(grep -c 'the space ended: m1 ' "$work/replay")" = 2 ]
say "$(grep ' events from ' "$work/replay")"
n=$(ctl vm console survivor | grep -c progress)
want "survivor computes on" wait_for 60 progressed survivor "$n"

say "== kill -9 of a celld the survivor does not use"
want "bystander starts" ctl vm start "$(printf '%s\n' 'name: bystander' "guest: $guests/pulse.elf" 'args: [spin]' \
	'memory: 64MiB' 'vcpus: 2' 'placement:' '  - {cell: cell2, vcpus: [0]}' '  - {cell: cell3, vcpus: [1]}' >"$work/b.yaml"
	echo "$work/b.yaml")"
on_lost=$(vm_pid bystander 1)
on_left=$(vm_pid bystander 0)
began=$(now_ms)
cell_kill 3
want "its cell-vm dies with it" wait_for 5 dead "$on_lost"
want "the other fragment ends" wait_for 5 dead "$on_left"
say "kill -9 of celld to the last cell-vm gone: $(($(now_ms) - began)) ms"
want "bystander ends" wait_for 60 vm_is bystander ended
say "kill -9 of celld to 'ended' in vm show: $(($(now_ms) - began)) ms"
want "with a reason that names the cell" grep -q cell3 <(vm_field bystander '.reason.text + " " + .reason.cell')
say "reason: $(vm_field bystander '.reason.cause + ": " + .reason.text')"
want "survivor runs or is done" [ "$(vm_state survivor)" != ended ]

say "== the survivor's result"
want "exits with 0" ctl -t 120 vm wait survivor
want "and is right" grep -qx "result work sum=4000 right=4000" <(ctl vm console survivor)
want "lets itself be stopped" ctl vm stop survivor
want "nothing is left" wait_for 5 no_fragments
done_testing
