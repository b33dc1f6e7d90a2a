#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# run.sh BUILD ENGINE [SEED [LEN [RANDOM [K/N]]]]: sequences of calls on one engine, compared with the kernel, with the
# verifier on: all up to length 3 behind each beginning (LEN), of the longest only the K-th of N parts; and random ones, on
# tmpfs and on memfd. SEED `now`: the time, which is printed.
set -eu
build=$1 engine=$2 seed=${3:-now} len=${4:-3} random=${5:-1500} part=${6:-0/1}
[ "$seed" != now ] || seed=$(date +%s)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0

# The workers join no run of the launcher's: thousands of images would stay in its directory. So it is not told to
# verify; the generator tells its workers.
run() { # ARGUMENTS...
	"$build/bin/daxsync" run --emulate --engine="$engine" -- "$build/bin/tests/generator" -s "$seed" "$@" \
		>"$work/out" 2>"$work/err" && status=0 || status=$?
	cat "$work/out"
	[ "$status" -eq 0 ] || {
		echo "generator $*: exit status $status"
		tail -n 20 "$work/err"
		failed=1
	}
	grep 'MISSED PAGE' "$work/err" || true
}

run -m tmpfs -e "$len" -p "$part" -n "$random"
tried=$(sed -n 's/^\([0-9]*\) sequences.*/\1/p' "$work/out")
run -m memfd -n "$random"
if [ "$len" -ge 3 ] && [ "${tried:-0}" -lt $((20000 / ${part#*/})) ]; then
	echo "only ${tried:-0} sequences were tried"
	failed=1
fi
exit $failed
