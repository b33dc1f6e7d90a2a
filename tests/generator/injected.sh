#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# injected.sh BUILD: the generator can fail. With a bug injected it must find a sequence that shows it, shrink it to a few
# calls, and print a program that shows it as well; where calls return something else than the kernel's it must say so.
set -eu
build=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0

complain() {
	echo "NOT CAUGHT: $*"
	failed=1
}

policy=adaptive
generate() { # FAULT ENGINE
	status=0
	"$build/bin/daxsync" run --emulate --policy="$policy" --engine="$2" --fault="$1" -- \
		"$build/bin/tests/generator" -e 2 -k 1 -s 1 -o "$work/program.c" >"$work/out" 2>"$work/err" || status=$?
	words=$(sed -n 's/^shrunk: //p' "$work/out" | wc -w)
	echo "$2, $1: $(sed -n 's/^shrunk: //p' "$work/out"):$(sed -n '/^shrunk/{n;p;}' "$work/out")"
	[ "$status" -eq 1 ] || complain "$1 on $2: status $status"
	case $words in
	[1-5]) ;;
	*) complain "$1 on $2: shrunk to $words calls" ;;
	esac
}

missed() { # FAULT ENGINE
	generate "$1" "$2"
	grep -q 'missed page\|durable image differs' "$work/out" || complain "$1 on $2: no missed page"
	"${CC:-cc}" -w -o "$work/program" "$work/program.c" || complain "$1 on $2: the program does not compile"
	for fault in "$1" skip-flush:100000000; do
		status=0
		"$build/bin/daxsync" run --emulate --verify --engine="$2" --fault="$fault" -- "$work/program" \
			>/dev/null 2>&1 || status=$?
		echo "$fault $status" >>"$work/status"
	done
	[ "$(cat "$work/status")" = "$1 120
skip-flush:100000000 0" ] || complain "$1 on $2: the printed program: $(tr '\n' ' ' <"$work/status")"
	rm "$work/status"
}

for engine in uffd mprotect; do
	for fault in skip-flush open-unmarked no-trap-mark pass-over foreign-fence one-mapping; do
		missed $fault $engine
	done
	generate flush-error $engine
	grep -q 'errno 5.*the kernel: value 0, errno 0' "$work/out" || complain "flush-error on $engine: no difference"
	policy=kernel
	generate not-handed $engine
	grep -q 'durable image differs' "$work/out" || complain "not-handed on $engine: no difference"
	policy=adaptive
done
exit $failed
