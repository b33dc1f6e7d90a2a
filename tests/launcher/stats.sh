#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# stats.sh [BUILD]: `daxsync run --stats`: complete whatever ends a process, in a file of its own for each process.
set -eu

# shellcheck source=tests/launcher/lib.sh
. "${0%/*}/lib.sh"
launcher_begin stats "$@"
need jq jq
# shellcheck disable=SC3045 # every sh of ours has it
ulimit -c 0
chmod 711 "$scratch" # also for whom a program becomes
compile "$source/tests/launcher/endings.c" "$scratch/endings"
compile "$source/tests/launcher/group.c" "$scratch/group"
mkfifo "$scratch/input"
: >"$scratch/file"

stats() { # STATUS WHAT...: the program's exit status, and how it ends
	wanted=$1
	shift
	rm -f "$scratch"/stats*
	run "$wanted" "$daxsync" run --emulate --stats="$scratch/stats$pattern" -- "$scratch/endings" "$scratch/file" "$@"
}
holds() { # FILE SYNCS: of a process that has mapped the file, and synced it so often, or once more at its end
	[ -f "$1" ] || fail "no $1, but: $(ls "$scratch")"
	jq -e --arg path "$scratch/file" ".syncs >= $2 and .mappings[0].path == \$path" "$1" >/dev/null ||
		fail "not $2 syncs of the file: $(cat "$1")"
}
files() {
	find "$scratch" -name 'stats*' | wc -l
}

pattern=
for end in exit _exit syscall; do
	stats 0 $end
	holds "$scratch/stats" 1
	equals 'the program' "$(jq -r .program "$scratch/stats")" endings
done
for signal in 2 6 9 11 15; do
	stats $((128 + signal)) $signal
	holds "$scratch/stats" 1
done
if [ "$(id -u)" -eq 0 ]; then
	stats 0 setuid
	holds "$scratch/stats" 1
else
	echo "$name: left out: a program that becomes another user (not root)"
fi

# A signal to the launcher; statistics while it runs are there too.
hold mapped "$scratch/group" "$daxsync" run --emulate --stats="$scratch/stats" -- "$scratch/endings" "$scratch/file" hold
launcher=$held
program=$(cat "/proc/$launcher/task/$launcher/children")
run 0 "$daxsync" stat "${program% }"
kill -TERM "$launcher"
status=0
wait "$launcher" || status=$?
exec 3>&-
equals 'the status after SIGTERM' "$status" 143
holds "$scratch/stats" 1

# To standard error.
run 0 "$daxsync" run --emulate --stats=- -- "$scratch/endings" "$scratch/file" _exit
sed -n '/^{/p' "$scratch/err" >"$scratch/stats"
holds "$scratch/stats" 1
# Set in the environment, and relative.
rm -f "$scratch/stats"
(cd "$scratch" && DAXSYNC_STATS=stats run 137 "$daxsync" run --emulate -- ./endings file 9)
holds "$scratch/stats" 1

# Children have files of their own, also one that is killed.
stats 0 forks
holds "$scratch/stats" 1
equals 'the number of files' "$(files)" 3
for file in "$scratch"/stats.*; do
	jq -e '.syncs >= 2' "$file" >/dev/null || fail "not the syncs of a child: $(cat "$file")"
	equals 'the name' "$file" "$scratch/stats.$(jq .pid "$file")"
done
# Those that have mapped nothing have none.
rm -f "$scratch"/stats*
run 0 "$daxsync" run --emulate --stats="$scratch/stats" -- sh -c 'true; ls /; exit 0'
equals 'the number of files' "$(files)" 1
jq -e '.program == "sh" and .mappings == []' "$scratch/stats" >/dev/null || fail "not the shell's: $(cat "$scratch/stats")"

# Programs that a process executes one after the other: the last one has the name.
stats 0 exec "$scratch/endings" "$scratch/file" forks
equals 'the number of files' "$(files)" 4
holds "$scratch/stats" 1
holds "$scratch/stats.1" 1
stats 0 exec true
jq -e '.program == "true"' "$scratch/stats" >/dev/null || fail 'not of the last program'
holds "$scratch/stats.1" 1
# Also where all of them have ended before the launcher looks.
rm -f "$scratch"/stats*
# shellcheck disable=SC2016 # the inner shell's variables
hold waits "$scratch/group" "$daxsync" run --emulate --stats="$scratch/stats" -- sh -c 'echo waits; read -r line; exec "$@"' \
	sh "$scratch/endings" "$scratch/file" exec true
launcher=$held
program=$(cat "/proc/$launcher/task/$launcher/children")
kill -STOP "$launcher"
echo >&3
exec 3>&-
eventually grep -q '^State:.Z' "/proc/${program% }/status"
kill -CONT "$launcher"
wait "$launcher" || fail "exit status $? of the launcher that was stopped"
holds "$scratch/stats.1" 1
# A shell that executes the program in its own place is no program of its own.
rm -f "$scratch"/stats*
# shellcheck disable=SC2016 # the inner shell's variables
run 137 "$daxsync" run --emulate --stats="$scratch/stats" -- sh -c 'exec "$@"' sh "$scratch/endings" "$scratch/file" 9
holds "$scratch/stats" 1
equals 'the number of files' "$(files)" 1

# With %p each process has its own name, whether it has mapped anything or not.
pattern=.%p.json
stats 0 forks
equals 'the number of files' "$(files)" 3
for file in "$scratch"/stats.*; do
	equals 'the name' "$file" "$scratch/stats.$(jq .pid "$file").json"
done
rm -f "$scratch"/stats*
run 0 "$daxsync" run --emulate --stats="$scratch/stats.%p" -- sh -c 'ls /; exit 0'
equals 'the number of files' "$(files)" 2

# A child that goes on after the run writes its own.
pattern=
rm -f "$scratch"/stats*
exec 3<>"$scratch/input"
# shellcheck disable=SC2016 # the inner shell's variables
run 0 "$daxsync" run --emulate --stats="$scratch/stats" -- sh -c '"$1" "$2" leave <"$3" & wait' sh "$scratch/endings" \
	"$scratch/file" "$scratch/input" 3>&-
eventually grep -q left "$scratch/err"
exec 3>&-
eventually test "$(files)" -ge 2
eventually sh -c "cat '$scratch'/stats.* | grep -q '\"syncs\":[3-9]'"
passed
