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

# shellcheck source=tests/lib.sh
. "${tests_dir:-${0%/*}/..}/lib.sh"

lint_begin() { # NAME [BUILD]
	name=$1
	nr_complaints=0
	build=${2:-${0%/*}/../../build/release}
	[ ! -d "$build" ] || build=$(cd "$build" && pwd)
	cd "${0%/*}/../.." || exit
	scratch_begin "${TMPDIR:-/tmp}"
}

complain() {
	echo "$name: $*"
	nr_complaints=$((nr_complaints + 1))
}

lint_end() { # WHAT-WAS-LOOKED-AT
	[ "$nr_complaints" -eq 0 ] || exit 1
	echo "$name: passed ($*)"
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
