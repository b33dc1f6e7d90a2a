#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# run.sh BUILD ENGINE [CASE...]: the conformance table on one engine, with the verifier on, one run of the shim for each
# kind of memory. Loops take their time on tmpfs, and are short (-s) on what differs from it in few places; with
# CONFORMANCE_LONG=1 they are long everywhere. Exit status: 0; 1 if a cell has failed; 77 if all were skipped.
#
# Cells count traps, and so have to know what a sync closes: all of it (always-close). The run with the policy that leaves
# pages open as it sees fit does not look at what is counted (-u), but at all else; nor does the one that hands each file
# over to the kernel, and takes it back for each call that changes it.
set -eu
build=$1 engine=$2
shift 2
passed=0 failed=0

table() { # POLICY MEMORY ARGUMENTS...
	policy=$1 memory=$2
	shift 2
	status=0
	echo "$engine, $memory, $policy:"
	"$build/bin/daxsync" run --emulate --verify --engine="$engine" --policy="$policy" -- \
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
}

short=-s
[ -z "${CONFORMANCE_LONG:-}" ] || short=
table always-close tmpfs "$@"
# shellcheck disable=SC2086 # one option, or none
for memory in memfd hugetlbfs; do
	table always-close "$memory" $short "$@"
done
# shellcheck disable=SC2086
table adaptive tmpfs $short -u "$@"
# shellcheck disable=SC2086
table kernel tmpfs $short -u "$@"
[ "$failed" -eq 0 ] || exit 1
[ "$passed" -eq 1 ] || exit 77
