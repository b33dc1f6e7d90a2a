#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# run.sh BUILD ENGINE [CASE...]: the conformance table on one engine, with the verifier on, one run of the shim for each
# kind of memory. Loops take their time on tmpfs, and are short (-s) on what differs from it in few places; with
# CONFORMANCE_LONG=1 they are long everywhere. Exit status: 0; 1 if a cell has failed; 77 if all were skipped.
set -eu
build=$1 engine=$2
shift 2
passed=0 failed=0

for memory in tmpfs memfd hugetlbfs; do
	status=0
	short=-s
	if [ "$memory" = tmpfs ] || [ -n "${CONFORMANCE_LONG:-}" ]; then
		short=
	fi
	echo "$engine, $memory:"
	# shellcheck disable=SC2086 # one option, or none
	"$build/bin/daxsync" run --emulate --verify --engine="$engine" -- \
		"$build/bin/tests/conformance" $short -m "$memory" "$@" || status=$?
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
