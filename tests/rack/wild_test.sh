#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: wild_test.sh BUILD. Guests that do what a guest must not, through controller, celld and cell-vm: each ends alone with its
# reason, or is refused what it wants and ends in order, or is killed; 100000 writes to the console cost celld and controller nothing.
# Another VM on the same cells computes on, and is right. What each act is: tests/guests/hostile.c.
# shellcheck source=tests/rack/cluster.sh
. "$(dirname "${BASH_SOURCE[0]}")/cluster.sh"
cluster_up 3 --cpus 16
guests=$build/guests

want "survivor starts" ctl vm start "$(spread survivor "$guests/pulse.elf" 64MiB preserve work 2000)"
survivor_pids="$(vm_pid survivor 0) $(vm_pid survivor 1) $(vm_pid survivor 2)"
survivor_is_there() {
	local pid
	for pid in $survivor_pids; do alive "$pid" || return 1; done
}
start() { ctl vm start "$(spread "$1" "$guests/$2" 64MiB destroy "${@:3}")"; }
ended() { vm_is "$1" ended; }

# ends_with CAUSE TEXT CELL ACT [VCPU]: the VM ends by itself, for this reason, there.
ends_with() {
	local cause=$1 text=$2 cell=$3 act=$4 where=${5:-0}
	start "$act" hostile.elf "$act" "$where" >"$work/out" 2>&1
	want "$act ends" wait_for 30 ended "$act"
	say "$act: $(vm_field "$act" '.reason.cause + " on " + .reason.cell + ": " + .reason.text')"
	want "$act: the cause is $cause" [ "$(vm_field "$act" .reason.cause)" = "$cause" ]
	want "$act: it says $text" grep -qF "$text" <(vm_field "$act" .reason.text)
	want "$act: on $cell" [ "$(vm_field "$act" .reason.cell)" = "$cell" ]
}

say "== faults"
ends_with guest-fault "page fault reading 0x10" cell0 read-null
ends_with guest-fault "page fault writing 0x1000" cell1 write-tables 2
ends_with guest-fault "page fault reading 0x4200000" cell2 read-beyond 3
ends_with guest-fault "page fault executing 0x7777777000" cell1 jump-nowhere 2
ends_with guest-fault "illegal instruction" cell2 undefined 3
ends_with guest-fault "division by zero" cell0 divide 1
ends_with guest-fault "protection fault" cell1 halt 2
ends_with guest-fault "protection fault" cell0 stray-port
ends_with guest-fault "protection fault" cell2 fake-exception 3
ends_with guest-fault "page fault writing 0x8" cell0 bad-stack

say "== wild request blocks"
ends_with guest-fault "request block at 0x1000, outside memory" cell2 block-local 3
ends_with guest-fault "request block at 0x4200000, outside memory" cell0 block-beyond
ends_with guest-fault "request block at 0x3fffffffc0" cell1 block-wild 2
ends_with guest-fault "read from port 0xce0" cell0 monitor-port-read
ends_with guest-fault "write to port 0xce0" cell2 monitor-port-byte 3
ends_with exit "exited with code 0" cell0 bad-requests
ends_with exit "exited with code 0" cell0 random-requests 2

say "== a triple fault"
# A guest cannot reach the table of its exceptions (512 bytes at guest address 0x4000), so the test takes it away, through the process:
# the mapping of 64 MiB is the coherent memory, which begins at guest address 2 MiB.
coherent_memory() {
	local low high rest
	while IFS='- ' read -r low high rest; do
		[ $((16#$high - 16#$low)) = $((64 << 20)) ] && echo $((16#$low))
	done < <(grep 'rw-p .* 0 *$' "/proc/$1/maps")
}
take_away() {
	head -c 512 /dev/zero | dd of="/proc/$1/mem" bs=512 seek=$(($2 - (2 << 20) + 0x4000)) oflag=seek_bytes conv=notrunc status=none
}
if [ "$(id -u)" = 0 ]; then
	want "the guest starts" start triple hostile.elf undefined-later
	pid=$(vm_pid triple 0)
	memory=$(coherent_memory "$pid")
	want "there is one mapping of its size" [ "$(wc -w <<<"$memory")" = 1 ]
	want "the table is taken away" take_away "$pid" "$memory"
	want "in time" vm_is triple running
	want "it ends" wait_for 30 ended triple
	say "triple: $(vm_field triple '.reason.cause + " on " + .reason.cell + ": " + .reason.text')"
	want "with a triple fault" grep -q "triple fault" <(vm_field triple .reason.text)
else
	say "not tested: only root reaches another process's memory"
fi

say "== what ends only from outside"
for act in loop sleep wake-flood console-flood; do
	want "$act starts" start "$act" hostile.elf "$act" all
	sleep 1
	want "$act runs" vm_is "$act" running
	began=$(now_ms)
	want "$act is killed" ctl vm kill "$act"
	ms=$(($(now_ms) - began))
	say "$act: vm kill took $ms ms, stated: 5000"
	want "$act: in time" [ $ms -le 25000 ]
	want "$act: the cause is the kill" [ "$(vm_field "$act" .reason.cause)" = killed ]
done

say "== 100000 writes to the console"
rss() { awk '/^VmRSS:/ { print $2 }' "/proc/$1/status"; }
daemons="$controller_pid ${cell_pid[*]}"
declare -A before
for pid in $daemons; do before[$pid]=$(rss "$pid"); done
want "the writer starts" start writer pulse.elf chat 100000
want "and exits with 0" ctl -t 200 vm wait writer
for pid in $daemons; do
	after=$(rss "$pid")
	say "$(cat "/proc/$pid/comm") $pid: ${before[$pid]} KiB before, $after KiB after"
	want "grown by less than 1 MiB" [ $((after - before[$pid])) -lt 1024 ]
done
ctl vm console writer >"$work/console" 2>"$work/note"
want "the console ends with the last line" [ "$(tail -n 1 "$work/console")" = "line 0099999" ]
want "it is a ring of 256 KiB" [ "$(wc -c <"$work/console")" -le 262144 ]
want "and not less" [ "$(wc -c <"$work/console")" -ge 262000 ]
want "cellctl says that older bytes are gone" [ -s "$work/note" ]

say "== the survivor"
want "its processes are the same" survivor_is_there
say "survivor is $(vm_state survivor)"
want "it exits with 0" ctl -t 200 vm wait survivor
want "and is right" grep -qx "result work sum=20000 right=20000" <(ctl vm console survivor)
want "it lets itself be stopped" ctl vm stop survivor
want "nothing is left" wait_for 5 no_fragments
done_testing
