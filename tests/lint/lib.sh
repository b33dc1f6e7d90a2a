# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=sh
#
# lib.sh: what the lint tests share. A test reads it with
#
#     . "${0%/*}/lib.sh"
#     lint_begin NAME "$@"      arguments of every test: [BUILD]
#
# and then stands in the top directory of the sources. `complain` reports
# without ending the test, `lint_end` ends it.
#
# Exit status: 0 passed, 1 failed, 77 something is missing (named).

skip() {
	echo "SKIP: $lint: $*"
	exit 77
}

need() { # PROGRAM PACKAGE
	command -v "$1" >/dev/null 2>&1 || skip "$1 is missing (package $2)"
}

lint_begin() { # NAME [BUILD]
	lint=$1
	nr_complaints=0
	build=${2:-${0%/*}/../../build/release}
	[ ! -d "$build" ] || build=$(cd "$build" && pwd)
	cd "${0%/*}/../.." || exit
	scratch=$(mktemp -d)
	trap 'rm -rf "$scratch"' EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM
}

complain() {
	echo "$lint: $*"
	nr_complaints=$((nr_complaints + 1))
}

lint_end() { # WHAT-WAS-LOOKED-AT
	[ "$nr_complaints" -eq 0 ] || exit 1
	echo "$lint: passed ($*)"
	exit 0
}

# The sources, without what was built or put beside them.
sources() { # DIRECTORY-OR-FILE... -- FIND-EXPRESSION...
	dirs=
	while [ "$1" != -- ]; do
		[ ! -e "$1" ] || dirs="$dirs $1"
		shift
	done
	shift
	# shellcheck disable=SC2086 # several words
	find $dirs \( -name .git -o -name build -o -name 'build-*' -o -name __pycache__ \) -prune -o \
		-type f \( "$@" \) -print | LC_ALL=C sort
}

c_sources() {
	sources lib include preload tests examples -- -name '*.c' -o -name '*.h'
}

# The database of compiler commands that the build wrote.
need_commands() {
	[ -f "$build/compile_commands.json" ] || skip "$build/compile_commands.json was not made"
}
