#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# completion.sh [BUILD]: the completions for bash and zsh offer the commands, options and values that the help lists.
set -eu

# shellcheck source=tests/launcher/lib.sh
. "${0%/*}/lib.sh"
launcher_begin completion "$@"
need bash bash
need zsh zsh
completion=$source/preload/launcher/completion
PATH=$build/bin:$PATH
commands=$("$daxsync" --help | sed -n 's/^  \([a-z]\{1,\}\)  .*/\1/p')
[ "$(echo "$commands" | wc -l)" -ge 3 ] || fail 'few commands in the help'

options() { # COMMAND: as the help writes them, --NAME or --NAME=VALUES
	"$daxsync" "$1" --help | sed -n 's/^  \(--[^ ]*\).*/\1/p'
}

# What bash offers for the last of the words.
offers() { # WORD...
	bash -c '
		compopt() { :; } # which complains outside of a real completion
		. "$1"
		shift
		COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
		_daxsync daxsync "${@: -1}"
		printf "%s\n" "${COMPREPLY[@]}"' bash "$completion/daxsync.bash" "$@" | LC_ALL=C sort
}
sorted() { # WORD...
	printf '%s\n' "$@" | LC_ALL=C sort
}

# shellcheck disable=SC2086 # several words
equals 'commands (bash)' "$(offers daxsync '')" "$(sorted $commands --help --version)"
equals 'ru (bash)' "$(offers daxsync ru)" run
for command in $commands; do
	equals "$command -- (bash)" "$(offers daxsync "$command" --)" "$(options "$command" | sed 's/\[=.*//; s/=.*/=/' | LC_ALL=C sort)"
done
# Each option with a choice of values, in one word and in two, behind another that has a value.
options run | sed -n 's/^\(--.*\)=\(.*|.*\)/\1 \2/p' >"$scratch/choices"
[ "$(wc -l <"$scratch/choices")" -ge 3 ] || fail 'few options with a choice'
while read -r option values; do
	wanted=$(echo "$values" | tr '|' '\n' | LC_ALL=C sort)
	equals "$option= (bash)" "$(offers daxsync run "$option" =)" "$wanted"
	equals "$option ... (bash)" "$(offers daxsync run --include = /a : /b --stats x "$option" '')" "$wanted"
	equals "$option=... (bash)" "$(offers daxsync run "$option" = "${values%%|*}")" "${values%%|*}"
done <"$scratch/choices"
mkdir "$scratch/dir"
equals 'a directory (bash)' "$(offers daxsync run --image-dir = "$scratch/di")" "$scratch/dir"
equals 'a program (bash)' "$(offers daxsync run --emulate -- daxsyn | sort -u)" daxsync
equals 'a process (bash)' "$(offers daxsync stat $$)" $$

# What zsh's functions are called with.
zsh -fc '
	compdef() { : }
	. $1
	setopt extendedglob
	_daxsync_commands daxsync
	print -rl -- "${subcommands[@]%%:*}" >$2.commands
	for command in "${subcommands[@]%%:*}"; do
		_daxsync_options daxsync $command
		print -rl -- "${specs[@]}" >$2.$command
	done' zsh "$completion/_daxsync" "$scratch/zsh"
equals 'commands (zsh)' "$(cat "$scratch/zsh.commands")" "$commands"
for command in $commands; do
	options "$command" | sed 's/\[=FILE\]$/=-::file:_files/; t
		s/^\([^=]*\)=\(.*|.*\)/\1=:value:(\2)/; s/|/ /g; s/=PATH$/=:directory:_directories/
		s/=FILE$/=:file:_files/; s/=\([^:].*\)$/=:\1: /' >"$scratch/wanted"
	equals "$command (zsh)" "$(cat "$scratch/zsh.$command")" "$(cat "$scratch/wanted")"
done
# In a shell, as a user has it.
mkdir "$scratch/home" "$scratch/functions"
cp "$completion/_daxsync" "$scratch/functions/"
HOME=$scratch/home zsh -fc 'fpath=($1 $fpath); autoload -U compinit; compinit -D -u; print -r -- $_comps[daxsync]' zsh \
	"$scratch/functions" >"$scratch/out" 2>&1 || fail "zsh: $(cat "$scratch/out")"
equals 'the function for daxsync (zsh)' "$(cat "$scratch/out")" _daxsync
passed
