#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# threads.sh [-l] [-s SEED] BUILD ENGINE [FAULT...]
# threads.sh BUILD ENGINE once POLICY ARGUMENT...
#
# Every failure of the table (lib/base/failure.h), at its first occasion and at later ones, and by chance, while other threads
# store, sync, change mappings, write and fork (threads.c). A call may fail only as it was made to; what a sync says is
# durable is; nothing hangs; afterwards everything works. Failures that lose data are reported by the verifier.
# A few occasions, which follow from SEED (the time, if none is given); with -l each one until there are no more.
# The second form repeats one run.
set -eu

here=$(cd "${0%/*}" && pwd)
seed=$(date +%s) long=
while getopts ls: option; do
	case $option in
	l) long=1 ;;
	s) seed=$OPTARG ;;
	*) exit 2 ;;
	esac
done
shift $((OPTIND - 1))
build=$1 engine=$2
shift 2
work=$(mktemp -d /dev/shm/daxsync-threads.XXXXXX)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
failed=0 nr_runs=0 nr_judged=0
export LD_PRELOAD="$build/lib/libdaxsync-faults.so" # threads injects for itself

number() { # NAME: of what the program has printed
	found=$(sed -n "s/.*$1 \([0-9]*\).*/\1/p" "$work/out")
	echo "${found:-0}"
}

once() { # POLICY ARGUMENT...: sets $status, $injected, $seen
	policy=$1
	shift
	mkdir "$work/images" "$work/files"
	status=0
	"$build/bin/daxsync" run --emulate --verify --engine="$engine" --policy="$policy" --image-dir="$work/images" -- \
		"$build/bin/tests/threads" "$@" "$work/files" >"$work/out" 2>"$work/err" || status=$?
	rm -rf "$work/images" "$work/files"
	injected=$(number injected) seen=$(number seen)
	nr_runs=$((nr_runs + 1)) nr_judged=$((nr_judged + $(number judged)))
}

complain() { # WHAT ARGUMENT...
	echo "FAIL: $1 (exit status $status); again: threads.sh $build $engine once $policy $run"
	sed 's/^/    /' "$work/out"
	head -n 40 "$work/err" | sed 's/^/    /'
	failed=1
}

random() { # below MAX, in $random; the generator (Lehmer, 16807)
	seed=$((seed * 16807 % 2147483647))
	random=$((seed % $1))
}

# Half of the runs with each policy, and half of them without forks, after which the kernel would make up for much.
run_of() { # ARGUMENT...: sets $policy and $run
	random 1000000
	policy=adaptive run="-s $random $*"
	[ $((random / 2 % 2)) -eq 0 ] || policy=always-close
	[ $((random % 2)) -eq 0 ] || run="$run -k"
}

kept() { # ARGUMENT...: nothing is lost
	run_of "$@"
	# shellcheck disable=SC2086 # words
	once "$policy" $run
	[ "$status" -eq 0 ] || complain 'not as it should be'
	[ "$seen" -eq 0 ] || nr_seen=$((nr_seen + 1))
}

nth_next() {
	[ -z "$long" ] || {
		nth=$((nth + 1))
		return 0
	}
	random $((nth * 2 + 1))
	nth=$((nth * 2 + random))
}

# Threads come in another order each time: there are no more occasions where two runs in a row have had none.
each_kept() { # FAULT
	nth=1 none=0 nr_seen=0 before=$nr_runs
	while [ "$none" -lt 2 ] && { [ -n "$long" ] || [ "$nth" -lt 32 ]; }; do
		kept -f "$1@$nth"
		none=$((injected ? 0 : none + 1))
		nth_next
	done
	random 4
	kept -b -f "$1@$((random + 1))"
	kept -f "$1:$2"
	echo "$engine $1: $((nr_runs - before)) runs, in $nr_seen of them seen by the program"
}

# What is lost for good is reported. What the next store and sync of the page have made up for may be reported.
lost() { # ARGUMENT...
	policy=always-close run="-l -k -s $seed $*"
	# shellcheck disable=SC2086 # words
	once "$policy" $run
	case $status in
	0) ;;
	120) nr_reported=$((nr_reported + 1)) ;;
	*) complain 'not as it should be' ;;
	esac
}

# One alone may do no harm, where nobody stores at that moment. Many do.
each_lost() { # FAULT ONE_IN
	nth=1 injected=1 nr_reported=0 before=$nr_runs
	while [ "$injected" -gt 0 ] && { [ -n "$long" ] || [ "$nth" -lt 5 ]; }; do
		random 1000000
		lost -f "$1@$nth"
		nth_next
	done
	once_reported=$nr_reported nr_reported=0 try=0
	while [ "$nr_reported" -eq 0 ] && [ "$try" -lt 30 ]; do
		random 1000000
		lost -f "$1:$2"
		try=$((try + 1))
	done
	[ "$nr_reported" -gt 0 ] || complain "NOT CAUGHT: $1:$2"
	echo "$engine $1: $((nr_runs - before)) runs, in $((once_reported + nr_reported)) of them reported by the verifier"
}

one() { # FAULT
	case $1 in
	skip-flush | open-unmarked | no-trap-mark | pass-over | foreign-fence) each_lost "$1" 10 ;;
	flush-first | one-mapping) each_lost "$1" 1 ;;
	no-putback) each_lost no-putback,flush-error 20 ;;
	open-error)
		each_kept "$1" 10
		each_kept slow-scan,open-error 10
		;;
	sys-mprotect)
		each_kept "$1" 8
		each_kept slow-scan,sys-mprotect 8
		;;
	slow-scan | no-map-sync) ;; # no failure of its own; on persistent memory only
	*) each_kept "$1" 8 ;;
	esac
}

if [ "${1:-}" = once ]; then
	shift
	once "$@"
	cat "$work/out" "$work/err"
	exit "$status"
fi
echo "seed $seed"
# shellcheck disable=SC2046 # words
[ $# -gt 0 ] || set -- $(sed -n 's/^\tX("\([a-z-]*\)", .*/\1/p' "$here/../../lib/base/failure.h")
for fault in "$@"; do
	one "$fault"
done
echo "$nr_runs runs, $nr_judged syncs compared with the durable image"
[ "$nr_judged" -gt 0 ] || failed=1
exit $failed
