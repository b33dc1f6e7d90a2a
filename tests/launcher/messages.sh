#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# messages.sh [BUILD]: what is said once is not said again, and nothing is said that is not so.
set -eu

# shellcheck source=tests/launcher/lib.sh
. "${0%/*}/lib.sh"
launcher_begin messages "$@"
compile "$source/tests/launcher/messages.c" "$scratch/messages"
mkdir "$scratch/files"

run 0 "$daxsync" run --emulate --verify -- "$scratch/messages" "$scratch/files" files
equals 'lines about many files' "$(grep -c 'more than 256 files' "$scratch/err")" 1

for engine in auto mprotect; do
	run 0 "$daxsync" run --emulate --engine=$engine -- "$scratch/messages" "$scratch/files" half-way
	! grep -q max_map_count "$scratch/err" || fail 'the number of mappings has nothing to do with it'
done
passed
