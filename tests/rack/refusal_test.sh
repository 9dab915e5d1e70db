#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: refusal_test.sh BUILD. What cannot be done is refused in one sentence, with the right exit code, and leaves nothing behind.
# shellcheck source=tests/rack/cluster.sh
. "$(dirname "${BASH_SOURCE[0]}")/cluster.sh"
cluster_up 3
guests=$build/guests

# refused STATUS PATTERN COMMAND...: the command fails with this status and one line on stderr that matches.
refused() {
	local status=$1 pattern=$2 got
	shift 2
	"$@" >"$work/out" 2>"$work/err"
	got=$?
	if [ $got = "$status" ] && [ "$(wc -l <"$work/err")" = 1 ] && grep -qE "$pattern" "$work/err"; then
		say "ok $status: $(sed "s|$work/||g" "$work/err")"
	else
		wrong "want $status and '$pattern', got $got and '$(cat "$work/err")': $*"
	fi
}
edit() { sed "$1" "$work/good.yaml" >"$work/$2.yaml" && echo "$work/$2.yaml"; }
spread good "$guests/hello.elf" 64MiB destroy >/dev/null

say "== the VM file"
refused 3 'No such file' ctl vm start "$work/none.yaml"
refused 2 'typo.yaml:5: unknown key' ctl vm start "$(edit 's/^vcpus:/vcpuz:/' typo)"
refused 2 'four.yaml:5: .vcpus. must be' ctl vm start "$(edit 's/^vcpus: 4/vcpus: four/' four)"
refused 2 'twice.yaml:8: vCPU 0 is placed twice' ctl vm start "$(edit 's/\[2\]/[0]/' twice)"

say "== the VM"
refused 3 'nowhere.elf' ctl vm start "$(edit 's|hello.elf|nowhere.elf|' nowhere)"
refused 1 'cell|memory' ctl vm start "$(edit 's/^memory: .*/memory: 64GiB/' memory)"
head -c 8388608 /dev/zero >"$work/big" && printf 'files:\n  - {name: big, path: big}\n' >"$work/tail"
refused 1 'memory|large|fit' ctl vm start "$(sed 's/^memory: .*/memory: 8MiB/' "$work/good.yaml" | cat - "$work/tail" >"$work/large.yaml"
	echo "$work/large.yaml")"
refused 2 'not an ELF' ctl vm start "$(edit 's|guest: .*|guest: /etc/passwd|' text)"
refused 3 'mars' ctl vm start "$(edit 's/cell: cell1/cell: mars/' mars)"
refused 3 'nobody' ctl vm show nobody
refused 3 'nobody' ctl vm kill nobody
refused 3 'mars' ctl cell show mars
want "a VM takes the name" ctl vm start "$(spread taken "$guests/pulse.elf" 64MiB destroy spin)"
refused 7 'taken' ctl vm start "$work/taken.yaml"
want "and gives it back" ctl vm kill taken
want "no fragment is left" wait_for 5 no_fragments
want "no VM is left" [ "$(ctl -o json vm list | jq '[.[] | select(.state != "ended")] | length')" = 0 ]
want "no memory is left promised" [ "$(ctl -o json status | jq .memory_used)" = 0 ]

say "== the command line"
refused 2 'no verb' ctl vm fly
refused 2 'usage' ctl vm show
refused 4 'controller' "$bin/cellctl" -c "unix:$work/none.sock" -k "$work/key" vm list
refused 4 'controller' "$bin/cellctl" -c tcp:127.0.0.1:1 -k "$work/key" vm list
refused 2 'address|unix' "$bin/cellctl" -c nonsense -k "$work/key" vm list
refused 3 'key' "$bin/cellctl" -c "unix:$work/state/ctl.sock" -k "$work/none" vm list
(umask 077 && head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n' >"$work/other-key")
refused 6 'key|controller' "$bin/cellctl" -c "unix:$work/state/ctl.sock" -k "$work/other-key" vm list

say "== the daemons"
celld() { "$bin/celld" --name cellx --controller "unix:$work/state/ctl.sock" --key "$work/key" --data 127.0.0.9 --run "$work/runx" "$@"; }
refused 2 'missing' "$bin/celld" --name x
refused 3 'no address of this machine' celld --data 192.0.2.1
refused 7 'another celld' celld --run "$work/run0"
refused 3 'there is no .*/none' celld --cell-vm "$work/none"
refused 2 'size' celld --memory 3potatoes
refused 7 "." "$bin/cell-controller" --state "$work/state" --key "$work/key"
"$bin/cell-controller" --state "$work/state2" --key "$work/key2" --listen tcp:127.0.0.1:0 --ready-file "$work/ready2" 2>"$work/c2.log" &
second=$!
if wait_for 10 test -s "$work/ready2"; then
	port=$(grep -o 'tcp:.*' "$work/ready2")
	refused 7 "in use" "$bin/cell-controller" --state "$work/state3" --key "$work/key3" --listen "$port"
else
	wrong "the second controller does not start"
fi
end_process $second

say "== rights"
# Another user without a capability, who can open /dev/kvm (a node of his own, in a mount namespace) but not userfaultfd.
chmod 755 "$work"
install -m 600 -o nobody "$work/key" "$work/nobody-key" 2>/dev/null
mkdir -p "$work/nobody" "$work/dev" && chown nobody "$work/nobody" 2>/dev/null
cat >"$work/as_nobody" <<-SH
	mount -t tmpfs -o mode=755 none "$work/dev" && mknod "$work/dev/kvm" c 10 232 &&
		chown nobody "$work/dev/kvm" && mount --bind "$work/dev/kvm" /dev/kvm || exit 99
	exec setpriv --reuid=nobody --regid=nogroup --clear-groups --no-new-privs "\$@"
SH
as_nobody() { unshare -m sh "$work/as_nobody" "$@"; }
if [ "$(id -u)" != 0 ] || ! as_nobody "$bin/celld" --version >/dev/null 2>&1 || ! as_nobody test -w /dev/kvm 2>/dev/null; then
	say "not tested: cannot become another user who reaches $bin and /dev/kvm"
elif as_nobody test -r /dev/userfaultfd || [ "$(cat /proc/sys/vm/unprivileged_userfaultfd)" = 1 ]; then
	say "not tested: everybody may use userfaultfd here"
else
	refused 6 'no right to userfaultfd' as_nobody "$bin/celld" --name cellx --controller "unix:$work/state/ctl.sock" \
		--key "$work/nobody-key" --data 127.0.0.9 --run "$work/nobody/run"
	want "it made nothing" [ ! -e "$work/nobody/run" ]
fi
want "three cells as before" cells_up 3
want "a VM runs as before" ctl vm start "$work/good.yaml"
want "and ends" ctl vm wait good
done_testing
