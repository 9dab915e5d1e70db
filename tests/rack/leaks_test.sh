#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: leaks_test.sh BUILD STARTS. VMs start and end, by themselves and by kill; what celld and the controller hold afterwards is what
# they held after the first ones: descriptors, mappings, children. Of everything that was started only the daemons are left, and
# nothing of it holds a namespace. In a build with the address sanitizer, cell-vm, celld, the controller and cellctl look for leaked
# memory at their ends (LeakSanitizer), and the test counts that they did.
starts=${2:-100}
# shellcheck source=tests/rack/cluster.sh
. "$(dirname "${BASH_SOURCE[0]}")/cluster.sh"
asan=
if grep -q __asan_init "$bin/celld"; then
	asan=1
	# A report a process, PROGRAM.PID; log_threads makes one of each search, whether it finds anything or not.
	export ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=1:log_path=$work/san:log_exe_name=1"
	export LSAN_OPTIONS="${LSAN_OPTIONS:+$LSAN_OPTIONS:}log_threads=1"
fi
ctl() { # as in cluster.sh, but counted
	echo >>"$work/calls"
	"$bin/cellctl" -c "unix:$work/state/ctl.sock" -k "$work/key" "$@"
}
LEAKS_TEST=$work cluster_up 2 # the word is in the environment of the daemons and of all that comes from them
guests=$build/guests
file=$work/leak.yaml
cat >"$file" <<-YAML
	name: leak
	guest: $guests/pulse.elf
	args: [exit, "0"]
	memory: 64MiB
	vcpus: 2
	placement:
	  - {cell: cell0, vcpus: [0]}
	  - {cell: cell1, vcpus: [1]}
YAML
sed 's/^args:.*/args: [spin]/; s/^name:.*/name: spin/' "$file" >"$work/spin.yaml"

spin() { ctl vm start "$work/spin.yaml" >/dev/null; }
kill_spin() { ctl vm kill spin >/dev/null; }
one() { # a VM that ends by itself; every fourth one is killed
	if [ $(($1 % 4)) = 3 ]; then
		spin && kill_spin
	else
		ctl vm start "$file" >/dev/null && ctl vm wait leak >/dev/null
	fi && wait_for 20 no_fragments
}
children() { pgrep -P "$1" | wc -l; }
# The sanitizer's allocator maps more memory as it goes, so there only files count.
mappings() { grep -c "${asan:+/}" "/proc/$1/maps"; }
# What the daemons hold, a line each. The heap of one that remembers 64 ended VMs at most stops growing.
held() {
	local pid
	for pid in "$controller_pid" "${cell_pid[0]}" "${cell_pid[1]}"; do
		printf '%s: fds %s, mappings %s, children %s\n' "$(cat "/proc/$pid/comm")" "$(find "/proc/$pid/fd" -type l | wc -l)" \
			"$(mappings "$pid")" "$(children "$pid")"
	done
}
resident_kib() { awk '/^VmRSS:/ { print $2 }' "/proc/$1/status"; }

# Processes that come from this cluster, and those of their namespaces that are not this shell's. A namespace lives as long as a
# process is in it or holds a descriptor of it (held() counts those).
ours() {
	grep -lzxF "LEAKS_TEST=$work" /proc/[0-9]*/environ 2>/dev/null | tr -dc '0-9\n'
}
own_namespaces() {
	local pid
	for pid in "$@"; do readlink "/proc/$pid/ns/"{cgroup,ipc,mnt,net,pid,user,uts}; done 2>/dev/null |
		grep -vxF "$(readlink /proc/$$/ns/*)" | sort -u
}
only_daemons() { [ "$(ours | sort -n)" = "$(printf '%s\n' "$controller_pid" "${cell_pid[@]}" | sort -n)" ]; }

for ((i = 0; i < 8; i++)); do one $i || wrong "VM $i of the first ones"; done
want "a VM runs" spin
want "its fragments come from this cluster" [ "$(ours | wc -l)" = 5 ]
# shellcheck disable=SC2046
names=$(own_namespaces $(ours) | wc -l)
say "$names namespaces of two fragments"
if cat "$work"/run*/vm-*.log | grep -q 'sandbox: .*, empty root'; then
	want "their mnt, ipc, uts and cgroup" [ "$names" -ge 8 ]
fi
want "it ends" kill_spin
want "and is gone" wait_for 20 no_fragments
before=$(held)
for pid in "$controller_pid" "${cell_pid[@]}"; do rss_before+=("$(resident_kib "$pid")"); done
done_n=0
for ((i = 0; i < starts; i++)); do
	one $i && done_n=$((done_n + 1))
done
say "$done_n VMs started and ended"
want "all of them" [ $done_n = "$starts" ]
after=$(held)
say "$after"
[ "$before" = "$after" ] || wrong "before it was: $before"
want "of all processes the daemons are left" wait_for 20 only_daemons
# shellcheck disable=SC2046
want "and no namespace" [ -z "$(own_namespaces $(ours))" ]
for pid in $(ours); do
	case " $controller_pid ${cell_pid[*]} " in
	*" $pid "*) ;;
	*)
		say "left: $pid $(tr '\0' ' ' <"/proc/$pid/cmdline")"
		kill -9 "$pid"
		;;
	esac
done
want "no memory is left promised" [ "$(ctl -o json status | jq .memory_used)" = 0 ]
i=0
for pid in "$controller_pid" "${cell_pid[@]}"; do
	say "$(cat "/proc/$pid/comm"): resident ${rss_before[i]} KiB before, $(resident_kib "$pid") KiB after"
	i=$((i + 1))
done

# The end, looked at: 0, and no word of the leak checker.
ends_well() {
	kill "$1"
	wait "$1"
}
for i in 0 1; do
	want "cell$i ends with 0" ends_well "${cell_pid[$i]}"
	unset "cell_pid[$i]"
done
want "the controller ends with 0" ends_well "$controller_pid"
controller_pid=
reports=$(grep -lE 'LeakSanitizer|AddressSanitizer|runtime error' "$work"/*.log "$work"/run*/*.log "$work"/san.* 2>/dev/null)
want "nothing leaked" [ -z "$reports" ]
for report in $reports; do
	say "--- ${report#"$work"/}"
	grep -vE 'Processing thread|(Stack|TLS) at|^$' "$report" | head -n 25
done | head -n 100

searched() { grep -l 'Processing thread' "$work/san.$1".* 2>/dev/null | wc -l; }
if [ -n "$asan" ]; then
	vms=$((8 + 1 + starts)) late=$(cat "$work"/cell?.log | grep -c 'does not end: killed')
	fragments=$(searched cell-vm) calls=$(wc -l <"$work/calls")
	say "leaks were looked for at the end of $fragments of $((2 * vms)) fragments ($late were killed by celld)," \
		"$(searched celld) celld, $(searched cell-controller) controller, $(searched cellctl) cellctl"
	# All, but a machine under load may be too slow for one: celld kills it, or its vCPUs stand still and it must not wait.
	want "of nearly all fragments" [ $((10 * fragments)) -ge $((9 * 2 * vms)) ]
	want "of both celld" [ "$(searched celld)" = 2 ]
	want "of the controller" [ "$(searched cell-controller)" = 1 ]
	want "of all $calls cellctl" [ "$(searched cellctl)" = "$calls" ]
fi
done_testing
