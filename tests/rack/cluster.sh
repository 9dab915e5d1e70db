#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A whole cluster on one machine, for tests: sourced, not run. The first argument of the sourcing script is the build directory.
#
#   cluster_up N [CELLD-OPTION...]  a controller and cells cell0 .. cell(N-1) on 127.0.0.1, 127.0.0.2, ...; returns when all are up
#   controller_start, controller_kill, cell_start I [OPTION...], cell_kill I; controller_options=(...) are given to each start
#   ctl ARG...                      cellctl on this cluster
#   vm_pid VM MEMBER, vm_state VM, vm_field VM JQ-EXPRESSION
#   wait_for SECONDS COMMAND...     polls until it succeeds
#   want WHAT COMMAND...            a check: goes on, but the test fails at the end
#   done_testing                    the last line
#
# Whatever happens, leaving the script ends every process it started, by pid, and fails if a fragment is left.
set -u -o pipefail

build=$(cd "${1:?the build directory}" && pwd) || exit 1
bin=$build/bin
export CELLULAR_LOG=${CELLULAR_LOG:-info}

skip() {
	echo "SKIP: $*"
	exit 77
}
[ -e /dev/kvm ] || skip "no /dev/kvm"
[ -w /dev/kvm ] || skip "no right to /dev/kvm"
command -v jq >/dev/null || skip "jq is not installed"
for program in cell-controller celld cell-vm cellctl; do [ -x "$bin/$program" ] || skip "$program is not built"; done

work=$(mktemp -d /tmp/cellular-rack.XXXXXX) || exit 1
failed=0
controller_pid=
controller_options=()
declare -A cell_pid=()

say() { printf '%s\n' "$*"; }

wrong() {
	say "WRONG: $*"
	failed=1
}

# Milliseconds of a clock that does not jump.
now_ms() { awk '{ printf "%d\n", $1 * 1000 }' /proc/uptime; }

wait_for() {
	local end=$(($(now_ms) + $1 * 1000))
	shift
	until "$@" >/dev/null 2>&1; do
		[ "$(now_ms)" -lt "$end" ] || return 1
		sleep 0.02
	done
}

want() {
	local what=$1
	shift
	if "$@"; then say "ok: $what"; else wrong "$what"; fi
}

alive() { kill -0 "$1" 2>/dev/null && [ "$(awk '/^State:/ { print $2 }' "/proc/$1/status" 2>/dev/null)" != Z ]; }
dead() { ! alive "$1"; }

# end_process PID: asks, then insists.
end_process() {
	kill "$1" 2>/dev/null || return 0
	wait_for 5 dead "$1" || kill -9 "$1" 2>/dev/null
	wait "$1" 2>/dev/null
}

# Fragments of this cluster: processes whose log lies in its directory.
fragments() {
	local fd
	for fd in /proc/[0-9]*/fd/2; do
		case $(readlink "$fd" 2>/dev/null) in
		"$work"/run*/vm-*) fd=${fd#/proc/} && echo "${fd%/fd/2}" ;;
		esac
	done
}
no_fragments() { [ -z "$(fragments)" ]; }

cluster_down() {
	local status=$? pid
	trap - EXIT INT TERM
	for pid in "${cell_pid[@]}"; do kill "$pid" 2>/dev/null; done
	for pid in "${cell_pid[@]}"; do end_process "$pid"; done
	[ -z "$controller_pid" ] || end_process "$controller_pid"
	if ! wait_for 5 no_fragments; then
		say "WRONG: fragments are left: $(fragments | tr '\n' ' ')"
		for pid in $(fragments); do kill -9 "$pid"; done
		status=1
	fi
	if [ $status != 0 ] && [ $status != 77 ]; then
		say "--- logs"
		tail -n 25 "$work"/*.log
	fi
	rm -rf "$work"
	exit $status
}
trap cluster_down EXIT
trap 'exit 130' INT TERM

ctl() { "$bin/cellctl" -c "unix:$work/state/ctl.sock" -k "$work/key" "$@"; }

controller_start() {
	rm -f "$work/controller.ready"
	"$bin/cell-controller" --state "$work/state" --key "$work/key" --ready-file "$work/controller.ready" \
		"${controller_options[@]}" >>"$work/controller.log" 2>&1 &
	controller_pid=$!
	wait_for 20 test -s "$work/controller.ready" || { wrong "the controller does not start"; exit 1; }
}

controller_kill() {
	kill -9 "$controller_pid"
	wait "$controller_pid" 2>/dev/null
	controller_pid=
}

cell_start() {
	local i=$1
	shift
	rm -f "$work/cell$i.ready"
	"$bin/celld" --name "cell$i" --controller "unix:$work/state/ctl.sock" --key "$work/key" --data "127.0.0.$((i + 1))" \
		--run "$work/run$i" --memory 1GiB --cpus 4 --ready-file "$work/cell$i.ready" "$@" >>"$work/cell$i.log" 2>&1 &
	cell_pid[$i]=$!
	wait_for 20 test -s "$work/cell$i.ready" || { wrong "celld cell$i does not start"; exit 1; }
}

cell_kill() {
	kill -9 "${cell_pid[$1]}"
	wait "${cell_pid[$1]}" 2>/dev/null
	unset "cell_pid[$1]"
}

cells_up() { [ "$(ctl -o json cell list | jq '[.[] | select(.state == "up")] | length')" = "$1" ]; }

cluster_up() {
	local n=$1 i
	shift
	controller_start
	for ((i = 0; i < n; i++)); do cell_start "$i" "$@"; done
	wait_for 20 cells_up "$n" || { wrong "not all cells are up"; exit 1; }
}

vm_field() { ctl -o json vm show "$1" | jq -r "$2"; }
vm_state() { vm_field "$1" .state; }
vm_pid() { vm_field "$1" ".fragments[] | select(.member == $2) | .pid"; }
vm_is() { [ "$(vm_state "$1")" = "$2" ]; }

# spread NAME GUEST MEMORY ON-EXIT ARG...: writes a VM file with 4 vCPUs on cells 0, 1 and 2 as 2/1/1; prints its path.
spread() {
	local file=$work/$1.yaml name=$1 guest=$2 memory=$3 on_exit=$4 list
	shift 4
	list=$(printf '"%s", ' "$@")
	cat >"$file" <<-YAML
		name: $name
		guest: $guest
		args: [${list%, }]
		memory: $memory
		vcpus: 4
		placement:
		  - {cell: cell0, vcpus: [0, 1]}
		  - {cell: cell1, vcpus: [2]}
		  - {cell: cell2, vcpus: [3]}
		on-exit: $on_exit
	YAML
	echo "$file"
}

done_testing() { exit $failed; }
