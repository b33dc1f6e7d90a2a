#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# soak.sh [-t SECONDS] [-c JOBS] [-n AT_ONCE] [-s SEED] BUILD
# soak.sh -j KIND:ENGINE:POLICY:PRESSURE:SEED BUILD
#
# Runs a random mixture of the other tests' programs under the shim with the verifier on, a few at once: clients,
# generated sequences of calls, concurrent writers, processes that fork and are killed, signals, emulated power cuts; each
# with one of the engines and one of the policies, and half of them while memory, address space or the CPUs are short. The
# order follows from SEED (the time, if none is given). No new job begins after SECONDS (60), or after JOBS jobs.
#
# Each job judges itself: data is read back without the shim, exit statuses are as they should be, no page is missed. What
# a job that failed has said stays in BUILD/soak, and the command that repeats the job (-j) is printed. The last line is
# the sum. Exit status: 0; 1 if a job failed; 77 if all were skipped.
set -eu

here=$(cd "${0%/*}" && pwd)
tests=${here%/*}
seconds=60 jobs=100000 at_once=$(($(nproc) + 1)) seed=$(date +%s) job=
while getopts t:c:n:s:j: option; do
	case $option in
	t) seconds=$OPTARG ;;
	c) jobs=$OPTARG seconds=100000 ;;
	n) at_once=$OPTARG ;;
	s) seed=$OPTARG ;;
	j) job=$OPTARG ;;
	*) exit 2 ;;
	esac
done
shift $((OPTIND - 1))
build=$(cd "$1" && pwd)

random_cases='second_writer_comes_and_goes first_writer_leaves writers_are_killed_while_others_sync only_writer_is_killed
	many_short_lived_writers file_is_cut_while_syncing fork_while_storing_and_syncing children_that_only_execute
	forked_child_executes forked_child_stays raw_clone_child_tells_the_parent daemon_goes_on'
random_signals='store-ro/ store-null load-null misaligned non-canonical execute raise-bus sigqueue kill inherit mask context stack'

# A word of LIST, by a number.
choose() { # NUMBER LIST
	number=$1
	shift
	shift $((number % $#))
	echo "$1"
}

writers() {
	set -- -s 2 -p "$(choose "$seed" 1 4 64 2000)" -m "$(choose $((seed / 4)) tmpfs memfd)"
	[ $((seed % 3)) -ne 0 ] || set -- "$@" -a
	"$build/bin/daxsync" run --emulate --verify --stats="$work/stats" -- "$build/bin/tests/writers" "$@" || return
	jq -r '"\(.syncs) syncs, \(.verified_pages) verified, \(.missed_pages) missed"' "$work/stats"
	jq -e '.missed_pages == 0 and .verified_pages > 0 and .mappings[0].mode == "emulated"' "$work/stats" >/dev/null
}

# The short form of cut.sh's work has about 90 fences; where the cut is behind the last, the program ends.
powercut() {
	result=$(CUT_LINES=300 sh "$tests/powercut/cut.sh" "$build" "$engine" "$policy" $((seed % 100 + 1)) "$seed" --verify)
	echo "$result"
	case $result in
	'WRONG '* | 'ERROR '*) return 1 ;;
	esac
	[ "$(echo "$result" | cut -d ' ' -f 4)" = 0 ]
}

# The generator's workload, which notices when a call fails, with little address space.
limits() {
	prlimit --as="$(choose "$seed" 2000000000 400000000 100000000)" -- \
		"$build/bin/daxsync" run --emulate -- "$build/bin/tests/generator" -w
}

run_kind() {
	case $kind in
	lmdb_c | lmdb_python | kyoto | tkrzw | fio) sh "$tests/clients/$kind.sh" "$build" "$engine" ;;
	generator) sh "$tests/generator/run.sh" "$build" "$engine" "$seed" 0 10 ;;
	processes)
		# shellcheck disable=SC2086 # words
		sh "$tests/processes/processes.sh" "$build" "$engine" 10 "$(choose "$seed" $random_cases)"
		;;
	signals)
		# shellcheck disable=SC2086 # words
		sh "$tests/signals/compare.sh" "$build" "$engine" "$(choose "$seed" $random_signals)"
		;;
	forks) CASES_TIMEOUT=500 sh "$tests/cases/cases.sh" "$build" "$engine" fork_anywhere ;;
	writers) writers ;;
	powercut) powercut ;;
	limits) limits ;;
	*)
		echo "soak.sh: no kind $kind"
		return 2
		;;
	esac
}

# The statistics of a job's processes, where its script asks for none itself.
judge() {
	set -- "$work"/each/*.json
	[ -f "$1" ] || return 0
	find "$work/each" -name '*.json' -exec cat {} + >"$work/all"
	jq -r -s 'def total(f): map(f // 0) | add;
		"\(total(.syncs)) syncs, \(total(.verified_pages)) verified, \(total(.missed_pages)) missed"' "$work/all"
	! grep -Eq '"missed_pages": *[1-9]' "$work/all"
}

# One job, under its pressure. Its directory is on tmpfs, and is removed.
one() { # KIND:ENGINE:POLICY:PRESSURE:SEED
	IFS=: read -r kind engine policy pressure seed <<-WORDS
		$1
	WORDS
	case $pressure in
	memory | cpu) exec "$build/bin/tests/pressure" "$pressure" sh "$0" -j "$kind:$engine:$policy:none:$seed" "$build" ;;
	as) exec prlimit --as=4000000000 -- sh "$0" -j "$kind:$engine:$policy:none:$seed" "$build" ;;
	esac
	work=$(mktemp -d /dev/shm/daxsync-soak.XXXXXX)
	trap 'rm -rf "$work"' EXIT
	trap 'exit 130' INT TERM
	mkdir "$work/each"
	export TMPDIR="$work" DAXSYNC_ENGINE="$engine" DAXSYNC_POLICY="$policy" DAXSYNC_STATS="$work/each/%p.json"
	run_kind || return
	judge
}

# An endless list of jobs, or $jobs of them. The generator (Lehmer, 16807) gives the same numbers with every awk. The
# kinds come in rounds, in a new order each time, so that a short run has them all.
plan() {
	awk -v jobs="$jobs" -v seed="$seed" '
		function random(max) { # 0 to max - 1
			state = state * 16807 % 2147483647
			return int(state / 2147483647 * max)
		}
		function shuffle(  i, other, kept) {
			for (i = n; i > 1; i--) {
				other = random(i) + 1
				kept = kind[i]
				kind[i] = kind[other]
				kind[other] = kept
			}
		}
		BEGIN {
			n = split("writers powercut generator processes limits lmdb_c fio forks tkrzw signals lmdb_python kyoto", kind)
			split("none none none memory cpu as", pressure)
			state = seed % 2147483646 + 1
			for (i = 0; i < 10; i++) # small seeds start alike
				random(1)
			for (i = 0; i < jobs; i++) {
				if (i % n == 0)
					shuffle()
				printf "%d %s:%s:%s:%s:%d\n", i + 1, kind[i % n + 1], random(2) ? "uffd" : "mprotect", \
					random(2) ? "adaptive" : "always-close", pressure[random(6) + 1], random(1000000000)
			}
		}'
}

# Runs a job of the plan, unless the time is over: 255 tells xargs to start no more. Adds a line to the results: STATUS JOB
# SYNCS VERIFIED MISSED.
planned() { # NUMBER JOB
	[ "$(date +%s)" -lt "$SOAK_END" ] || exit 255
	log=$SOAK_OUT/$1.log
	status=0
	timeout 1200 sh "$0" -j "$2" "$build" >"$log" 2>&1 || status=$?
	if grep -q 'MISSED PAGE' "$log" && [ "$status" -eq 0 ]; then
		status=120
	fi
	awk -v head="$status $2" '
		{
			for (i = 2; i <= NF; i++)
				for (word in sum)
					if ($i ~ "^" word ",?$" && $(i - 1) ~ /^[0-9]+$/)
						sum[word] += $(i - 1)
		}
		BEGIN { sum["syncs"] = sum["verified"] = sum["missed"] = 0 }
		END { print head, sum["syncs"], sum["verified"], sum["missed"] }' "$log" >>"$SOAK_OUT/results"
	case $status in
	0) rm "$log" ;;
	77) sed -n "s/^SKIP/$2: SKIP/p" "$log" && rm "$log" ;;
	*)
		printf 'FAIL: status %s, %s\n  again: sh %s -j %s %s\n' "$status" "$log" "$0" "$2" "$build"
		tail -n 5 "$log" | cut -c1-160 | sed 's/^/  | /'
		;;
	esac
	exit 0
}

[ -z "$job" ] || {
	one "$job"
	exit
}
[ -z "${SOAK_JOB:-}" ] || planned "$SOAK_JOB" "$2"

for program in jq prlimit; do
	command -v $program >/dev/null || {
		echo "SKIP: $program is missing"
		exit 77
	}
done
! grep -Eq 'lib(asan|tsan|ubsan)\.so' "$build/lib/libdaxsync-preload.so" 2>/dev/null || {
	echo 'SKIP: a library with a sanitizer cannot be preloaded into other programs'
	exit 77
}
begin=$(date +%s)
SOAK_END=$((begin + seconds)) SOAK_OUT=$build/soak/$seed
export SOAK_END SOAK_OUT
rm -rf "$SOAK_OUT"
mkdir -p "$SOAK_OUT"
: >"$SOAK_OUT/results"
echo "seed $seed, $at_once jobs at once"
# shellcheck disable=SC2016 # the inner shell's words
plan | xargs -P "$at_once" -L 1 sh -c 'SOAK_JOB=$2 exec sh "$0" "$1" "$3"' "$0" "$build" 2>/dev/null || true

awk -v time=$(($(date +%s) - begin)) '
	{
		split($2, word, ":")
		if (!(word[1] in kinds))
			order[++n] = word[1]
		kinds[word[1]]++
		syncs += $3
		verified += $4
		missed += $5
		failed += $1 != 0 && $1 != 77
		skipped += $1 == 77
	}
	END {
		printf "%d s, %d jobs (", time, NR
		for (i = 1; i <= n; i++)
			printf "%s%s %d", (i > 1 ? ", " : ""), order[i], kinds[order[i]]
		printf "), %d syncs, %d pages verified, %d missed, %d skipped, %d failures\n", syncs, verified, missed, skipped, failed
		exit failed || !NR ? 1 : skipped == NR ? 77 : 0
	}' "$SOAK_OUT/results" && status=0 || status=$?
[ "$status" -eq 1 ] || rm -r "$SOAK_OUT"
exit "$status"
