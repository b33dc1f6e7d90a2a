#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# stat.sh [BUILD]: `daxsync stat`: the statistics of a process that runs, and of processes that have none.
set -eu

# shellcheck source=tests/launcher/lib.sh
. "${0%/*}/../launcher/lib.sh"
launcher_begin stat "$@"
need jq jq
processes=$build/bin/tests/processes
[ -x "$processes" ] || processes=$source/build/release/bin/tests/processes
mkdir "$scratch/registry"
mkfifo "$scratch/input"
export DAXSYNC_REGISTRY="$scratch/registry"

hold() { # CASE: a process that waits for the end of its input
	"$daxsync" run --emulate -- "$processes" "$1" "$scratch/file" <"$scratch/input" >"$scratch/held" 2>"$scratch/err" &
	pid=$!
	exec 3>"$scratch/input"
	eventually grep -q '^mapped: served' "$scratch/held"
}

let_go() {
	exec 3>&-
	wait "$pid"
}

is_true() { # WHAT FILTER: of the statistics printed last
	jq -e "$2" "$scratch/out" >/dev/null || fail "$1: not so: $2"
}

hold hold
run 0 "$daxsync" stat "$pid"
says_nothing
is_true 'a process that has mapped a file' ".pid == $pid and .program == \"processes\" and .syncs == 0"
is_true 'its mapping' '.mappings | length == 1'
is_true 'its mapping' ".mappings[0] | .path == \"$scratch/file\" and .mode == \"emulated\" and .count == 1"
keys=$(jq -cS keys "$scratch/out")
run 0 "$daxsync" stat "$pid" "$pid"
equals 'the number of objects' "$(jq -s length "$scratch/out")" 2
if [ "$(id -u)" -eq 0 ] && command -v setpriv >/dev/null 2>&1; then
	run 125 setpriv --reuid=65534 --regid=65534 --clear-groups -- "$daxsync" stat "$pid"
	says "the statistics of process $pid cannot be read: Permission denied"
fi
let_go
run 125 "$daxsync" stat "$pid"
says "there is no process $pid"

# The same keys as at exit.
"$daxsync" run --emulate --stats="$scratch/stats" -- "$processes" mode "$scratch/file" >/dev/null 2>&1
equals 'the keys' "$(jq -cS keys "$scratch/stats")" "$keys"

# A forked child counts for itself, from nothing; so does the parent go on.
hold fork_and_hold
child=$(sed -n 's/^child: //p' "$scratch/held")
run 0 "$daxsync" stat "$pid"
is_true 'the parent' ".pid == $pid and .syncs == 3"
run 0 "$daxsync" stat "$child"
is_true 'the child' ".pid == $child and .syncs == 2"
let_go

# Processes that have none.
run 1 "$daxsync" stat $$
says "process $$ has no statistics"
"$daxsync" run --emulate -- sleep 100 2>/dev/null &
pid=$!
eventually grep -q daxsync "/proc/$pid/maps"
run 1 "$daxsync" stat "$pid"
kill "$pid"

# Wrong use.
run 0 "$daxsync" stat --help
prints 'Usage: daxsync stat'
run 125 "$daxsync" stat
says 'no process is given'
for arg in x 1x '' -1 0 99999999999999999999; do
	run 125 "$daxsync" stat "$arg"
	says "\"$arg\" is no process id"
done
passed
