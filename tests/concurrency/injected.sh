#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# injected.sh BUILD: bugs injected into the sync point and into the trap. The verifier must catch each while 8 writers run;
# without a bug the same run must be clean. Most of them are about closing, so every page is closed.
set -eu
build=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0

run() { # FAULT ARGUMENTS...
	fault=$1
	shift
	status=0
	"$build/bin/daxsync" run --policy=always-close --emulate --verify --fault="$fault" --stats="$work/stats" -- \
		"$build/bin/tests/writers" -s 2 "$@" >"$work/out" 2>"$work/err" || status=$?
}

caught() { # FAULT WHAT ARGUMENTS...
	fault=$1 what=$2
	shift 2
	# Some need another thread at the right moment: on a busy machine that can take more than one run.
	try=0
	while [ "$try" -lt 30 ]; do
		try=$((try + 1))
		run "$fault" "$@"
		[ "$(jq .missed_pages "$work/stats")" -eq 0 ] || break
		echo "$what: nothing in run $try"
	done
	missed=$(jq .missed_pages "$work/stats")
	printf '%s: %s missed pages reported\n' "$what" "$missed"
	if [ "$missed" -eq 0 ] || { [ "$status" -ne 120 ] && [ "$status" -ne 1 ]; } ||
		! grep -q 'MISSED PAGE' "$work/err"; then
		echo "NOT CAUGHT (status $status)"
		failed=1
	fi
}

caught skip-flush:100 'M2 the flush of a page left out'
caught open-unmarked:50 'M2 a page left open and unmarked'
caught flush-first 'M2 the flush before the close'
caught foreign-fence 'M4 the fence by another thread'
caught pass-over:5 'M4 a sync that passes dirty pages over'
caught no-trap-mark:50 'M1 a page opened by a trap without a mark'
caught one-mapping 'M2 a page closed in one of two mappings' -a
caught no-putback,flush-error:50 'M6 no mark put back after an error' -e

run skip-flush:100000000
if [ "$status" -ne 0 ] || [ "$(jq .missed_pages "$work/stats")" -ne 0 ]; then
	echo "the same run without a bug is not clean (status $status)"
	cat "$work/err"
	failed=1
fi
exit $failed
