#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# run.sh BUILD ENGINE [CASE...]: the conformance table on one engine, with the verifier on, one run of the shim for each
# kind of memory. Exit status: 0; 1 if a cell has failed; 77 if all were skipped.
set -eu
build=$1 engine=$2
shift 2
passed=0 failed=0

for memory in tmpfs memfd hugetlbfs; do
	status=0
	echo "$engine, $memory:"
	"$build/bin/daxsync" run --emulate --verify --engine="$engine" -- \
		"$build/bin/tests/conformance" -m "$memory" "$@" || status=$?
	case $status in
	0) passed=1 ;;
	77) ;;
	120)
		echo "FAIL $memory: every cell passed, but a process that no cell waited for has missed a page"
		failed=1
		;;
	*) failed=1 ;;
	esac
done
[ "$failed" -eq 0 ] || exit 1
[ "$passed" -eq 1 ] || exit 77
