# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=sh
#
# shellcheck disable=SC2034,SC2154 # for those who read this file; from the launcher tests' lib.sh
#
# lib.sh: what the tests of `daxsync crashtest` share, on top of the launcher tests' lib.sh, which comes first.

crashtest_begin() { # NAME [BUILD]
	[ ! -w /dev/shm ] || TMPDIR=/dev/shm # many small files
	export TMPDIR
	launcher_begin "$@"
	# Without what was built beside the launcher, where a copy of that is used.
	built=$(cd "${2:-${0%/*}/../../build/release}" && pwd)
	examples=$built/bin/examples/crashtest
	TMPDIR=$scratch/tmp
	export TMPDIR
	mkdir "$TMPDIR"
}

# An empty directory for a program's files, and into it.
place() {
	rm -rf "$scratch/files"
	mkdir "$scratch/files"
	cd "$scratch/files" || exit 1
}

# The line of a source file in which a mistake is: that with the given text.
line_of() { # SOURCE TEXT
	grep -n -F -- "$2" "$source/examples/crashtest/$1" | head -n 1 | cut -d: -f1
}

# A test that has survived leaves nothing.
left_nothing() {
	[ -z "$(ls -A "$TMPDIR")" ] || fail "something is left: $(ls -A "$TMPDIR")"
}

# What was printed has a line that matches.
matches() { # REGEX
	grep -q -- "$1" "$scratch/out" || fail "no line of the output matches: $1"
}

# Among what was said on standard error is one line of the launcher's with this text.
tells() { # TEXT
	grep '^daxsync: ' "$scratch/err" | grep -qF -- "$1" || fail "nothing was said of: $1"
}
