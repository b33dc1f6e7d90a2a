#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# large_pages.sh BUILD ENGINE PROGRAM FILE: with DAXSYNC_STRICT=1 a mapping that cannot be tracked is refused, and why is said.
set -eu
build=$1 engine=$2 program=$3 file=$4
here=$(cd "${0%/*}" && pwd)

"${CC:-cc}" -std=gnu11 -shared -fPIC -DLIES -o "$file.so" "$here/large_pages.c"
for liar in '' "$file.so:"; do
	out=$(LD_PRELOAD="$liar$build/lib/libdaxsync-preload.so" DAXSYNC_EMULATE=1 DAXSYNC_STRICT=1 DAXSYNC_ENGINE="$engine" \
		timeout 30 "$program" "$file" 2>&1)
	echo "$out"
	case "${liar:+large}$out" in
	large*"the kernel's pages are not of 4 KiB"*"Operation not supported") ;;
	large*) exit 1 ;;
	*mapped) ;;
	*) exit 1 ;;
	esac
done
