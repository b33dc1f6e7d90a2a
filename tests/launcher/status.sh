#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# status.sh [BUILD]: the exit status of `daxsync run` is the program's own,
# whether the launcher is replaced by the program or waits for it.
set -eu

# shellcheck source=tests/launcher/lib.sh
. "${0%/*}/lib.sh"
launcher_begin status "$@"

check_all() { # SUCCESS OPTION...
	success=$1
	shift
	run "$success" "$daxsync" run "$@" -- true
	run 1 "$daxsync" run "$@" -- false
	run 7 "$daxsync" run "$@" -- sh -c 'exit 7'
	run 255 "$daxsync" run "$@" -- sh -c 'exit 255'
	run 7 "$daxsync" run "$@" sh -c 'exit 7'
	for signal in 1 2 3 6 9 11 13 15; do
		# shellcheck disable=SC2016 # the inner shell's variable
		run $((128 + signal)) "$daxsync" run "$@" -- sh -c 'ulimit -c 0; kill -$1 $$' sh "$signal"
	done

	run 127 "$daxsync" run "$@" -- no-such-program
	says 'no-such-program cannot be executed: No such file or directory'
	run 127 "$daxsync" run "$@" -- "$scratch/no-such-program"
	run 127 "$daxsync" run "$@" -- ''
	run 127 "$daxsync" run "$@" -- "$scratch/file/below"
	run 126 "$daxsync" run "$@" -- "$scratch"
	run 126 "$daxsync" run "$@" -- "$scratch/file"
	says "$scratch/file cannot be executed: Permission denied"

	run 5 "$daxsync" run "$@" -- "$scratch/script"
	run 6 "$daxsync" run "$@" -- "$scratch/bare"
}

echo data >"$scratch/file"
printf '#!/bin/sh\nexit 5\n' >"$scratch/script"
echo 'exit 6' >"$scratch/bare"
chmod +x "$scratch/script" "$scratch/bare"

check_all 0
check_all 0 --emulate
# A check that did not happen is a failure, unless the program has one of its own.
check_all 121 --emulate --verify
check_all 121 --verify
check_all 122 --emulate --powercut=1
check_all 121 --emulate --verify --powercut=1
run 121 env DAXSYNC_VERIFY=1 "$daxsync" run -- true

# Input, output and arguments go through untouched.
for options in '' '--emulate --verify'; do
	# shellcheck disable=SC2086 # several words
	equals 'the input' "$(echo 'through a pipe' | "$daxsync" run $options -- cat 2>/dev/null)" 'through a pipe'
	# shellcheck disable=SC2016,SC2086
	equals 'the arguments' "$("$daxsync" run $options -- sh -c 'printf "[%s]" "$@"' sh -- --help '' 'a b' 2>/dev/null)" \
		'[--][--help][][a b]'
done
passed
