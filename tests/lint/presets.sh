#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# presets.sh [BUILD]: the compiler takes the options that each preset gives to each file, so that all of them can be
# built, and clang has no warning for any file of the preset `release`.
set -eu

# shellcheck source=tests/lint/lib.sh
. "${0%/*}/lib.sh"
lint_begin presets "$@"
need cmake cmake
need jq jq
need clang clang

commands() { # BUILD: the compilers' command lines, but for files that the build itself makes
	jq -r --arg made "$1/" '.[] | select(.file | startswith($made) | not).command' "$1/compile_commands.json"
}

# Options only: an empty file tells whether they go together.
nr_options=0
for preset in $(jq -r '.configurePresets[] | select(.hidden | not) | .name' CMakePresets.json); do
	cmake --preset "$preset" -B "$scratch/$preset" >"$scratch/log" 2>&1 || {
		complain "the preset $preset cannot be configured: $(cat "$scratch/log")"
		continue
	}
	commands "$scratch/$preset" | sed 's/ -o .*//; s/ -[DI][^ ]*//g' | sort -u >"$scratch/options"
	[ -s "$scratch/options" ] || complain "the preset $preset compiles nothing"
	while read -r command; do
		nr_options=$((nr_options + 1))
		sh -c "$command -fsyntax-only -x c /dev/null" >"$scratch/log" 2>&1 ||
			complain "the preset $preset: $(cat "$scratch/log"): $command"
	done <"$scratch/options"
done

commands "$scratch/release" | sed 's/^[^ ]* /clang -Werror -fsyntax-only /; s/ -o [^ ]* -c / /; s/ -fsanitize=[^ ]*//' |
	sort -u >"$scratch/clang"
tr '\n' '\0' <"$scratch/clang" | xargs -0 -P "$(nproc)" -n 1 sh -c 2>"$scratch/found" || {
	cat "$scratch/found"
	complain 'clang has warnings, see above'
}
lint_end "$nr_options sets of options, $(wc -l <"$scratch/clang") files with clang"
