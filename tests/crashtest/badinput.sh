#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# badinput.sh [BUILD]: `daxsync crashtest` with wrong options, and with programs and checkers that do not behave: each is one
# clear line, and no test that was not made looks like one that was survived.
set -eu

# shellcheck source=tests/launcher/lib.sh
. "${0%/*}/../launcher/lib.sh"
# shellcheck source=tests/crashtest/lib.sh
. "${0%/*}/lib.sh"
crashtest_begin crashtest-badinput "$@"
moves=$built/bin/tests/crash_moves
[ -x "$moves" ] || skip "$moves was not built"
unset DAXSYNC_POLICY DAXSYNC_EMULATE || true

crashtest() { # STATUS ARGUMENT...
	status=$1
	shift
	run "$status" "$daxsync" crashtest "$@"
}

# Options. Nothing runs.
place
for wrong in '--nonsense' '--cuts=0' '--cuts=some' '--cut=0' '--seed=x' '--draw=maybe' '--model=tape' '--tear=100' \
	'--jobs=0' '--coins=100' '--timeout=0' '--check=' '--model=pmem --tear=512'; do
	# shellcheck disable=SC2086 # words
	crashtest 2 $wrong -- touch ran
	says '--'
	[ ! -e ran ] || fail "$wrong: the program has run"
done
crashtest 2
says 'no program is given'
crashtest 2 --tear=4096 -- touch ran
says '--tear=4096: only 512 is possible'
crashtest 2 --json=- --svg=- -- touch ran
says 'cannot both be standard output'
crashtest 2 --replay="$scratch" --check=true -- true
says 'runs no program, and true is given'
crashtest 2 --replay="$scratch"
says 'needs --check'
crashtest 2 -- "$moves" /elsewhere
says '/elsewhere would not be in it'
crashtest 125 --replay="$scratch/none" --check=true
says 'No such file'
crashtest 125 --replay="$scratch" --check=true
says 'record: No such file'
mkdir "$scratch/record.d"
echo nonsense >"$scratch/record.d/record"
crashtest 125 --replay="$scratch/record.d" --check=true
says 'not a record of this version'
# A record of somebody else's writes nothing beside its directory; and a file too large for memory is no test that was survived.
place
crashtest 0 --keep="$scratch/names" --check=true -- "$moves" names
sed 's#other/file#../../out__#; s#name/file#../outfil#' "$scratch/names/record" >"$scratch/record.d/record"
crashtest 125 --replay="$scratch/record.d" --check=true
says 'not a record of this version'
cp "$scratch/names/output" "$scratch/record.d/output"
# The first item behind the magic is the size of the first file: make it 2^60.
{ printf 'dsycrec1\002\0\0\0\0\0\0\0\0\0\0\0\0\0\0\020\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0'
	tail -c +9 "$scratch/names/record"; } >"$scratch/record.d/record"
crashtest 125 --replay="$scratch/record.d" --check=true
tells 'no memory'
crashtest 125 --dir="$scratch/none" --check=true -- true
says 'No such file'
crashtest 125 --keep="$scratch" --check=true -- true
says 'File exists'
crashtest 125 --check=true -- /no/such/program
says '/no/such/program cannot be executed'
crashtest 125 --check=true -- sh -c 'exit 127'
tells 'ended with status 127'
need jq jq
place
cp "$examples/header" .
crashtest 0 --coins=0 -- ./header header.data 1
left_nothing

# Programs.
place
crashtest 125 --json=- --check=true -- touch file
tells 'touch made nothing durable'
grep -q '^not tested: ' "$scratch/err" || fail 'a test that had nothing to try looks like another'
jq -e '.verdict == "not tested" and (.cuts | length) == 1' "$scratch/out" >/dev/null || fail 'no such verdict'
place
mkdir -p "$(seq -s / 40)"
crashtest 125 --check=true -- touch file
says 'directories lie in each other too deep'
place
as_other=
[ "$(id -u)" -ne 0 ] || as_other='setpriv --reuid=65534 --regid=65534 --clear-groups --'
touch unreadable
chmod 0 unreadable
chmod 1777 . "$TMPDIR"
# shellcheck disable=SC2086 # words
run 125 $as_other "$daxsync" crashtest --check=true -- touch file
says 'unreadable: Permission denied'
place
crashtest 1 --check='test ! -s %o || grep -q n never' -- "$moves" never
place
crashtest 1 --model=pmem --check='test ! -s %o || grep -q t twins' -- "$moves" twins
matches 'twins: bytes 0 to 64, '
matches 'twins: bytes 128 to 192, '
rm -rf "${TMPDIR:?}"/*
place
crashtest 0 --check='test ! -s %o || test -s killed' -- "$moves" killed
says 'was ended by signal 9 (Killed): the test goes up to there'
matches '^survived: 1[0-9] power cuts'
place
crashtest 0 --check='test ! -s %o || test -s fails' -- "$moves" fails
says 'ended with status 3: the test goes up to there'
place
# What is acknowledged by each process is there.
# shellcheck disable=SC2016 # for the checker's shell
crashtest 0 --check='for c in a b c d; do
	[ "$(tr -cd $c <forks 2>/dev/null | wc -c)" -ge "$(tr -cd $c <%o | wc -c)" ] || exit 1; done' -- "$moves" forks
matches '^survived: [4-9][0-9] power cuts'
place
# shellcheck disable=SC2016 # for the checker's shell
crashtest 0 --check='for f in plain through; do
	[ "$(cat $f 2>/dev/null | tr -d "\0" | wc -c)" -ge "$(wc -c <%o)" ] || exit 1; done' -- "$moves" writes
matches '^survived: 1[0-9] power cuts'
place
crashtest 0 --model=disk --check='test ! -s %o || test -s state' -- "$moves" replaces
place
crashtest 0 --model=disk --check='test ! -s %o || test -e name/file || test -e other/file' -- "$moves" names
place
crashtest 1 --model=disk --check='test ! -s %o || test -e two/file' -- "$moves" neighbour
place
crashtest 0 --model=disk --check='test ! -s %o || test -e one/file' -- "$moves" neighbour
place
# The last byte that was acknowledged, or a later one.
# shellcheck disable=SC2016 # for the checker's shell
crashtest 0 --model=disk --coins=9 --check='[ ! -s %o ] || [ "$(tail -c 1 %o | od -An -tu1)" -le "$(od -An -tu1 -N1 returns)" ]' \
	-- "$moves" returns
place
crashtest 1 --model=disk --check='test ! -s %o || test -s nowhere' -- "$moves" nowhere
place
# A file with little in it and much room: the time is that of what is in it.
crashtest 0 --coins=1 --check='test ! -s %o || test -s sparse' -- timeout 60 "$moves" sparse
place
crashtest 0 --check='test ! -s %o || grep -q w elsewhere' -- "$moves" elsewhere
place
crashtest 1 --check='test ! -s %o || grep -q e elsewhere' -- "$moves" elsewhere
place
crashtest 0 --check='test ! -s %o || grep -q w unmapped' -- "$moves" unmapped
place
crashtest 1 --check='test ! -s %o || grep -q e unmapped' -- "$moves" unmapped
place
# shellcheck disable=SC2016 # for the checker's shell
crashtest 0 --check='test "$(cat syncs 2>/dev/null | wc -c)" -ge "$(wc -c <%o)"' -- "$moves" syncs
# On the build's file system, which may use the number of a file again.
disk=$(mktemp -d "$built/crashtest.XXXXXX")
trap 'rm -rf "$disk"; scratch_end' EXIT
cd "$disk"
crashtest 0 --coins=9 --check='! grep -q n old' -- "$moves" reuses
cd "$scratch"
rm -rf "$disk"
mkdir "$scratch/elsewhere"
place
crashtest 0 --dir="$scratch/elsewhere" --check=true -- "$moves" forks
says "/forks (and 0 more) lies outside of $scratch/elsewhere, and is not tested"

# Checkers.
place
crashtest 1 --timeout=1 --cut=3 --draw=lost --check='sleep 100' -- "$moves" forks
matches 'the check did not end in time'
place
rm -rf "${TMPDIR:?}"/*
crashtest 125 --coins=1 --check='/no/such/check' -- "$moves" forks
says 'the check could not be run after any power cut: status 127: '
left_nothing
place
crashtest 1 --coins=1 --check='test ! -s %o || /no/such/check' -- "$moves" forks # it can be run at times
matches 'ended with status 127 (a command was not found)'
rm -rf "${TMPDIR:?}"/*
place
crashtest 1 --cut=3 --tear=512 --check=false -- "$moves" forks
matches 'again: .* --tear=512 .*--check='
place
crashtest 1 --cut=3 --check='kill -SEGV $$' -- "$moves" forks
matches 'the check ended with status 139'
place
crashtest 1 --cut=3 --check='echo one; printf "\033[31mred\n"; exit 7' -- "$moves" forks
matches 'ended with status 7:'
matches '| ?.31mred'
place
crashtest 1 --cut=3 --check='mkdir -p a/b; chmod 0 a; exit 1' -- "$moves" forks # what it leaves is removed
crashtest 2 --cut=1000 --check=true -- "$moves" forks
says 'the record has '
rm -rf "${TMPDIR:?}"/*

# A program that waits is ended by ^C, and so is the search: what was found until then is said.
place
"$daxsync" crashtest --check='test ! -s %o || test -s waits' -- "$moves" waits >"$scratch/out" 2>"$scratch/err" &
launcher=$!
until [ "$(cat "$TMPDIR"/*/output 2>/dev/null | wc -c)" -ge 10 ]; do
	kill -0 $launcher 2>/dev/null || fail 'the program has not waited'
	sleep 0.05
done
pkill -INT -P $launcher
wait $launcher || fail "status $? after ^C in the program"
grep -q 'ended by signal 2' "$scratch/err" || fail 'the end by ^C is not said'

# A signal in the search ends it and its checks; what was found until then is said, and of what has survived so far nothing is
# kept.
stuck() { # SIGNAL STATUS CHECK
	place
	rm -f "$scratch/stuck"
	# shellcheck disable=SC2016 # for the checker's shell
	"$daxsync" crashtest --jobs=1 --check='[ "$(wc -c <%o)" -lt 3 ] || { echo $$ >'"$scratch/stuck"'; exec sleep 1000; }
		'"$3" -- "$moves" forks \
		>"$scratch/out" 2>"$scratch/err" &
	launcher=$!
	until [ -s "$scratch/stuck" ]; do
		kill -0 $launcher 2>/dev/null || fail 'the check has not begun'
		sleep 0.05
	done
	kill -"$1" $launcher
	status=0
	wait $launcher || status=$?
	equals "the status after SIG$1" "$status" "$2"
	matches '^interrupted after [0-9]* of [0-9]* power cuts$'
	while kill -0 "$(cat "$scratch/stuck")" 2>/dev/null; do # killed, and perhaps not reaped yet
		sleep 0.05
	done
}
stuck INT 125 true
left_nothing
stuck TERM 125 true
left_nothing
stuck INT 1 false
matches '^broke: '
rm -rf "${TMPDIR:?}"/*

# No room for the record.
if [ "$(id -u)" -eq 0 ] && mkdir "$scratch/small" && mount -t tmpfs -o size=6m tmpfs "$scratch/small" 2>/dev/null; then
	place
	head -c 8000000 /dev/zero | tr '\0' x >big
	crashtest 125 --keep="$scratch/small/keep" --check=true -- "$moves" forks
	until umount "$scratch/small" 2>/dev/null; do # children of the program may go on for a moment
		sleep 0.05
	done
	says 'No space left on device'
else
	echo 'not tried: a full disk, which needs root and a mount'
fi
