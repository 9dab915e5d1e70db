#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: sandbox_test.sh BUILD. What a running cell-vm still may: every thread of every fragment of a VM that computes over three cells
# is looked at; then one of them is made to make a forbidden call, and only its VM ends, with a reason that names the call.
# shellcheck source=tests/rack/cluster.sh
. "$(dirname "${BASH_SOURCE[0]}")/cluster.sh"
[ "$(id -u)" = 0 ] || skip "wants root: only root becomes other users"
grep -q '^CELLULAR_SANITIZE:STRING=$' "$build/CMakeCache.txt" || skip "builds with a sanitizer have no sandbox"
cluster_up 3 --cpus 8 --vm-uids 71000-71001
guests=$build/guests
progressed() { [ "$(ctl vm console "$1" 2>/dev/null | grep -c progress)" -gt "$2" ]; }

# field TID-STATUS NAME: the value, tabs as spaces.
field() { sed -n "s/^$2:[[:space:]]*//p" "$1" | tr -s '\t' ' ' | sed 's/ *$//'; }
# fields STATUS UID: what is not as promised.
unkept() {
	local none=0000000000000000 name
	[ "$(field "$1" Uid)" = "$2 $2 $2 $2" ] || echo "Uid: $(field "$1" Uid)"
	[ "$(field "$1" Gid)" = "$2 $2 $2 $2" ] || echo "Gid: $(field "$1" Gid)"
	[ -z "$(field "$1" Groups)" ] || echo "Groups: $(field "$1" Groups)"
	for name in CapInh CapPrm CapEff CapBnd CapAmb; do
		[ "$(field "$1" $name)" = $none ] || echo "$name: $(field "$1" $name)"
	done
	[ "$(field "$1" NoNewPrivs)" = 1 ] || echo "NoNewPrivs: $(field "$1" NoNewPrivs)"
	[ "$(field "$1" Seccomp)" = 2 ] || echo "Seccomp: $(field "$1" Seccomp)"
	[ "$(field "$1" Seccomp_filters)" = 2 ] || echo "Seccomp_filters: $(field "$1" Seccomp_filters)"
}
# threads PID UID: looks at each thread; prints how many there were.
threads() {
	local task n=0 bad=''
	for task in /proc/"$1"/task/*; do
		bad+=$(unkept "$task/status" "$2")
		[ -z "$(ls -A "$task/root/")" ] || bad+="root: not empty"
		n=$((n + 1))
	done
	[ -z "$bad" ] || wrong "pid $1: $bad"
	echo $n
}
# priorities PID: name and nice value of its threads, each kind once.
priorities() {
	local task
	for task in /proc/"$1"/task/*; do
		echo "$(cat "$task/comm")=$(sed 's/.*) //' "$task/stat" | cut -d' ' -f17)"
	done | grep -v '^kvm-' | sort -u | paste -sd' ' # kvm-*: the kernel's own thread
}
namespace() { readlink "/proc/$1/ns/$2"; }

say "== a VM that computes"
want "starts" ctl vm start "$(spread one "$guests/pulse.elf" 64MiB preserve work 400)"
want "computes" wait_for 20 progressed one 0
for member in 0 1 2; do
	pid=$(vm_pid one $member)
	say "fragment $member (pid $pid): $(threads "$pid" 71000) threads"
	for ns in mnt ipc uts cgroup; do
		want "has its own $ns namespace" [ "$(namespace "$pid" $ns)" != "$(namespace "${cell_pid[$member]}" $ns)" ]
	done
	want "and its cell's network" [ "$(namespace "$pid" net)" = "$(namespace "${cell_pid[$member]}" net)" ]
	want "no core" grep -qE '^Max core file size +0 +0 ' "/proc/$pid/limits"
	want "no locked memory" grep -qE '^Max locked memory +0 +0 ' "/proc/$pid/limits"
	say "priorities: $(priorities "$pid")"
	want "only the thread that serves faults goes first" [ "$(priorities "$pid")" = "cell-vm=0 dsm=-20" ]
	want "said so" grep -q "sandbox: uid 71000, no capabilities, empty root" "$work/run$member"/vm-*.log
done

say "== a second one beside it"
want "starts" ctl vm start "$(spread two "$guests/pulse.elf" 64MiB destroy spin)"
pid=$(vm_pid two 1)
want "is another user" [ "$(field "/proc/$pid/status" Uid)" = "71001 71001 71001 71001" ]
say "a third one finds no user left"
ctl vm start "$(spread three "$guests/pulse.elf" 64MiB destroy spin)" 2>"$work/err"
want "and says so" grep -q "all 2 uids for fragments are taken (--vm-uids)" "$work/err"

say "== a forbidden call"
forbid() { "$build/tests/forbid" "$@"; }
want "is made" wait_for 20 forbid "$pid" 257
want "ends the VM" wait_for 20 vm_is two ended
vm_field two .reason.text
want "the reason is the process" [ "$(vm_field two .reason.cause)" = process-died ]
want "on its cell" [ "$(vm_field two .reason.cell)" = cell1 ]
want "it is said in words" grep -q "system call that its sandbox forbids" <(vm_field two .reason.text)
want "the call is named" grep -q "system call 257 (openat)" <(vm_field two .reason.text)
want "the uid is free again" ctl vm start "$(spread four "$guests/pulse.elf" 64MiB destroy spin)"
pid=$(vm_pid four 0)
want "a foreign ioctl" wait_for 20 forbid "$pid" 16 0xae01
want "ends the VM" wait_for 20 vm_is four ended
want "and is named with its number" grep -q "system call 16 (ioctl) with arguments 0x[0-9a-f]*, 0xae01" <(vm_field four .reason.text)
want "the first VM computes to its end, and is right" ctl -t 120 vm wait one

say "== celld dies"
want "starts" ctl vm start "$(spread five "$guests/pulse.elf" 64MiB destroy spin)"
pid=$(vm_pid five 2)
cell_kill 2
want "a fragment of another user dies with it" wait_for 20 dead "$pid"
done_testing
