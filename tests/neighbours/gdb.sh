#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# gdb.sh [BUILD [ENGINE...]]: a program under the shim in gdb, with the settings that doc/using.md gives: breakpoints, steps
# over stores that trap, watchpoints, values of tracked variables, stores by gdb, a crash and its core, attaching.
set -eu

# shellcheck source=tests/launcher/lib.sh
. "${0%/*}/../launcher/lib.sh"
# shellcheck source=tests/neighbours/lib.sh
. "${0%/*}/lib.sh"
neighbours_begin gdb "$@"
need gdb gdb
compile "$source/tests/neighbours/debugged.c" "$scratch/debugged" -g -O0

# The documented settings, with this build's library.
# shellcheck disable=SC2016 # a fence of Markdown's
sed -n '/^```gdb$/,/^```$/{/^```/d;p;}' "$source/doc/using.md" |
	sed "s|/usr/local/lib/libdaxsync-preload.so.0|$preload|" >"$scratch/settings"
grep -qF "LD_PRELOAD $preload" "$scratch/settings" || fail 'no settings are found in doc/using.md'

# Runs gdb's commands, one a line on standard input; an error is said and does not end it.
debug() { # OPTION...
	set -- gdb -q -nx -batch -ex 'set confirm off' -ex 'set width 0' "$@"
	while read -r command; do
		set -- "$@" -ex "$command"
	done
	DEBUGINFOD_URLS='' timeout 120 "$@" >"$scratch/out" 2>"$scratch/err" </dev/null || fail "gdb has ended with $?"
}

says_value() { # NAME VALUE: what `output`, after `echo NAME=`, has printed
	grep -q "^$1=$2\$" "$scratch/out" || fail "$engine: $1 is not $2"
}

# A stop, the values there, a store that traps under `next`, one under `stepi`, one that a watchpoint sees.
stops() {
	cat <<-GDB
		break store if nr == 3
		run $file
		backtrace
		echo at=
		output nr
		echo \n
		next
		echo after-next=
		output map[3 * 512]
		echo \n
		delete
		tbreak store if nr == 5
		continue
		watch -location map[6 * 512]
		continue
		echo watched=
		output map[6 * 512]
		echo \n
		delete
		tbreak store if nr == 8
		continue
		stepi 40
		echo after-stepi=
		output map[8 * 512]
		echo \n
		tbreak stored
		continue
		finish
		print map[7 * 512] = 99
		next
		echo closed=
		output map[7 * 512]
		echo \n
		continue
	GDB
}

expect_stops() {
	says_value at 3
	says_value after-next 3
	says_value watched 6
	says_value after-stepi 8
	prints 'exited normally'
	prints 'in main ('
}

ends_in_crash() {
	cat <<-GDB
		run $file crash
		backtrace
		generate-core-file $scratch/core
		kill
	GDB
}

expect_crash() {
	prints 'in crash (where=0x8)'
	debug "$scratch/debugged" "$scratch/core" <<-GDB
		backtrace
		echo kept=
		output map[3 * 512]
		echo \n
	GDB
	prints '#0 '
	prints 'in crash (where=0x8)'
	says_value kept 3
}

under_shim() { # COMMANDS ARGUMENT...: in gdb, with the documented settings
	commands=$1
	shift
	rm -rf "$memory"/stats.* "$memory"/images/*
	{
		cat "$scratch/settings"
		echo "$watching"
		for setting in EMULATE=1 VERIFY=1 ENGINE="$engine" STATS="$memory/stats.%p" IMAGE_DIR="$memory/images"; do
			echo "set environment DAXSYNC_${setting%%=*} ${setting#*=}"
		done
		"$commands"
	} >"$scratch/commands"
	debug "$@" <"$scratch/commands"
	! grep -q 'MISSED PAGE' "$scratch/out" "$scratch/err" || fail "$engine: a missed page"
}

closed_page() {
	says_value closed 7
	grep -q 'Cannot access memory' "$scratch/err" || fail "$engine: gdb has not said that it cannot write"
}

attach() {
	hold '^1 7$' "$daxsync" run --emulate --engine="$engine" -- "$scratch/debugged" "$file" loop
	sed '/^set /d' "$scratch/settings" >"$scratch/commands"
	printf '%s\n' backtrace 'tbreak store' continue 'tbreak stored' continue detach >>"$scratch/commands"
	for times in 1 2 3; do
		debug -p "$held" <"$scratch/commands"
		[ "$(grep -c 'debugged.c:' "$scratch/out")" -ge 2 ] || fail "$engine: the process does not stop ($times)"
	done
	let_go || fail "$engine: after gdb has gone the program ends with $?"
	grep -q 'many rounds' "$scratch/held" || fail "$engine: it did not go on"
}

launcher_in_gdb() {
	{
		sed '/^set environment/d' "$scratch/settings"
		printf '%s\n' 'set breakpoint pending on' 'tbreak debugged.c:store' \
			"run run --emulate --engine=$engine $scratch/debugged $file" \
			backtrace continue
	} >"$scratch/commands"
	rm -f "$memory"/stats.*
	debug "$daxsync" <"$scratch/commands"
	prints 'in main ('
	prints 'exited normally'
}

# On some virtual machines the CPU's watchpoints never stop: then gdb watches by steps.
debug "$scratch/debugged" <<-GDB
	tbreak store
	run $file
	watch -location map[3 * 512]
	continue
	echo watched=
	output map[3 * 512]
	echo \n
GDB
! grep -q 'warning: Could not trace' "$scratch/err" || skip 'gdb must not trace processes here'
watching='set can-use-hw-watchpoints 1'
grep -q '^watched=3$' "$scratch/out" || watching='set can-use-hw-watchpoints 0'

# What gdb can do here without the shim.
engine=none
{
	echo "$watching"
	stops
} >"$scratch/commands"
debug "$scratch/debugged" <"$scratch/commands"
expect_stops
says_value closed 99

debugged() {
	under_shim stops "$scratch/debugged"
	expect_stops
	closed_page
	under_shim ends_in_crash "$scratch/debugged"
	expect_crash
	launcher_in_gdb
	attach
	echo "$name $engine: the same"
}
each_engine debugged
passed
