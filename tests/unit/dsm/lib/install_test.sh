#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: install_test.sh BUILD-DIR CMAKE: the tree is installed somewhere and moved; then a program is built against it as a user
# would, by pkg-config, with the shared library and with the static one, and run.
set -u -o pipefail
build=$1 cmake=$2
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd) || exit 1
hello=$here/../../../../dsm/lib/examples/01-hello.c
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
die() { echo "$1"; exit 1; }

"$cmake" --install "$build" --prefix "$work/first" >"$work/log" 2>&1 || { tail -n 5 "$work/log"; exit 1; }
mv "$work/first" "$work/prefix"
pc=$(find "$work/prefix" -name cellular-dsm.pc)
[ -n "$pc" ] || die "no cellular-dsm.pc was installed"
export PKG_CONFIG_PATH=${pc%/*}
lib=$(cd "${pc%/*}/.." && pwd)
[ -e "$work/prefix/include/cellular/dsm.h" ] || die "no header was installed"
[ "$(pkg-config --modversion cellular-dsm)" = "$(sed -n 's/^CMAKE_PROJECT_VERSION:STATIC=//p' "$build/CMakeCache.txt")" ] ||
	die "another version"
for page in cellular-dsm cdsm_create cdsm_join cdsm_check; do
	[ -s "$work/prefix/share/man/man3/$page.3" ] || die "no man page $page(3) was installed"
done

mkdir "$work/src" || exit 1
cp "$hello" "$work/src/"
cd "$work/src" || exit 1
# shellcheck disable=SC2046
${CC:-cc} -Wall -Wextra -Werror -o shared 01-hello.c $(pkg-config --cflags --libs cellular-dsm) || die "does not build, shared"
rm "$lib"/libcellular-dsm.so # the linker takes the static one then
# shellcheck disable=SC2046
${CC:-cc} -Wall -Wextra -Werror -o static 01-hello.c $(pkg-config --static --cflags --libs cellular-dsm) || die "does not build, static"
readelf -d shared | grep -q 'NEEDED.*libcellular-dsm.so.0' || die "the shared library is not used"
readelf -d static | grep -q 'libcellular-dsm' && die "the static library is not used"
LD_LIBRARY_PATH=$lib "$here/hello_test.sh" "$work/src/shared" "$work/prefix/bin/cell-controller" || exit $?
"$here/hello_test.sh" "$work/src/static" "$work/prefix/bin/cell-controller"
