#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# missed.sh [SEEDS [SEED [BUILD]]]: flushes are left out by chance, and a program compares the file with its durable image
# after each sync, page by page. The pages that differ must be exactly those that the verifier has reported, each once. So
# a run without a report has lost nothing. With all engines, and SEEDS seeds from SEED on.
set -eu

# shellcheck source=tests/clients/lib.sh
. "${0%/*}/../clients/lib.sh"
seeds=${1:-3}
seed=${2:-$(date +%s)}
client_begin powercut-missed "${3:-${0%/*}/../../build/release}"
program=$build/bin/tests/missed
need_built "$program"

once() { # SEED POLICY FAULT [-a]: sets $status and $missed
	mkdir "$scratch/images"
	at=$1 policy=$2 fault=$3
	shift 3
	status=0
	"$build/bin/daxsync" run --emulate --verify --engine="$engine" --policy="$policy" --fault="$fault" \
		--image-dir="$scratch/images" -- "$program" "$@" "$scratch/file" "$scratch/images" "$at" \
		>"$scratch/out" 2>"$scratch/err" || status=$?
	rm -rf "$scratch/images"
	missed=$(cat "$scratch/out")
}

several() { # POLICY FAULT [-a]
	total=0
	for i in $(seq "$seeds"); do
		once $((seed + i - 1)) "$@"
		if [ "$status" -ne 120 ] || [ "${missed:-0}" -eq 0 ]; then
			fail "$* seed $((seed + i - 1)): exit status $status, ${missed:-no number of} pages"
		fi
		grep -q "^daxsync: $missed missed pages\{0,1\}:" "$scratch/err" || fail "$*: not $missed in the end"
		total=$((total + missed))
	done
	echo "$engine $*: $total pages lost, and reported"
}

for engine in $engines; do
	[ "$engine" != uffd ] || has_userfaultfd || continue
	several always-close skip-flush:10
	several never-close skip-flush:10
	several always-close pass-over:4
	several always-close skip-flush:10 -a
	several never-close skip-flush:10 -a
	several always-close pass-over:4 -a
	once "$seed" always-close skip-flush:100000000 -a
	[ "$status $missed" = '0 0' ] || fail "nothing left out: exit status $status, $missed pages"
done
