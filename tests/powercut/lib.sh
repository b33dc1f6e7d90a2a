# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=sh
#
# shellcheck disable=SC2154 # scratch, build and others come from there
#
# lib.sh: what the power-cut tests share. It stands on the client tests' lib.sh,
# which the test reads first.

# Engine and policy of the runs, in turn.
configurations() {
	for engine in $default_engines; do
		[ "$engine" != uffd ] || has_userfaultfd || continue
		for policy in default always-close never-close; do
			echo "$engine $policy"
		done
	done
	engine=
}

# A program for cut.sh is needed, and the directory $scratch is there.
powercut_begin() { # NAME BUILD
	client_begin "$1" "$2"
	need_built "$build/bin/examples/lmdb_unicode"
	need_file "$unicode_table" unicode-data
	configurations >"$scratch/configurations"
	cut=${0%/*}/cut.sh
}

# Runs each line of standard input as cut.sh's arguments ENGINE POLICY FENCE
# SEED [OPTION...], two at a time; the results go to standard output. (A line
# must not end in a blank: xargs would join it with the next.)
run_cuts() {
	xargs -P 2 -L 1 sh "$cut" "$build"
}

# Reads the results of uncut runs on standard input; writes the arguments of
# CUTS runs, cut at random below the number of fences that their configuration
# has. The generator (Lehmer, 16807) gives the same numbers with every awk.
plan() { # CUTS SEED [OPTION...]
	nr_cuts=$1 seed=$2
	shift 2
	awk -v cuts="$nr_cuts" -v seed="$seed" -v options="$*" '
		function random(max) { # 1 to max
			state = state * 16807 % 2147483647
			return int(state / 2147483647 * max) + 1
		}
		{ engine[NR - 1] = $5; policy[NR - 1] = $6; fences[NR - 1] = $3 }
		END {
			state = seed % 2147483646 + 1
			for (i = 0; i < 10; i++) # small seeds start alike
				random(1)
			for (i = 0; i < cuts; i++) {
				c = i % NR
				line = engine[c] " " policy[c] " " random(fences[c]) " " random(1000000000)
				print line (options == "" ? "" : " " options)
			}
		}'
}

# How many results have the outcome.
outcomes() { # OUTCOME FILE
	awk -v outcome="$1" '$1 == outcome { n++ } END { print n + 0 }' "$2"
}

show() { # OUTCOME FILE: up to five results, with the command that repeats each
	awk -v outcome="$1" -v cut="$cut" -v build="$build" '$1 == outcome && n++ < 5 {
		print "  " $0
		print "    again: sh " cut " " build " " $5 " " $6 " " $7 " " $8
	}' "$2"
}

# "least A, median B, most C" of the acknowledged operations in the results.
acknowledged_range() { # FILE
	awk '$1 != "uncut" && $2 != "-" { print $2 }' "$1" | sort -n | awk '
		{ value[NR] = $1 }
		END {
			if (NR)
				printf "least %d, median %d, most %d\n", value[1], value[int((NR + 1) / 2)], value[NR]
			else
				print "none"
		}'
}
