#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: leaks_test.sh BUILD STARTS. VMs start and end, by themselves and by kill; what celld and the controller hold afterwards is what
# they held after the first ones: descriptors, mappings, children, memory; and the machine has the processes and namespaces it had.
# In a build with the address sanitizer the leak checker looks through each daemon at its end.
starts=${2:-100}
# shellcheck source=tests/rack/cluster.sh
. "$(dirname "${BASH_SOURCE[0]}")/cluster.sh"
cluster_up 2
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

one() { # a VM that ends by itself; every fourth one is killed
	if [ $(($1 % 4)) = 3 ]; then
		ctl vm start "$work/spin.yaml" >/dev/null && ctl vm kill spin >/dev/null
	else
		ctl vm start "$file" >/dev/null && ctl vm wait leak >/dev/null
	fi && wait_for 20 no_fragments
}
children() { pgrep -P "$1" | wc -l; }
# What the daemons hold, a line each. The heap of one that remembers 64 ended VMs at most stops growing.
held() {
	local pid
	for pid in "$controller_pid" "${cell_pid[0]}" "${cell_pid[1]}"; do
		printf '%s: fds %s, mappings %s, children %s\n' "$(cat "/proc/$pid/comm")" "$(find "/proc/$pid/fd" -type l | wc -l)" \
			"$(wc -l <"/proc/$pid/maps")" "$(children "$pid")"
	done
}
namespaces() { find /proc/[0-9]*/ns -type l -printf '%l\n' 2>/dev/null | grep -E '^(mnt|ipc|uts|cgroup|user):' | sort -u | wc -l; }
resident_kib() { awk '/^VmRSS:/ { print $2 }' "/proc/$1/status"; }

for ((i = 0; i < 8; i++)); do one $i || wrong "VM $i of the first ones"; done
before=$(held)
names_before=$(namespaces)
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
say "namespaces of the machine: $names_before before, $(namespaces) after (others may come and go)"
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
want "nothing leaked" [ -z "$(grep -hE 'LeakSanitizer|AddressSanitizer|runtime error' "$work"/*.log)" ]
done_testing
