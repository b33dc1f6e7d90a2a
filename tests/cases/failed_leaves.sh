#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# failed_leaves.sh BUILD ENGINE PROGRAM FILE: a process whose flush has failed leaves stores behind that may not be durable,
# whatever was flushed later. So the next process begins in mode `kernel` for that file, and for that file alone.
set -eu
build=$1 engine=$2 program=$3 file=$4
failed=0

ends() { # FAULT STORED MODES: what the first process says, and the one after it
	rm -f "$file".*
	stored=$("$build/bin/daxsync" run --emulate --engine="$engine" ${1:+--fault="$1"} -- "$program" store "$file")
	modes=$("$build/bin/daxsync" run --emulate --engine="$engine" -- "$program" mode "$file")
	[ "$stored|$modes" = "$2 |$3 " ] && return
	echo "with fault '$1': msync $stored, then $modes; not $2, then $3"
	failed=1
}

ends '' '0 0' 'served served'
ends flush-error@1 '-1 0' 'kernel served'
ends flush-error@2 '0 -1' 'served kernel'
exit $failed
