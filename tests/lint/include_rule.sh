#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The direction of includes (ARCHITECTURE.md) as a test.
#  1. dsm/core and controller/policy compile where every header of the system below libc is replaced by #error.
#  2. proto/ knows nobody; dsm/ knows proto; node/ knows dsm/dsm.h and proto; controller/ knows proto.
#  3. Both checks are shown to catch a planted offender.
set -u -o pipefail
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd) || exit 1
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
bad=0

shadow=$work/shadow
for dir in sys linux asm infiniband rdma net netinet arpa; do
	mkdir -p "$shadow/$dir"
	for header in /usr/include/"$dir"/*.h /usr/include/x86_64-linux-gnu/"$dir"/*.h; do
		name=${header##*/}
		# The C library's own headers need this one.
		[ "$dir/$name" = sys/cdefs.h ] || echo "#error <$dir/$name> is forbidden here" >"$shadow/$dir/$name"
	done
done
mkdir -p "$shadow/infiniband" "$shadow/rdma"
echo '#error forbidden' >"$shadow/infiniband/verbs.h"
echo '#error forbidden' >"$shadow/rdma/rdma_cma.h"
for name in pthread.h unistd.h fcntl.h time.h poll.h signal.h threads.h uv.h; do
	echo "#error <$name> is forbidden here" >"$shadow/$name"
done

# The planted bugs of the core are built for the simulator only, with this macro.
compiles_pure() { ${CC:-cc} -std=c17 -fsyntax-only -DDSM_BUGS -I"$shadow" -I"$top" "$1" 2>"$work/log"; }

pure=0
for file in "$top"/dsm/core/*.c "$top"/controller/policy*.c "$top"/controller/policy/*.c; do
	[ -e "$file" ] || continue
	pure=$((pure + 1))
	if ! compiles_pure "$file"; then
		echo "not pure: ${file#"$top"/}"
		grep -m 3 error "$work/log"
		bad=1
	fi
done
[ $pure -gt 2 ] || { echo "only $pure pure files were found"; bad=1; }

# offenders ROOT: lines that include against the direction.
offenders() {
	(
		cd "$1" || exit
		grep -rnE --include='*.[ch]' '^#include "(dsm|node|controller|tests)/' proto
		grep -rnE --include='*.[ch]' '^#include "(node|controller|tests)/' dsm
		grep -rnE --include='*.[ch]' '^#include "(controller|tests)/' node
		grep -rnE --include='*.[ch]' '^#include "dsm/' node | grep -v '"dsm/dsm.h"'
		grep -rnE --include='*.[ch]' '^#include "(dsm|node|tests)/' controller
		grep -rnE --include='*.[ch]' '^#include "(dsm/[a-z]|node|controller)' dsm/core | grep -v '"dsm/core/'
	) 2>/dev/null
}
found=$(offenders "$top")
if [ -n "$found" ]; then
	printf 'these includes go against the direction:\n%s\n' "$found"
	bad=1
fi

mkdir -p "$work"/{proto,dsm/core,node,controller}
printf '#include <sys/socket.h>\n' >"$work/dsm/core/x.c"
compiles_pure "$work/dsm/core/x.c" && { echo "a planted <sys/socket.h> was not caught"; bad=1; }
printf '#include "dsm/dsm.h"\n' >"$work/controller/x.c"
[ -n "$(offenders "$work")" ] || { echo "a planted include was not caught"; bad=1; }

echo "$pure pure files"
exit $bad
