#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# kept_action.sh BUILD ENGINE PROGRAM FILE: the program with a library behind the shim that keeps actions (kept_action.c).
set -eu
build=$1 engine=$2 program=$3 file=$4
here=$(cd "${0%/*}" && pwd)
keeper=$file.so
expected='sync 0
sync 0
the keeper'"'"'s handler'

"${CC:-cc}" -std=gnu11 -shared -fPIC -DKEEPER -o "$keeper" "$here/kept_action.c"
for preload in "$keeper" "$build/lib/libdaxsync-preload.so:$keeper"; do
	rm -f "$file"
	out=$(LD_PRELOAD=$preload DAXSYNC_EMULATE=1 DAXSYNC_VERIFY=1 DAXSYNC_ENGINE=$engine DAXSYNC_STATS="$file.stats" \
		timeout 30 "$program" "$file") || true
	[ "$out" = "$expected" ] || {
		echo "with $preload: $out"
		exit 1
	}
done
