#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# signals.sh [BUILD]: a program under the verifier is a child of the launcher,
# and yet gets the signals that are sent to the launcher, once each.
set -eu

# shellcheck source=tests/launcher/lib.sh
. "${0%/*}/lib.sh"
launcher_begin signals "$@"
launcher=
trap '[ -z "$launcher" ] || kill -KILL "$launcher"; scratch_end' EXIT
compile "$source/tests/launcher/signals.c" "$scratch/signals"
compile "$source/tests/launcher/group.c" "$scratch/group"

# Starts the counting program under the launcher in a process group of its own,
# so that the launcher is signalled from outside of its group, as by a shell.
start() { # [WRAPPER...]
	rm -f "$scratch/pid" "$scratch/got"
	"$scratch/group" "$@" "$daxsync" run --emulate --verify -- "$scratch/signals" "$scratch/pid" "$scratch/got" \
		>"$scratch/out" 2>"$scratch/err" &
	launcher=$!
	eventually test -s "$scratch/pid"
	program=$(cat "$scratch/pid")
}

finish() { # EXPECTED-STATUS
	status=0
	wait "$launcher" || status=$?
	launcher=
	equals 'the exit status' "$status" "$1"
}

state_of() { # PID
	sed 's/.*) //; s/ .*//' "/proc/$1/stat" 2>/dev/null || true
}
is_state() { # PID STATE
	[ "$(state_of "$1")" = "$2" ]
}
is_not_state() { # PID STATE
	[ "$(state_of "$1")" != "$2" ]
}

# Each signal arrives, once, and the launcher stays.
start
for signal in HUP INT QUIT USR1 USR2; do
	kill -"$signal" "$launcher"
	eventually grep -qx "$signal" "$scratch/got"
done
kill -TERM "$launcher"
finish 42
equals 'what arrived' "$(sort "$scratch/got" | tr '\n' ' ')" 'HUP INT QUIT TERM USR1 USR2 '

# A program that does not catch the signal is killed by it.
# shellcheck disable=SC2016 # the inner shell's variables
run 143 sh -c '
	"$1" "$2" run --emulate --verify -- sleep 60 &
	pid=$!
	sleep 0.3
	kill -TERM $pid
	wait $pid' sh "$scratch/group" "$daxsync"

# The program stops and goes on with the launcher.
start
kill -TSTP "$launcher"
eventually is_state "$program" T
eventually is_state "$launcher" T
kill -CONT "$launcher"
eventually is_not_state "$program" T
eventually is_not_state "$launcher" T
kill -TERM "$launcher"
finish 42

# A stop of the program alone leaves the launcher running.
start
kill -STOP "$program"
eventually is_state "$program" T
sleep 0.2
is_state "$launcher" T && fail 'the launcher stopped with the program'
kill -CONT "$program"
kill -TERM "$launcher"
finish 42

# What the program sends to its own group does not come back to it.
start
kill -USR1 "$launcher"
eventually grep -qx USR1 "$scratch/got"
kill -ALRM "$launcher" # makes the program send USR2 to its group
eventually grep -qx ALRM "$scratch/got"
eventually grep -qx USR2 "$scratch/got"
sleep 0.2
kill -TERM "$launcher"
finish 42
equals 'what arrived' "$(sort "$scratch/got" | tr '\n' ' ')" 'ALRM TERM USR1 USR2 '

# Killing the launcher kills the program.
start
kill -KILL "$launcher"
wait "$launcher" 2>/dev/null || true
launcher=
eventually test ! -d "/proc/$program"

# Ignored signals stay ignored (nohup), and an ignored SIGCHLD does no harm.
start nohup
kill -HUP "$launcher"
kill -USR1 "$launcher"
eventually grep -qx USR1 "$scratch/got"
kill -TERM "$launcher"
finish 42
# shellcheck disable=SC2016 # the inner shell's variable
run 3 sh -c 'trap "" CHLD; exec "$1" run --emulate --verify -- sh -c "exit 3"' sh "$daxsync"

# The program starts with the signal mask that the launcher was given.
"$daxsync" run --emulate --verify -- grep '^Sig[BI]' /proc/self/status >"$scratch/below" 2>/dev/null || [ $? -eq 121 ]
grep '^Sig[BI]' /proc/self/status | diff - "$scratch/below" >"$scratch/out" || fail 'another mask'
passed
