#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: isolation_test.sh BUILD. From /proc: no two cell-vm processes share a writable or shared mapping, a memfd, a pipe or a socket
# pair: what one knows of another came over TCP.
# shellcheck source=tests/rack/cluster.sh
. "$(dirname "${BASH_SOURCE[0]}")/cluster.sh"
cluster_up 3 --cpus 8
guests=$build/guests

# Their vCPUs sleep: what is looked at is there from the start, and eight that compute would only keep others from it.
want "first VM starts" ctl vm start "$(spread one "$guests/hostile.elf" 64MiB destroy sleep all)"
want "second VM starts" ctl vm start "$(spread two "$guests/hostile.elf" 64MiB destroy sleep all)"
mapfile -t pids < <(fragments)
want "there are six fragments" [ ${#pids[@]} = 6 ]

# Files behind mappings that are shared (the 's' of the permissions). All anonymous inodes (a vCPU's kvm_run page) have the same
# number whatever they are, and none of them can be had by another process without its descriptor, which is looked for below.
shared_mappings() { awk '$2 ~ /s$/ && $5 != 0 && $6 !~ /^anon_inode:/ { print $4 ":" $5 }' "/proc/$1/maps"; }
# Writable private mappings of a file are not shared, but their file must be a program or a library.
odd_files() { awk '$5 != 0 && $6 !~ /\.so|\/cell-vm$/ && $2 !~ /s$/ { print $6 }' "/proc/$1/maps"; }
# What descriptors name: sockets, pipes, memfds, files. Devices and /dev/null hold nothing of another process.
descriptors() {
	local fd
	for fd in /proc/"$1"/fd/*; do
		case $(readlink "$fd") in
		/memfd:*) stat -L -c 'memfd:%i' "$fd" ;; # its name says nothing: the flight recorder of each has the same
		*) readlink "$fd" ;;
		esac
	done | grep -vE '^/dev/(null|kvm|userfaultfd)$|^anon_inode:' | sort -u
}

for pid in "${pids[@]}"; do
	shared_mappings "$pid" | sort -u >"$work/maps.$pid"
	descriptors "$pid" >"$work/fds.$pid"
	want "$pid maps no stray file" [ -z "$(odd_files "$pid")" ]
	want "$pid has a control socket" grep -q '^socket:' "$work/fds.$pid"
done
for a in "${pids[@]}"; do
	for b in "${pids[@]}"; do
		[ "$a" -lt "$b" ] || continue
		want "$a and $b share no mapping" [ -z "$(comm -12 "$work/maps.$a" "$work/maps.$b")" ]
		want "$a and $b share no descriptor" [ -z "$(comm -12 "$work/fds.$a" "$work/fds.$b")" ]
	done
done

# A socket pair has two inodes: no fragment may hold the other end of another one's. They reach their peers by TCP.
if command -v ss >/dev/null; then
	ss -xnpH >"$work/unix"
	ss -tnpH >"$work/tcp"
	for pid in "${pids[@]}"; do
		awk -v p="pid=$pid," 'index($0, p) { print $8 }' "$work/unix" | sort -u >"$work/peers.$pid"
		awk -v p="pid=$pid," 'index($0, p) { print $6 }' "$work/unix" | sort -u >"$work/ends.$pid"
		want "$pid has unix sockets" [ -s "$work/ends.$pid" ]
		want "$pid talks TCP" grep -q "pid=$pid," "$work/tcp"
	done
	for a in "${pids[@]}"; do
		for b in "${pids[@]}"; do
			want "$a holds no other end of $b" [ -z "$(comm -12 "$work/peers.$a" "$work/ends.$b")" ]
		done
	done
fi

# The proof can fail: two processes that do share are found.
sleep 60 3<>"$work/both" >"$work/both" &
x=$!
sleep 60 3<>"$work/both" >"$work/both" &
y=$!
descriptors $x >"$work/x" && descriptors $y >"$work/y"
want "two that share are found" [ -n "$(comm -12 "$work/x" "$work/y")" ]
kill $x $y

want "first VM is killed" ctl vm kill one
want "second VM is killed" ctl vm kill two
want "nothing is left" wait_for 5 no_fragments
done_testing
