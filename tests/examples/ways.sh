#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# ways.sh BUILD: the three ways in, by the example programs: each tracks, and what it wrote is there without it. The
# README's line links also a program of which only another library maps files, where the linker drops what is not needed.
set -eu
build=$1
source=$(cd "${0%/*}/../.." && pwd)
work=$(mktemp -d /dev/shm/daxsync-ways.XXXXXX)
trap 'rm -rf "$work"' EXIT

tracked() { # WAY
	jq -e '.mappings[0].mode == "emulated" and .syncs > 0 and .traps > 0 and .pages_flushed > 0' "$work/stats" \
		>/dev/null || {
		echo "$1: not tracked:"
		cat "$work/stats"
		exit 1
	}
	rm "$work/stats"
	echo "$1: tracked"
}

"$build/bin/daxsync" run --emulate --verify --stats="$work/stats" -- "$build/bin/examples/ledger" "$work/ledger" one
tracked LD_PRELOAD

DAXSYNC_EMULATE=1 DAXSYNC_STATS=$work/stats "$build/bin/examples/ledger_linked" "$work/ledger" two
tracked linked

# shellcheck disable=SC2016 # backquotes of the README's
options=$(sed -n 's/.*`cc program\.c \([^`]*\)`.*/\1/p' "$source/README.md")
cat >"$work/linked.c" <<'C'
int ledger(int argc, char **argv);

int main(int argc, char **argv)
{
	return ledger(argc, argv);
}
C
"${CC:-cc}" -D_GNU_SOURCE -Dmain=ledger -shared -fPIC "$source/examples/ledger.c" -o "$work/libledger.so"
# shellcheck disable=SC2086 # several words
"${CC:-cc}" "$work/linked.c" "$work/libledger.so" -o "$work/linked" -Wl,-rpath,"$work:$build/lib" -L"$build/lib" \
	-Wl,--as-needed $options
DAXSYNC_EMULATE=1 DAXSYNC_STATS=$work/stats "$work/linked" "$work/ledger" three
tracked "linked with $options"

[ "$("$build/bin/examples/ledger" "$work/ledger")" = "one
two
three" ]

"$build/bin/examples/api" "$work/api" 'hello' | tee "$work/out"
grep -q '^mode emulated' "$work/out"
grep -q '^4 traps, 5 pages' "$work/out"
[ "$(head -c 5 "$work/api")" = hello ]
echo 'API: tracked'
