#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# examples.sh [BUILD]: each program in examples/crashtest survives, and with its mistake it breaks, under both models: what is
# lost is little, is the right thing, and was stored in the right line.
set -eu

# shellcheck source=tests/launcher/lib.sh
. "${0%/*}/../launcher/lib.sh"
# shellcheck source=tests/crashtest/lib.sh
. "${0%/*}/lib.sh"
crashtest_begin crashtest-examples "$@"

survives() { # MODEL CHECK PROGRAM...
	model=$1 check=$2
	shift 2
	place
	run 0 "$daxsync" crashtest --model="$model" ${check:+--check="$check"} -- "$@"
	matches '^survived: [0-9]* power cuts'
	left_nothing
}

breaks() { # MODEL CHECK SOURCE LINE WHAT PROGRAM...
	model=$1 check=$2 line=$3:$(line_of "$3" "$4") what=$5
	shift 5
	place
	run 1 "$daxsync" crashtest --model="$model" --json="$scratch/json" --svg="$scratch/svg" \
		${check:+--check="$check"} -- "$@"
	matches '^broke: the check failed'
	matches "stored by  .* at $line "
	jq -e --arg line " at $line " --arg what "$what" '.verdict == "broke" and .failed > 0 and (.cuts | length) > 5 and
		(.smallest.lost | length == 1 and (.[0].file | test($what)) and (.[0].stored_by[0:2] | any(contains($line))))' \
		"$scratch/json" >/dev/null || fail "not what was to be found: $(cat "$scratch/json")"
	in_sync=true story='flushed, and no sync of it had returned'
	[ "${line%:*}" != log.c ] || in_sync=false story='not synced since they were stored'
	matches ": bytes [0-9]* to [0-9]*, $story\$"
	equals 'what the JSON says of a sync' "$(jq '.smallest.lost[0].in_sync' "$scratch/json")" $in_sync
	[ "$model" = disk ] || jq -e '.smallest.lost[0] | .to - .from == 64' "$scratch/json" >/dev/null ||
		fail "more than a line is lost: $(cat "$scratch/json")"
	grep -q '</svg>' "$scratch/svg" || fail 'no picture'
	again
	rm -rf "${TMPDIR:?}"/*
}

# The command that the answer names fails again, without the program.
again() {
	command=$(sed -n 's/^  again: daxsync //p' "$scratch/out")
	run 1 sh -c "'$daxsync' $command"
	matches '^broke: the check failed after 1 of 1 power cut, in 1 of 1 draw of what arrives'
}

need jq jq
need gnuplot gnuplot-nox
PATH=$PATH:$examples
# shellcheck disable=SC2016 # for the checker's shell
for model in pmem disk; do
	log='log log.data $(tail -n 1 %o)'
	survives "$model" "$log" log log.data add 20
	breaks "$model" "$log" log.c 'log->length++' '^log.data$' log_mistake log.data add 20
	survives "$model" '' header header.data 10
	breaks "$model" '' header.c 'file->record[half].words' '^header.data$' header_mistake header.data 10
	replace='replace state $(tail -n 1 "$DAXSYNC_OUTPUT") check'
	survives "$model" "$replace" replace state 8
	breaks "$model" "$replace" replace.c 'words[i] = version' '^state' replace_mistake state 8
done

# The line of the caller is that of the call. And a name that is hard to write down is in the JSON as it is.
place
name='a "log\data'
# shellcheck disable=SC2016 # for the checker's shell
run 1 "$daxsync" crashtest --model=disk --json="$scratch/json" --check="log '$name' "'$(tail -n 1 %o)' -- \
	log_mistake "$name" add 3
matches " main at log.c:$(line_of log.c 'append(log);') "
equals 'the name in the JSON' "$(jq -r '.smallest.lost[0].file' "$scratch/json")" "$name"
again
rm -rf "${TMPDIR:?}"/*

# A page may tear where sectors are what arrives.
place
run 0 "$daxsync" crashtest --model=disk --tear=512 -- header header.data 5
matches '^survived'
