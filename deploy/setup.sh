# SPDX-License-Identifier: Apache-2.0
# Sourced by ./quickstart and ./check: what they share - packages, build, and the sentences they fail with.
# Needs: top (the project's root). Uses: bash, dpkg, apt-get.
# shellcheck shell=bash disable=SC2154

if [ -t 1 ]; then
	bold=$'\e[1m' dim=$'\e[2m' red=$'\e[31m' green=$'\e[32m' plain=$'\e[0m'
else
	bold='' dim='' red='' green='' plain=''
fi
export bold dim red green plain

say() { printf '%s\n' "$*"; }
complain() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }

# packages_of GROUP...: the package names of these groups.
packages_of() {
	local group
	for group in "$@"; do
		awk -v g="$group" '!/^#/ && $2 == g {print $1}' "$top/deploy/packages.txt"
	done
}

# packages_missing GROUP...: those of them that are not installed.
packages_missing() {
	local name
	for name in $(packages_of "$@"); do
		[ "$(dpkg-query -W -f='${db:Status-Status}' "$name" 2>/dev/null)" = installed ] || echo "$name"
	done
}

is_debian_12() { (. /etc/os-release 2>/dev/null && [ "$ID" = debian ] && [ "$VERSION_ID" = 12 ]); }

# packages_install LOG GROUP...: says what and how much, then installs.
# Returns 1 (apt failed, see LOG), 2 (another system), 6 (missing, and not root).
packages_install() {
	local log=$1 missing
	shift
	if ! is_debian_12; then
		complain "this is not Debian 12; install what answers to these packages, then use --no-install:"
		packages_of "$@" | paste -sd' ' | fold -sw 100 >&2
		return 2
	fi
	missing=$(packages_missing "$@" | paste -sd' ')
	[ -z "$missing" ] && return 0
	if [ "$(id -u)" != 0 ]; then
		complain "packages are missing and only root can install them:" \
			"sudo apt-get install --no-install-recommends $missing"
		return 6
	fi
	export DEBIAN_FRONTEND=noninteractive
	say "  reading the package lists"
	apt-get update >>"$log" 2>&1 || return 1
	say "  installing: $missing"
	# shellcheck disable=SC2086
	apt-get install --assume-no --no-install-recommends $missing 2>/dev/null |
		sed -n 's/^Need to get/  to download:/p; s/^After this operation,/  on disk:/p'
	# shellcheck disable=SC2086
	apt-get install -y --no-install-recommends $missing >>"$log" 2>&1
}

# progress: of ninja's lines, shows how far it is: in place on a terminal, else one line every quarter.
progress() {
	local tty=''
	[ -t 1 ] && tty=1
	awk -v tty="$tty" '
		match($0, /^\[[0-9]+\/[0-9]+\]/) {
			split(substr($0, 2, RLENGTH - 2), n, "/")
			if (tty)
				printf "\r  %d of %d ", n[1], n[2]
			else if (n[2] > 4 && int(4 * n[1] / n[2]) > shown)
				printf "  %d of %d\n", n[1], n[2]
			shown = int(4 * n[1] / n[2])
			fflush()
		}
		END { if (tty) printf "\r              \r" }'
}

# build_tree PRESET DIR LOG TARGET [CMAKE OPTION...]: configures and builds, one builder at a time for each DIR.
build_tree() {
	local preset=$1 dir=$2 log=$3 target=$4
	shift 4
	mkdir -p "$top/$dir"
	(
		flock 9
		cd "$top" && cmake --preset "$preset" "$@" >"$log" 2>&1 &&
			NINJA_STATUS='[%f/%t] ' ninja -C "$dir" "$target" 2>&1 | tee -a "$log" | progress
	) 9>"$top/$dir/.lock"
}
