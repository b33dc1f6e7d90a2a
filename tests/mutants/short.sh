#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# short.sh: that run.sh works: each patch applies, two mutants are caught by their tests, and one is not by a test that
# looks at nothing.
set -eu
here=$(cd "${0%/*}" && pwd)
MUTANTS_DIR=$(mktemp -d "${TMPDIR:-/tmp}/daxsync-mutants.XXXXXX")
export MUTANTS_DIR
trap 'rm -rf "$MUTANTS_DIR"' EXIT
trap 'exit 130' INT TERM

for patch in "$here"/*.patch; do
	patch -d "$here/../.." -p1 -F0 -s --dry-run <"$patch" || {
		echo "${patch##*/} does not apply: what it breaks looks different now"
		exit 1
	}
done
sh "$here/run.sh" last-file-error dontneed
status=0
MUTANTS_CATCHER=true sh "$here/run.sh" last-file-error || status=$?
[ "$status" -eq 1 ] || {
	echo "a test that looks at nothing: exit status $status, not 1"
	exit 1
}
