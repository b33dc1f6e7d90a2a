#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# run.sh [NAME...]: whether the tests see that a defence is gone. Each mutant is a patch, NAME.patch, that takes one defence
# out of the source; the file `table` says what must catch it. All of them without a name. Exit status: 0; 1 if one has
# survived; 2 if a patch does not apply or a mutant does not build.
#
# The tree is copied to a scratch directory and built there once, and again with each mutant: the library, the shim, the
# launcher and what the mutant's test needs. MUTANTS_DIR=DIR: the scratch directory, which stays and is used again. What is
# to catch a mutant must pass without it, or it would catch anything. MUTANTS_CATCHER=COMMAND: in place of what the table
# says. What was said about a mutant is in the scratch directory, NAME.log.
set -eu
source=$(cd "${0%/*}/../.." && pwd)
: "${MUTANTS_JOBS:=$(nproc)}" "${MUTANTS_TIMEOUT:=600}"
if [ -n "${MUTANTS_DIR:-}" ]; then
	mkdir -p "$MUTANTS_DIR"
	scratch=$(cd "$MUTANTS_DIR" && pwd)
else
	scratch=$(mktemp -d "${TMPDIR:-/tmp}/daxsync-mutants.XXXXXX")
	trap 'rm -rf "$scratch"' EXIT
fi
trap 'exit 130' INT TERM
tree=$scratch/tree
here=$tree/tests/mutants
build=$scratch/build
log=$scratch/log

limited() {
	timeout -k 5 "$MUTANTS_TIMEOUT" "$@"
}

# What catches a mutant: the words of the table. Each ends with 0 if nothing is wrong.
cases() { # NAME [ENGINE]: a program of tests/cases, with each engine
	for engine in ${2:-uffd mprotect}; do
		limited sh "$tree/tests/cases/cases.sh" "$build" "$engine" "$1" || return
	done
}
conformance() { # NAME [ENGINE [MEMORY]]: a case of the conformance suite
	for engine in ${2:-uffd mprotect}; do
		status=0
		limited "$build/bin/daxsync" run --emulate --verify --engine="$engine" --policy=always-close -- \
			"$build/bin/tests/conformance" -m "${3:-tmpfs}" "$1" || status=$?
		# 121: the case has left no sync to the library, and the verifier nothing to say.
		[ "$status" -eq 121 ] || [ "$status" -eq 0 ] || return "$status"
	done
}
arguments() { # every pointer by which the kernel stores
	conformance results_into_closed_pages_1 mprotect && conformance results_into_closed_pages_2 mprotect
}
unit() { # NAME: the unit tests of a source file
	limited "$build/bin/tests/test_$1" --timeout 60
}
fuzz() { # NAME: a fuzz target
	limited sh "$tree/tests/fuzz/run.sh" "$build" "$1"
}
crashtest() { # NAME: a test of tests/crashtest
	limited sh "$tree/tests/crashtest/$1.sh" "$build"
}
launcher() { # NAME: a test of tests/launcher
	limited sh "$tree/tests/launcher/$1.sh" "$build"
}
concurrent() { # PROGRAM of tests/concurrency
	limited "$build/bin/tests/$1"
}

give_up() {
	echo "run.sh: $*" >&2
	[ ! -s "$log" ] || tail -n 20 "$log" >&2
	exit 2
}

row_of() { # NAME: sets `targets` and `catcher`
	row=$(grep "^$1 *|" "$here/table") || give_up "no mutant $1 in the table"
	targets=$(echo "$row" | cut -d '|' -f 2)
	catcher=${MUTANTS_CATCHER:-$(echo "$row" | cut -d '|' -f 3 | sed 's/^ *//; s/ *$//')}
}

built() { # TARGET...
	cmake --build "$build" -j "$MUTANTS_JOBS" --target daxsync-preload daxsync-launcher daxsync-faults "$@" >"$log" 2>&1
}

caught() { # CATCHER: whether it says that something is wrong; 77: it cannot be run here
	status=0
	# shellcheck disable=SC2086 # its words
	(eval "$1") >"$log" 2>&1 || status=$?
	[ "$status" -ne 77 ] || return 77
	[ "$status" -ne 0 ]
}

# The tree as it is now, without what was built. Only what differs is written, so that a build there goes on from the last
# one and makes again what has changed since, or what a mutant has changed in a run that was stopped.
copied() {
	rm -rf "$scratch/new"
	mkdir -p "$scratch/new" "$tree"
	(cd "$source" && tar -c --exclude=./build --exclude=.git .) | tar -x -C "$scratch/new"
	(cd "$tree" && find . -type f) | while read -r file; do
		[ -e "$scratch/new/$file" ] || rm "$tree/$file"
	done
	(cd "$scratch/new" && find . -type f) | while read -r file; do
		cmp -s "$scratch/new/$file" "$tree/$file" && continue
		mkdir -p "$tree/${file%/*}"
		cp "$scratch/new/$file" "$tree/$file"
	done
	cmake -S "$tree" -B "$build" -DCMAKE_BUILD_TYPE=RelWithDebInfo >"$log" 2>&1 || give_up 'cmake fails'
}

patched() { # PATCH [-R]
	patch -d "$tree" -p1 -F0 -s --no-backup-if-mismatch ${2:+"$2"} <"$1" >"$log" 2>&1
}

tried() { # NAME: sets `verdict`
	patched "$here/$1.patch" || give_up "$1.patch does not apply"
	# shellcheck disable=SC2086 # words
	built $targets || give_up "$1 does not build"
	verdict=caught
	caught "$catcher" || verdict=survived
	cp "$log" "$scratch/$1.log"
	patched "$here/$1.patch" -R || give_up "$1.patch cannot be taken back"
}

copied
[ $# -gt 0 ] || {
	# shellcheck disable=SC2046 # one word each
	set -- $(sed -n 's/^\([a-z0-9-]*\) *|.*/\1/p' "$here/table")
}
nr_survived=0
proven=
for name; do
	row_of "$name"
	# shellcheck disable=SC2086 # words
	built $targets || give_up "the tree does not build"
	verdict='' status=0
	case $proven in
	*"<$catcher>"*) ;;
	*)
		! caught "$catcher" || give_up "$name: '$catcher' fails without the mutant"
		[ "$status" -ne 77 ] || verdict='not tried: its test cannot be run here'
		[ -n "$verdict" ] || proven="$proven<$catcher>"
		;;
	esac
	[ -n "$verdict" ] || tried "$name"
	[ "$verdict" != survived ] || nr_survived=$((nr_survived + 1))
	printf '%-28s %-9s %s\n' "$name" "$verdict" "$catcher"
done
[ "$nr_survived" -eq 0 ] || {
	echo "$nr_survived of $# survived"
	exit 1
}
