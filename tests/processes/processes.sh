#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# processes.sh BUILD ENGINE [TIMES [CASE...]]: several processes that write one file, each case with the verifier on and
# one image for all its processes. TIMES: how often the cases repeat what they do in a loop. Afterwards nothing is left
# in the registry of writers.
set -eu
build=$1 engine=$2 times=${3:-100}
[ $# -lt 3 ] || shift
shift 2
processes=$build/bin/tests/processes

! grep -Eq 'lib(asan|tsan|ubsan)\.so' "$build/lib/libdaxsync-preload.so" 2>/dev/null || {
	echo 'SKIP: a library with a sanitizer cannot be preloaded into other programs'
	exit 77
}
scratch=$(mktemp -d /dev/shm/daxsync-processes.XXXXXX)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

[ $# -gt 0 ] || {
	# shellcheck disable=SC2046 # one word each
	set -- $("$processes" --list)
}
failed=0
for case in "$@"; do
	mkdir "$scratch/registry" "$scratch/images"
	status=0
	timeout 250 "$build/bin/daxsync" run --emulate --verify --engine="$engine" --registry="$scratch/registry" \
		--image-dir="$scratch/images" -- "$processes" "$case" "$scratch/file" "$times" >"$scratch/out" 2>&1 ||
		status=$?
	left=$(ls "$scratch/registry")
	if [ "$status" -eq 0 ] && [ -z "$left" ]; then
		echo "PASS $engine $case"
	else
		echo "FAIL $engine $case: exit status $status${left:+, left in the registry: $left}"
		sed 's/^/    /' "$scratch/out"
		failed=1
	fi
	rm -rf "$scratch/registry" "$scratch/images" "$scratch/file"
done
exit "$failed"
