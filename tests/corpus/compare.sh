#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# compare.sh BUILD MODE DIRECTORY [PREFIX]: the corpus (corpus.c) as it is and under the shim, its files in DIRECTORY: each
# row must say the same and end the same. MODE is `pass`; an engine, which serves the files as emulated persistent memory
# with the verifier on; or `direct`, where DIRECTORY is on persistent memory.
# Exit status: 0; 1 if a row differs, or a page was missed.
set -eu
build=$(cd "$1" && pwd)
mode=$2 directory=$3 prefix=${4:-}
scratch=$(mktemp -d "${TMPDIR:-/tmp}/daxsync-corpus.XXXXXX")
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' INT TERM

! grep -Eq 'lib(asan|tsan|ubsan)\.so' "$build/lib/libdaxsync-preload.so" 2>/dev/null || {
	echo 'SKIP: a library with a sanitizer cannot be preloaded into other programs'
	exit 77
}
corpus=$build/bin/tests/corpus

"$corpus" "$directory" "$prefix" >"$scratch/native" 2>"$scratch/native.err" || {
	cat "$scratch/native.err"
	exit 1
}
if grep '\[broken' "$scratch/native"; then
	echo 'FAIL: rows that do not work without the shim'
	exit 1
fi

case $mode in
pass) set -- CORPUS_MODE=pass ;;
direct) set -- CORPUS_MODE=direct DAXSYNC_VERIFY=1 ;;
*) set -- CORPUS_MODE=emulated DAXSYNC_EMULATE=1 DAXSYNC_VERIFY=1 DAXSYNC_ENGINE="$mode" ;;
esac
status=0
env "$@" "$build/bin/daxsync" run -- "$corpus" "$directory" "$prefix" >"$scratch/shim" 2>"$scratch/shim.err" || status=$?
diff "$scratch/native" "$scratch/shim" || {
	echo "FAIL: < without the shim, > under it ($mode, $directory)"
	[ "$status" -ne 0 ] || status=1
}
if [ "$status" -ne 0 ]; then
	echo "exit status $status under the shim, which said:"
	grep -v 'more than .* files in one run\|nothing is made durable' "$scratch/shim.err" | head -n 100
	exit 1
fi
grep '\[skipped' "$scratch/native" || true
echo "$(wc -l <"$scratch/native") rows say and end the same ($mode, $directory)"
