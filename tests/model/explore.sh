#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# explore.sh [WORKDIR]: the C code of the tree itself, in every order of its threads' atomic accesses, for the small programs
# of explore/programs.h (see explore/explore.c). It must be right in all of them, and with each patch of explore/broken,
# which breaks one thing, wrong in one.
#
# The tree is compiled with three levels in place of six. WORKDIR keeps what was said, NAME.out: for a broken variant the
# steps that lead to what is wrong. exit: 0 all as expected, 1 not, 77 something is missing (named).
set -eu
LC_ALL=C
export LC_ALL
here=$(cd "${0%/*}" && pwd)
top=${here%/tests/model}

for tool in patch "${CC:-cc}"; do
	command -v "$tool" >/dev/null || {
		echo "SKIP: $tool is missing: the tree is not explored"
		exit 77
	}
done
work=$(mktemp -d "${TMPDIR:-/tmp}/dxs-explore.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
kept=${1:-$work}
mkdir -p "$kept"

build() { # [PATCH]: the explorer of this tree
	mkdir -p "$work/lib/tree"
	cp "$top/lib/tree/tree.c" "$work/lib/tree/"
	sed 's/^\(#define DXS_TREE_LEVELS\) 6 /\1 3 /' "$top/lib/tree/tree.h" >"$work/lib/tree/tree.h"
	grep -q 'DXS_TREE_LEVELS 3 ' "$work/lib/tree/tree.h"
	[ -z "${1:-}" ] || patch -d "$work" -p1 -F0 -s <"$1"
	"${CC:-cc}" -std=gnu11 -O2 -w -include "$here/explore/atomics.h" -I"$work/lib" -I"$top/lib" -o "$work/explore" \
		"$here/explore/explore.c"
}

failed=0
build
"$work/explore" >"$kept/tree.out" || failed=1
cat "$kept/tree.out"
for patch in "$here"/explore/broken/*.patch; do
	name=${patch##*/}
	name=${name%.patch}
	build "$patch"
	status=0
	"$work/explore" >"$kept/$name.out" || status=$?
	found=$(sed -n 's/^WRONG //p' "$kept/$name.out")
	echo "$name: ${found:-nothing found}"
	[ "$status" -eq 1 ] && [ -n "$found" ] || failed=1
done
exit $failed
