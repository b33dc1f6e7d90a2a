#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# compare.sh BUILD ENGINE [PREFIX]: the table of small programs about SIGSEGV and SIGBUS (table.c), as it is and under
# the shim with the verifier on: each row must say the same and end the same.
set -eu
build=$(cd "$1" && pwd)
engine=$2 prefix=${3:-}
scratch=$(mktemp -d "${TMPDIR:-/tmp}/daxsync-signals.XXXXXX")
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' INT TERM
cd "$scratch" # where cores are dumped
export TMPDIR="$scratch"

"$build/bin/tests/signal_table" "$prefix" >native 2>native.err || { cat native.err; exit 1; }
status=0
"$build/bin/daxsync" run --emulate --verify --engine="$engine" -- "$build/bin/tests/signal_table" "$prefix" \
	>shim 2>shim.err || status=$?
if [ "$status" -ne 0 ]; then
	echo "FAIL: exit status $status under the shim"
	grep -v 'more than .* files in one run' shim.err
	exit 1
fi
if grep -q 'MISSED PAGE' shim.err; then
	grep -A 8 'MISSED PAGE' shim.err
	exit 1
fi
if grep '\[broken' native; then
	echo 'FAIL: rows that do not work without the shim'
	exit 1
fi
# Where a handler recurses until its stack is used up, either the handler's own store or the kernel's frame comes first.
for side in native shim; do
	sed '/\(handler=[^h]*\)\{50\}/s/ killed by 11, code .*/ killed by 11/' "$side" | cut -c1-1000 >"$side.same"
done
diff native.same shim.same || {
	echo "FAIL: < without the shim, > under it with $engine"
	exit 1
}
echo "$(wc -l <native) rows say and end the same with $engine"
