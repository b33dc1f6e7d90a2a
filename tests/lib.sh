# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=sh
#
# lib.sh: what the tests' scripts share. The lib.sh of a directory reads it, and its tests read that one:
#
#     . "${tests_dir:-${0%/*}/..}/lib.sh"
#
# $name, which they set, says who speaks. $scratch is a directory of the test's own; what a failed command has said is in $scratch/out and
# $scratch/err.
#
# Exit status: 0 passed, 1 failed, 77 something is missing (named).
name=${0##*/}
scratch=/nonexistent

skip() {
	echo "SKIP: $name: $*"
	exit 77
}

fail() {
	{
		echo "FAIL: $name: $*"
		for log in "$scratch/out" "$scratch/err"; do
			[ ! -s "$log" ] || tail -n 40 "$log" | sed "s|^|  ${log##*/}: |"
		done
	} >&2
	exit 1
}

passed() {
	echo "$name: passed"
}

need() { # PROGRAM PACKAGE
	command -v "$1" >/dev/null 2>&1 || skip "$1 is missing (package $2)"
}

scratch_end() {
	chmod -R u+rwx "$scratch" 2>/dev/null || true
	rm -rf "$scratch"
}

# Goes with the test, however that ends.
scratch_begin() { # DIRECTORY
	scratch=$(mktemp -d "$1/daxsync-$name.XXXXXX")
	trap scratch_end EXIT
	trap 'exit 129' HUP
	trap 'exit 130' INT
	trap 'exit 143' TERM
}

# What the caller of the tests has set for daxsync is not for them.
settings_clear() {
	for variable in $(env | sed -n 's/^\(DAXSYNC_[A-Z_]*\)=.*/\1/p') LD_PRELOAD; do
		unset "$variable"
	done
}
