#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# numbers_all.sh BUILD ENGINE PROGRAM FILE: without the verifier, whose images have descriptors that stay where they are.
set -eu
build=$1 engine=$2 program=$3 file=$4
native=$("$program" "$file")
rm -f "$file"
under=$("$build/bin/daxsync" run --emulate --engine="$engine" -- "$program" "$file")
[ "$native" = "$under" ] || {
	printf 'native:\n%s\nunder the shim:\n%s\n' "$native" "$under"
	exit 1
}
