#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# backtrace.sh BUILD ENGINE PROGRAM FILE: the program, with a libunwind of its own (backtrace.c), when a page is missed.
set -eu
build=$1 engine=$2 program=$3 file=$4
here=$(cd "${0%/*}" && pwd)
libraries=$file.libraries
mkdir "$libraries"

"${CC:-cc}" -std=gnu11 -D_GNU_SOURCE -shared -fPIC -DUNWINDER -o "$libraries/libunwind.so.8" "$here/backtrace.c"
status=0
LD_LIBRARY_PATH=$libraries LD_PRELOAD=$build/lib/libdaxsync-faults.so DAXSYNC_FAULT=skip-flush \
	timeout -s KILL 30 "$build/bin/daxsync" run --emulate --verify --engine="$engine" --policy=always-close -- \
	"$program" "$file" >"$file.out" 2>&1 || status=$?
for said in '^sync 0' 'MISSED PAGE' '#0 .*refused'; do
	grep -q "$said" "$file.out" || {
		echo "exit status $status; not said: $said"
		cat "$file.out"
		exit 1
	}
done
