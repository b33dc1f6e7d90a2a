#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# badinput.sh [BUILD]: wrong settings and unfit surroundings are one clear line;
# the program runs all the same and its data are right. Here the environment is
# set by hand: the launcher's own options are refused earlier (options.sh).
set -eu

# shellcheck source=tests/launcher/lib.sh
. "${0%/*}/lib.sh"
launcher_begin badinput "$@"
[ -w /dev/shm ] || skip '/dev/shm is missing'
compile "$source/tests/launcher/mapper.c" "$scratch/mapper"
memory=$(mktemp -d /dev/shm/daxsync-badinput.XXXXXX)
trap 'rm -rf "$memory"; scratch_end' EXIT
preload=$build/lib/libdaxsync-preload.so
[ -f "$preload" ] || skip "$preload was not built"

# Emulation says in one line that it is not durable: not what is judged here.
forget_emulation() {
	sed '/^daxsync: emulated persistent memory /d' "$scratch/err" >"$scratch/other"
	mv "$scratch/other" "$scratch/err"
}
# Runs the program with these settings; it must find its own data right.
shim() { # STATUS SETTING...
	wanted=$1
	shift
	run "$wanted" env LD_PRELOAD="$preload" DAXSYNC_STATS="$scratch/stats" "$@" "$scratch/mapper" "$memory/file"
	forget_emulation
}
has_mode() { # MODE
	grep -qF "\"path\":\"$memory/file\",\"mode\":\"$1\"" "$scratch/stats" ||
		fail "the mode is not $1: $(grep -o '"mappings":.*' "$scratch/stats")"
}
emulate=DAXSYNC_EMULATE=1

shim 0 DAXSYNC_LOG=warn
says_nothing
has_mode pass

# Settings.
shim 0 DAXSYNC_ENGINE=ufd
says 'DAXSYNC_ENGINE: not one of auto|uffd|mprotect; auto is used instead of "ufd"'
shim 0 DAXSYNC_EMULATE=yes
says 'DAXSYNC_EMULATE: not one of 0|1; 0 is used instead of "yes"'
has_mode pass
shim 0 DAXSYNC_LOG=loud
says 'DAXSYNC_LOG: not one of error|warn|info|debug; warn is used instead of "loud"'
shim 0 DAXSYNC_POWERCUT=soon $emulate DAXSYNC_LOG=error
says 'DAXSYNC_POWERCUT: not N or N:SEED'
shim 0 DAXSYNC_VERFY=1
says 'DAXSYNC_VERFY is no setting of daxsync'
shim 0 DAXSYNC_POWERCUT=1
says 'ignored without DAXSYNC_EMULATE=1: DAXSYNC_POWERCUT'
shim 0 DAXSYNC_FAULT=skip-flush $emulate
says 'DAXSYNC_FAULT is no setting of daxsync'
shim 0 DAXSYNC_VERIFY=1
says 'not verified: not on persistent memory'
shim 0 DAXSYNC_STATS=/nonexistent/stats
says 'the statistics cannot be written to /nonexistent/stats: No such file or directory'
shim 0 DAXSYNC_STATS=/dev/full
says 'the statistics cannot be written to /dev/full: No space left on device'

# A FIFO that nobody reads, and one with a reader.
mkfifo "$scratch/fifo"
shim 0 DAXSYNC_STATS="$scratch/fifo"
says "the statistics cannot be written to $scratch/fifo: nobody reads there"
sh -c "exec cat '$scratch/fifo'" >"$scratch/read" &
reader=$!
exec 4>"$scratch/fifo" # it has opened it
shim 0 DAXSYNC_STATS="$scratch/fifo"
exec 4>&-
wait "$reader"
says_nothing
grep -q '"mode":"pass"' "$scratch/read" || fail 'the reader of the FIFO got nothing'

# A reader of standard error that goes does not end the program, whose own words go elsewhere.
# shellcheck disable=SC2016 # the inner shell's variables
env LD_PRELOAD="$preload" DAXSYNC_STATS=- DAXSYNC_LOG=debug $emulate sh -c '"$@"; echo "status $?" >"$0"' \
	"$scratch/ended" "$scratch/mapper" "$memory/file" 2>&1 >/dev/null | true
eventually grep -q status "$scratch/ended"
equals 'the end without a reader' "$(cat "$scratch/ended")" 'status 0'

# Who has mapped nothing has no statistics to tell of: not a word, wherever they cannot go.
run 0 env LD_PRELOAD="$preload" DAXSYNC_STATS=/nonexistent/stats true
says_nothing

# A strict program is told by its mmap.
shim 3 DAXSYNC_STRICT=1
grep -q '^daxsync: ' "$scratch/err" || fail 'no word on the refusal'

# Where the durable image cannot be kept, nothing is verified, so nothing is
# served: the kernel keeps the file.
for dir in /nonexistent /dev/null /proc; do
	shim 0 $emulate DAXSYNC_VERIFY=1 DAXSYNC_IMAGE_DIR="$dir"
	says "$dir"
	has_mode kernel
done
mkdir "$memory/images"
echo 'no control file' >"$memory/images/daxsync.run"
shim 0 $emulate DAXSYNC_VERIFY=1 DAXSYNC_IMAGE_DIR="$memory/images"
says "$memory/images"
has_mode kernel

# No engine needs a privilege.
if [ "$(id -u)" -eq 0 ] && "$daxsync" check -v | grep -q '^  userfaultfd  *granted'; then
	chmod 777 "$memory"
	chmod 755 "$scratch"
	rm -f "$memory/file"
	as_nobody='setpriv --reuid=65534 --regid=65534 --clear-groups --bounding-set=-all --inh-caps=-all --'
	# shellcheck disable=SC2086 # several words
	run 0 env DAXSYNC_STATS="$memory/stats" $emulate DAXSYNC_ENGINE=uffd LD_PRELOAD="$preload" \
		$as_nobody "$scratch/mapper" "$memory/file"
	cp "$memory/stats" "$scratch/stats"
	has_mode emulated
	rm -f "$memory/file" "$memory/stats"
	# shellcheck disable=SC2086 # several words
	run 0 env DAXSYNC_STATS="$memory/stats" $emulate LD_PRELOAD="$preload" $as_nobody "$scratch/mapper" \
		"$memory/file"
else
	echo "$name: left out: a user without privileges (not root, or no userfaultfd)"
fi

# A set-uid program, and what has its privileges, ignores the environment: the
# library is not even loaded.
if [ "$(id -u)" -eq 0 ]; then
	cp "$scratch/mapper" "$memory/setuid"
	chmod 4755 "$memory/setuid"
	rm -f "$memory/file"
	run 0 env LD_PRELOAD="$preload" DAXSYNC_STATS=- $emulate setpriv --reuid=65534 --regid=65534 --clear-groups \
		-- "$memory/setuid" "$memory/file"
	! grep -q '"mappings"' "$scratch/err" || fail 'a set-uid program obeyed the environment'
fi
passed
