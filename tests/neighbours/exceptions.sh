#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# exceptions.sh [BUILD [ENGINE...]]: C++ exceptions with a mapping tracked, thrown through frames that store to closed
# pages, in libraries opened after start whose constructors map files, and in threads; also after libunwind was loaded for
# a backtrace (it defines the same names as the unwinder of the C++ run-time).
set -eu

# shellcheck source=tests/launcher/lib.sh
. "${0%/*}/../launcher/lib.sh"
# shellcheck source=tests/neighbours/lib.sh
. "${0%/*}/lib.sh"
neighbours_begin exceptions "$@"
export PLUGIN_FILE="$memory/plugin-file"

for compiler in g++ clang++; do
	need "$compiler" "g++ clang"
	"$compiler" -O2 -Wall -Wextra -pthread "$source/tests/neighbours/exceptions.cc" -o "$scratch/$compiler.program" \
		2>"$scratch/err" || fail "$compiler cannot compile the program"
	"$compiler" -O2 -Wall -Wextra -shared -fPIC "$source/tests/neighbours/plugin.cc" -o "$scratch/$compiler.so" \
		2>"$scratch/err" || fail "$compiler cannot compile the plugin"
done

run_exceptions() {
	for compiler in g++ clang++; do
		program=$scratch/$compiler.program
		plugin=$scratch/$compiler.so
		run 3 "$program" "$file" "$plugin"
		prints 'the unwinder is in libgcc_s'
		cp "$scratch/out" "$scratch/native"
		cp "$file" "$memory/native"
		shim 3 "$program" "$file" "$plugin"
		diff "$scratch/native" "$scratch/out" >"$scratch/err" || fail "$engine: not the same"
		cmp "$file" "$memory/native" >"$scratch/err" 2>&1 || fail "$engine: not the same file"
		tracked "$program"
		for path in "$file" "$PLUGIN_FILE"; do
			cmp "$path" "$memory/images/${path##*/}".* >"$scratch/err" 2>&1 ||
				fail "$engine: the durable image is not the file: $path"
		done
	done
	# An injected miss is reported with a backtrace, and exceptions follow. On files and in directories of its own: what an
	# earlier process has left behind decides in which mode a file begins.
	mkdir "$memory/injected" "$memory/injected/images" "$memory/injected/registry"
	run 3 env PLUGIN_FILE="$memory/injected/plugin-file" DAXSYNC_REGISTRY="$memory/injected/registry" "$daxsync" run \
		--emulate --verify --engine="$engine" --fault=skip-flush:5 --stats="$memory/injected/stats" \
		--image-dir="$memory/injected/images" -- env LD_DEBUG=files LD_DEBUG_OUTPUT="$scratch/loaded" "$program" \
		"$memory/injected/file" "$plugin"
	diff "$scratch/native" "$scratch/out" >"$scratch/diff" || fail "$engine: not the same after a backtrace"
	grep -q 'MISSED PAGE' "$scratch/err" ||
		fail "$engine: the injected miss is not reported: $(cat "$memory/injected/stats")"
	rm -rf "$memory/injected"
	cat "$scratch"/loaded.* >"$scratch/out"
	prints 'file=libunwind.so.8'
	rm -f "$scratch"/loaded.* "$memory"/images/*
	echo "$name $engine: the same"
}
each_engine run_exceptions
passed
