#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: vm_test.sh BUILD. One VM over three cells: it runs, it is shown, it ends in every way a user can end it.
# shellcheck source=tests/rack/cluster.sh
. "$(dirname "${BASH_SOURCE[0]}")/cluster.sh"
cluster_up 3
guests=$build/guests

say "== hello over 2/1/1"
began=$(now_ms)
want "starts" ctl vm start "$(spread hello "$guests/hello.elf" 64MiB preserve rack)"
want "exits with 0" ctl vm wait hello
say "start to end: $(($(now_ms) - began)) ms"
ctl vm console hello >"$work/out"
for v in 0 1 2 3; do want "vCPU $v said hello" grep -qx "hello rack from vcpu $v of 4" "$work/out"; done
want "all greeted" grep -qx "result hello greeted=4" "$work/out"
want "is preserved" vm_is hello exited
want "places are as named" [ "$(vm_field hello '[.fragments[] | .cell + ":" + (.vcpus | join("+"))] | join(" ")')" = \
	"cell0:0+1 cell1:2 cell2:3" ]
want "exposure names three cells" [ "$(vm_field hello '[.exposure[].cell] | join(" ")')" = "cell0 cell1 cell2" ]
want "every cell took remote faults" [ "$(ctl -o json mem stat hello | jq '[.cells[].stat.counters
	| .read_remote + .write_remote + .upgrade_remote > 0] | all')" = true ]
ctl mem stat hello --hot >"$work/hot"
want "hot pages have addresses and cells" grep -qE '^ *0x[0-9a-f]+ +[0-9]+ +[0-9]+ +[0-9]+ +cell[012] [0-9]' "$work/hot"
want "and as JSON, most faults first" [ "$(ctl -o json mem stat hello | jq '[.cells[].stat.hot | [.[].faults] |
	length > 0 and . == (sort | reverse)] | all')" = true ]
ctl mem map hello --width 80 >"$work/map"
want "the map shows all three" [ "$(grep -cE '^  [ABC]  cell' "$work/map")" = 3 ]
want "the map accounts for every page" [ "$(ctl -o json mem map hello | jq '([.cells[].owned_pages] | add) <= .pages')" = true ]
want "a preserved VM is stopped" ctl vm stop hello
want "its fragments are gone" wait_for 5 no_fragments
want "its record stays" vm_is hello ended
want "its console stays" grep -qx "result hello greeted=4" <(ctl vm console hello)

say "== exit code"
want "starts" ctl vm start "$(spread seven "$guests/pulse.elf" 64MiB destroy exit 7)"
ctl vm wait seven 2>"$work/err"
want "wait says 1" [ $? = 1 ]
want "and the code" grep -q "the guest exited with code 7" "$work/err"
want "fragments are gone" wait_for 5 no_fragments

say "== endless loop"
want "starts" ctl vm start "$(spread spin "$guests/pulse.elf" 64MiB destroy spin)"
want "spins" wait_for 20 grep -q spinning <(ctl -t 20 vm console spin --follow 2>/dev/null | head -n 1)
ctl -t 0.3 vm wait spin 2>/dev/null
want "wait gives up with 5" [ $? = 5 ]
began=$(now_ms)
want "is killed" ctl vm kill spin
want "fragments are gone" wait_for 5 no_fragments
say "kill to the last process gone: $(($(now_ms) - began)) ms"
want "reason is killed" [ "$(vm_field spin .reason.cause)" = killed ]

say "== console ring"
want "starts" ctl vm start "$(spread chat "$guests/pulse.elf" 64MiB destroy chat 30000)"
want "exits with 0" ctl vm wait chat
ctl vm console chat >"$work/out" 2>"$work/err"
want "the last 256 KiB are kept" [ "$(stat -c %s "$work/out")" = 262144 ]
want "the last line is there" [ "$(tail -n 1 "$work/out")" = "line 0029999" ]
want "lines are in order" diff -q <(tail -n 20000 "$work/out") <(seq -f 'line %07.0f' 10000 29999)
want "and cellctl says what is gone" grep -q "127856 bytes before this are gone" "$work/err"
done_testing
