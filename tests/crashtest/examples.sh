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
	[ "$model" = disk ] || jq -e '.smallest.lost[0] | .to - .from == 64' "$scratch/json" >/dev/null ||
		fail "more than a line is lost: $(cat "$scratch/json")"
	grep -q '</svg>' "$scratch/svg" || fail 'no picture'
	again
	rm -rf "${TMPDIR:?}"/*
}

# The command that the answer names fails again, without the program.
again() {
	kept=$(jq -r .smallest.kept "$scratch/json")
	run 1 "$daxsync" crashtest --replay="$kept" --model="$model" --cut="$(jq .smallest.moment "$scratch/json")" \
		--draw="$(jq -r .smallest.draw "$scratch/json")" --check="${check:-header_mistake header.data}"
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

# A page may tear where sectors are what arrives.
place
run 0 "$daxsync" crashtest --model=disk --tear=512 -- header header.data 5
matches '^survived'
