#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# python.sh [BUILD [ENGINE...]]: Python's mmap under the shim, and libdaxsync.so loaded by ctypes, with and without the
# shim.
set -eu

# shellcheck source=tests/launcher/lib.sh
. "${0%/*}/../launcher/lib.sh"
# shellcheck source=tests/neighbours/lib.sh
. "${0%/*}/lib.sh"
neighbours_begin python "$@"
need python3 python3
program=$source/tests/neighbours/python.py
library=$build/lib/libdaxsync.so.0
export PYTHONDONTWRITEBYTECODE=1

run 0 python3 "$program" mmap "$file"
cp "$scratch/out" "$scratch/native"
prints 'sum '

same() { # WHAT
	diff "$2" "$scratch/out" >"$scratch/err" || fail "$1 ($engine): not the same"
}

run_python() {
	shim 0 python3 "$program" mmap "$file"
	same 'mmap' "$scratch/native"
	tracked 'mmap'
	run 0 env DAXSYNC_ENGINE="$engine" python3 "$program" api "$file" "$library"
	prints 'mode 2'
	prints 'traps True flushed True missed 0'
	cp "$scratch/out" "$scratch/api"
	shim 0 python3 "$program" api "$file" "$library"
	same 'the functions under the shim' "$scratch/api"
	tracked 'the functions under the shim'
	echo "$name $engine: the same"
}
each_engine run_python
passed
