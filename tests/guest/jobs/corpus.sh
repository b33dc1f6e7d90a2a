#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# corpus.sh [EXT4-PART XFS-PART [PREFIX]]: in a guest, the corpus of small programs on ext4 and on xfs, natively and in mode
# `direct` with the verifier on. A part is K/N: every N-th row from number K on; without them all of it.
set -eu

status=0
compare() { # FILE-SYSTEM PART PREFIX
	CORPUS_PART=$2 sh "$SOURCES/tests/corpus/compare.sh" "$BUILD" direct "/mnt/$1" "$3" >"/tmp/$1" 2>&1 ||
		echo failed >>"/tmp/$1"
}

mount -o remount,size=80% /dev/shm
compare ext4 "${1:-0/1}" "${3:-}" &
compare xfs "${2:-0/1}" "${3:-}"
wait
for fs in ext4 xfs; do
	cat "/tmp/$fs"
	grep -q 'say and end the same' "/tmp/$fs" || status=1
done
exit $status
