#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: restart_test.sh BUILD. The controller is killed with -9 and started again: VMs run on, vm show is the same but for
# counters, orders work; what ended meanwhile is known with its reason.
# shellcheck source=tests/rack/cluster.sh
. "$(dirname "${BASH_SOURCE[0]}")/cluster.sh"
cluster_up 3 --cpus 8
guests=$build/guests

shown() { ctl -o json vm show "$1" | jq 'del(.fragments[].stat)'; }

want "first VM starts" ctl vm start "$(spread one "$guests/pulse.elf" 64MiB destroy spin)"
want "second VM starts" ctl vm start "$(spread two "$guests/pulse.elf" 64MiB destroy spin)"
want "short VM starts" ctl vm start "$(spread short "$guests/pulse.elf" 64MiB destroy exit 3)"
ctl vm wait short 2>/dev/null
want "short VM ends" wait_for 10 vm_is short ended
for vm in one two short; do shown $vm >"$work/$vm.before"; done
pid=$(vm_pid one 0)
faults() { ctl -o json mem stat one | jq '[.cells[].stat.counters | .read_remote + .write_remote + .upgrade_remote] | add'; }
n=$(faults)

controller_kill
ctl vm list >"$work/out" 2>"$work/err"
want "without it cellctl says 4" [ $? = 4 ]
want "in one sentence" [ "$(wc -l <"$work/err")" = 1 ]
kill -9 "$(jq '.fragments[1].pid' "$work/two.before")"
want "the other runs" alive "$pid"

began=$(now_ms)
controller_start
want "cells come back" wait_for 20 cells_up 3
say "restart to all cells up: $(($(now_ms) - began)) ms"
want "first VM is known as before" diff "$work/one.before" <(shown one)
want "ended VM is known as before" diff "$work/short.before" <(shown short)
want "what died meanwhile is known" wait_for 10 vm_is two ended
want "with its reason" [ "$(vm_field two '.reason.cause + " " + .reason.cell')" = "process-died cell1" ]
more_faults() { [ "$(faults)" -gt "$n" ]; }
want "first VM has run on" wait_for 20 more_faults
want "its console is there" grep -q spinning <(ctl vm console one)
want "vm kill works" ctl vm kill one
want "nothing is left" wait_for 5 no_fragments
want "and a VM starts" ctl vm start "$(spread three "$guests/hello.elf" 64MiB destroy again)"
want "and ends" ctl vm wait three
done_testing
