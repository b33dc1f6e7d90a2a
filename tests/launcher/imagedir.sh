#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# imagedir.sh [BUILD]: the directory of durable images, and what the launcher
# makes of what a verified run left there. The run is played by a small program
# that writes the control file itself.
set -eu

# shellcheck source=tests/launcher/lib.sh
. "${0%/*}/lib.sh"
launcher_begin imagedir "$@"
compile "$source/tests/launcher/fake_run.c" "$scratch/fake"
export TMPDIR="$scratch/tmp"
mkdir "$TMPDIR"

verified() { # STATUS FENCES MISSED FROZEN PROGRAM-STATUS [OPTION...]
	wanted=$1
	fences=$2
	missed=$3
	frozen=$4
	own_status=$5
	shift 5
	run "$wanted" "$daxsync" run --emulate --verify "$@" -- \
		"$scratch/fake" "$fences" "$missed" "$frozen" "$own_status"
}
is_empty() { # DIRECTORY
	[ -z "$(ls -A "$1")" ] || fail "$1 is not empty: $(ls -A "$1")"
}

# Nothing missed: the program's status, no word, nothing left behind.
verified 0 10 0 0 0
says_nothing
is_empty "$TMPDIR"
verified 9 10 0 0 9
says_nothing

# Missed pages: one line; status 120 unless the program failed itself.
verified 120 10 1 0 0
says '1 missed page:'
is_empty "$TMPDIR"
verified 120 10 1234567890123 0 0
says '1234567890123 missed pages:'
verified 9 10 5 0 9
says '5 missed pages:'
# shellcheck disable=SC2016 # the inner shell's variables
run 137 "$daxsync" run --emulate --verify -- sh -c '"$@"; kill -9 $$' sh "$scratch/fake" 10 5 0 0
says '5 missed pages:'

# A run in which nothing was verified must not look like a good one.
run 121 "$daxsync" run --emulate --verify true
says 'nothing was verified'
run 121 "$daxsync" run --verify true
says 'nothing was verified'
run 1 "$daxsync" run --emulate --verify false
says_nothing
run 127 "$daxsync" run --emulate --verify no-such-program
says 'cannot be executed'
is_empty "$TMPDIR"
# Nor one whose power was to be cut and was not.
run 122 "$daxsync" run --emulate --powercut=9:1 -- "$scratch/fake" 8 0 0 0
says 'the power was never cut (--powercut=9:1): the run ended with fence 8'
run 4 "$daxsync" run --emulate --powercut=9:1 -- "$scratch/fake" 8 0 0 4
says_nothing
run 122 "$daxsync" run --emulate --verify --powercut=9 -- "$scratch/fake" 8 0 0 0
says 'the power was never cut'
run 120 "$daxsync" run --emulate --verify --powercut=9 -- "$scratch/fake" 8 1 0 0
says '1 missed page:'
run 121 "$daxsync" run --emulate --verify --powercut=9 true
grep -q 'nothing was verified' "$scratch/err" || fail 'nothing is said of the verifier'
grep -q 'the power was never cut (--powercut=9): the run ended with fence 0' "$scratch/err" ||
	fail 'nothing is said of the power cut'
is_empty "$TMPDIR"

# A given directory stays, and only what this run missed counts.
given=$scratch/given
verified 120 10 3 0 0 --image-dir="$given"
says '3 missed pages:'
[ -f "$given/daxsync.run" ] || fail 'the given directory was emptied'
verified 0 10 0 0 0 --image-dir="$given"
says_nothing
verified 120 10 2 0 0 --image-dir="$given"
says '2 missed pages:'
run 121 "$daxsync" run --emulate --verify --image-dir="$given" true
says 'nothing was verified'
export DAXSYNC_IMAGE_DIR="$given"
verified 120 1 1 0 0
says '1 missed page:'
unset DAXSYNC_IMAGE_DIR
is_empty "$TMPDIR"

# A power cut keeps the images and says where they are.
run 137 "$daxsync" run --emulate --powercut=7:1 -- "$scratch/fake" 7 0 1 137
says "the power was cut at fence 7; the durable images are in $TMPDIR/daxsync-"
kept=$(sed 's/.* are in //' "$scratch/err")
[ -f "$kept/daxsync.run" ] || fail "$kept holds no control file"
equals 'the mode of the directory' "$(stat -c %a "$kept")" 700
# In it nothing can be verified any more, and nothing cut.
for option in --verify --powercut=1; do
	run 125 "$daxsync" run --emulate $option --image-dir="$kept" touch "$scratch/started"
	says "$kept holds what survived a power cut: use an empty directory"
	[ ! -e "$scratch/started" ] || fail 'the program was started all the same'
done
rm -rf "$kept"
is_empty "$TMPDIR"

# The environment alone asks for it as well.
export DAXSYNC_EMULATE=1 DAXSYNC_VERIFY=1
run 120 "$daxsync" run "$scratch/fake" 1 1 0 0
unset DAXSYNC_VERIFY
run 0 "$daxsync" run "$scratch/fake" 1 1 0 0
unset DAXSYNC_EMULATE

# Only a directory that nobody else can write to, or put in its place: as an option, in the environment, and for the library
# alone, which leaves the file to the kernel then.
compile "$source/tests/launcher/mapper.c" "$scratch/mapper"
refuses() { # DIRECTORY REASON
	run 125 "$daxsync" run --emulate --verify --image-dir="$1" touch "$scratch/started"
	says "--image-dir=$1: $2"
	DAXSYNC_IMAGE_DIR=$1 run "$3" "$daxsync" run --emulate --verify "$scratch/mapper" "$scratch/data"
	[ "$3" -eq 121 ] || says "$1: $2"
	run 0 env LD_PRELOAD="$build/lib/libdaxsync-preload.so" DAXSYNC_EMULATE=1 DAXSYNC_VERIFY=1 DAXSYNC_IMAGE_DIR="$1" \
		DAXSYNC_STATS="$scratch/stats" "$scratch/mapper" "$scratch/data"
	grep -q '"mode":"kernel"' "$scratch/stats" || fail "$1 is used: $(cat "$scratch/stats")"
	[ ! -e "$scratch/started" ] || fail 'the program was started all the same'
	[ ! -e "$1/daxsync.run" ] || fail "a file was made in $1"
}
not_ours='DAXSYNC_IMAGE_DIR is not a directory of this user'
for mode in 777 1777 770 703; do
	mkdir "$scratch/open"
	chmod $mode "$scratch/open"
	refuses "$scratch/open" "$not_ours" 125
	rmdir "$scratch/open"
done
mkdir "$scratch/private"
ln -s private "$scratch/link"
refuses "$scratch/link" 'Not a directory' 121
refuses "$scratch/link/" 'Not a directory' 121
if [ "$(id -u)" -eq 0 ]; then
	mkdir "$scratch/theirs"
	chown 65534 "$scratch/theirs"
	refuses "$scratch/theirs" "$not_ours" 125
fi

# What is made there is this user's alone, whatever the umask is.
mkdir -m 700 "$scratch/images"
(umask 0 && run 137 "$daxsync" run --emulate --powercut=1 --image-dir="$scratch/images" -- "$scratch/mapper" "$scratch/data")
[ "$(find "$scratch/images" -type f | wc -l)" -ge 2 ] || fail "no image was kept: $(ls "$scratch/images")"
equals 'what others could open' "$(find "$scratch/images" -type f ! -perm 600)" ''

# A control file that means nothing.
echo 'no control file' >"$given/daxsync.run"
run 125 "$daxsync" run --emulate --verify --image-dir="$given" true
says "cannot be read from $given"
run 4 "$daxsync" run --emulate --verify --image-dir="$given" sh -c 'exit 4'

# Without a usable $TMPDIR the images go elsewhere, and are removed there too.
for odd in "$scratch/none" relative ''; do
	# shellcheck disable=SC2016 # the inner shell's variable
	dir=$(TMPDIR=$odd "$daxsync" run --emulate --verify -- sh -c 'echo "$DAXSYNC_IMAGE_DIR"' 2>/dev/null) || [ $? -eq 121 ]
	case $dir in
	/dev/shm/daxsync-* | /tmp/daxsync-*) ;;
	*) fail "images in $dir" ;;
	esac
	[ ! -e "$dir" ] || fail "$dir is still there"
done

# Without a verifier and a power cut no directory is made.
# shellcheck disable=SC2016 # the inner shell's variable
equals 'the directory' "$("$daxsync" run --emulate sh -c 'echo "$DAXSYNC_IMAGE_DIR"' 2>/dev/null)" ''
passed
