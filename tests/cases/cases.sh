#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# cases.sh BUILD ENGINE [NAME...]: small programs that the library once got wrong, each as it is and under the shim with
# the verifier on: both must print the same and end the same, in time, with no missed page.
#
# A case is NAME.c, which is called with a path on tmpfs that it may use. Where a case needs more (another library, a
# user, a limit), NAME.sh beside it is run in place of all that; it gets the same environment as its words:
#
#     NAME.sh BUILD ENGINE PROGRAM FILE     exit status: 0 passed, 1 failed, 77 something is missing (named)
#
# A case ends with 77 and a line "SKIP: ..." where the machine cannot show what it is about.
set -eu
here=$(cd "${0%/*}" && pwd)
build=$(cd "$1" && pwd)
engine=$2
shift 2
limit=${CASES_TIMEOUT:-60}
scratch=$(mktemp -d /dev/shm/daxsync-cases.XXXXXX)
clean() {
	chmod -R u+rwx "$scratch" 2>/dev/null || true
	rm -rf "$scratch"
}
trap clean EXIT
trap 'exit 130' INT TERM
export TMPDIR="$scratch" DAXSYNC_REGISTRY="$scratch/registry"
mkdir "$DAXSYNC_REGISTRY"
nr_failed=0 nr_skipped=0 nr_passed=0

failed() { # NAME WHY
	echo "FAIL: $1 ($engine): $2"
	for side in native shim; do
		for kind in out err; do
			[ ! -s "$scratch/$side.$kind" ] || tail -n 20 "$scratch/$side.$kind" | sed "s|^|  $side.$kind: |"
		done
	done
	nr_failed=$((nr_failed + 1))
}

ended() { # SIDE COMMAND...: what it says and how it ends, in files of that side
	side=$1
	shift
	status=0
	timeout -k 5 "$limit" "$@" >"$scratch/$side.out" 2>"$scratch/$side.err" </dev/null || status=$?
	echo "exit status $status" >>"$scratch/$side.out"
}

both_sides() { # NAME PROGRAM FILE
	ended native "$2" "$3"
	if [ "$status" -eq 77 ]; then
		grep SKIP "$scratch/native.out" || true
		nr_skipped=$((nr_skipped + 1))
		return
	fi
	rm -rf "$3" "$scratch/images"
	mkdir "$scratch/images"
	ended shim "$build/bin/daxsync" run --emulate --verify --engine="$engine" --image-dir="$scratch/images" -- "$2" "$3"
	# Some have no sync in them: then there was nothing to verify.
	[ "$status" -ne 121 ] || sed -i 's/^exit status 121$/exit status 0/' "$scratch/shim.out"
	if [ "$status" -eq 124 ] || [ "$status" -eq 137 ]; then
		failed "$1" "did not end within $limit s"
	elif grep -q 'MISSED PAGE' "$scratch/shim.err"; then
		failed "$1" 'a missed page'
	elif ! diff "$scratch/native.out" "$scratch/shim.out" >/dev/null; then
		failed "$1" 'not as without the shim'
	else
		nr_passed=$((nr_passed + 1))
	fi
}

own_script() { # NAME PROGRAM FILE
	status=0
	sh "$here/$1.sh" "$build" "$engine" "$2" "$3" >"$scratch/shim.out" 2>"$scratch/shim.err" || status=$?
	case $status in
	0) nr_passed=$((nr_passed + 1)) ;;
	77)
		grep SKIP "$scratch/shim.out" || true
		nr_skipped=$((nr_skipped + 1))
		;;
	*) failed "$1" "exit status $status" ;;
	esac
}

if [ $# -eq 0 ]; then
	for path in "$here"/*.c "$here"/*.sh; do
		name=${path##*/}
		name=${name%.*}
		[ "$name" = cases ] || { [ "${path%.sh}" != "$path" ] && [ -f "$here/$name.c" ]; } || set -- "$@" "$name"
	done
fi
for name; do
	if [ -f "$here/$name.sh" ]; then
		own_script "$name" "$build/bin/tests/cases/$name" "$scratch/$name"
	elif [ -x "$build/bin/tests/cases/$name" ]; then
		both_sides "$name" "$build/bin/tests/cases/$name" "$scratch/$name"
	else
		failed "$name" 'was not built'
	fi
	rm -rf "${scratch:?}/$name" "$scratch"/native.* "$scratch"/shim.*
done
echo "cases ($engine): $nr_passed passed, $nr_failed failed, $nr_skipped skipped"
[ "$nr_failed" -eq 0 ] || exit 1
[ "$nr_passed" -gt 0 ] || exit 77
