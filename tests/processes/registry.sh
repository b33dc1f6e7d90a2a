#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# registry.sh [BUILD]: what programs do where the registry of writers is spoilt, not to be trusted, or full: they run, in
# mode `kernel` until it is certain that nobody else writes.
set -eu

# shellcheck source=tests/launcher/lib.sh
. "${0%/*}/../launcher/lib.sh"
launcher_begin registry "$@"
processes=$build/bin/tests/processes
[ -x "$processes" ] || processes=$source/build/release/bin/tests/processes
registry=$scratch/registry
mkdir "$registry"
chmod 700 "$registry"
export DAXSYNC_REGISTRY="$registry" DAXSYNC_EMULATE=1

# The file in the registry of a file that is written.
file_new() {
	rm -rf "$scratch/file" "${registry:?}"/*
	: >"$scratch/file"
	entry=$registry/daxsync-writers.$(stat -c '%d %i' "$scratch/file" | {
		read -r dev ino
		printf '%x-%x' "$dev" "$ino"
	})
}

modes() { # MAPPED SYNCED: the mode that a program gets, before and after its first fsync
	run 0 "$daxsync" run --emulate -- "$processes" mode "$scratch/file"
	grep -q "^mapped: $1:" "$scratch/out" || fail "$what: mode not $1 when mapped"
	grep -q "^synced: $2:" "$scratch/out" || fail "$what: mode not $2 when synced"
}

what='nothing in the way'
file_new
modes served served
equals "$what: left behind" "$(ls "$registry")" ''

what='a symbolic link'
file_new
echo precious >"$scratch/precious"
ln -s "$scratch/precious" "$entry"
modes kernel kernel
equals "$what: its target" "$(cat "$scratch/precious")" precious

what='garbage'
file_new
head -c 4096 /dev/urandom >"$entry"
chmod 600 "$entry"
modes kernel served
equals "$what: left behind" "$(ls "$registry")" ''

what='a wrong size'
for size in 1 4095 4097 1000000; do
	file_new
	head -c $size /dev/zero >"$entry"
	chmod 600 "$entry"
	modes kernel served
	equals "$what: left behind" "$(ls "$registry")" ''
done

what='a file that everybody can write'
file_new
: >"$entry"
chmod 666 "$entry"
modes kernel kernel

what='a fifo'
file_new
mkfifo -m 600 "$entry"
modes kernel kernel

what='a directory that anybody can rename files in'
file_new
chmod 777 "$registry"
modes kernel kernel
chmod 1777 "$registry"
modes served served
chmod 700 "$registry"

what='no directory'
file_new
rmdir "$registry"
modes kernel kernel
grep -qF "the registry of writers does not exist (DAXSYNC_REGISTRY=$registry," "$scratch/err" || fail "$what: not said"
[ ! -e "$registry" ] || fail "$what: made"
mkdir -m 700 "$registry"

what='a process that was killed'
file_new
hold '^mapped: served' "$daxsync" run --emulate -- "$processes" hold "$scratch/file"
kill -9 "$held"
let_go 2>/dev/null || true
[ -f "$entry" ] || fail "$what: nothing reminds of it"
modes kernel served
equals "$what: left behind" "$(ls "$registry")" ''

what='a registry that is removed while it is used'
file_new
hold '^mapped: served' "$daxsync" run --emulate -- "$processes" hold "$scratch/file"
rm "$entry"
let_go || fail "$what: the program has failed"
grep -q '^synced: served' "$scratch/held" || fail "$what: no new one"
equals "$what: left behind" "$(ls "$registry")" ''

what='a page that is cut off while it is used'
file_new
hold '^mapped: served' "$daxsync" run --emulate -- "$processes" hold "$scratch/file"
truncate -s 0 "$entry"
status=0
let_go || status=$?
equals "$what: the end" "$status" 135

[ "$(id -u)" -eq 0 ] || skip 'the rest (other users, a full directory) needs root'
need setpriv util-linux

what='a file of another user'
file_new
: >"$entry"
chmod 600 "$entry"
chown 12345 "$entry"
modes kernel kernel

what='another user'
file_new
chmod 666 "$scratch/file"
chmod 1777 "$registry"
chmod 711 "$scratch"
cp "$processes" "$scratch/processes"
hold '^mapped: served' "$daxsync" run --emulate -- "$processes" hold "$scratch/file"
run 0 setpriv --reuid=65534 --regid=65534 --clear-groups -- \
	"$daxsync" run --emulate -- "$scratch/processes" mode "$scratch/file"
prints 'mapped: kernel'
prints 'synced: kernel'
let_go || fail "$what: the program has failed"
chmod 700 "$registry"

# Without DAXSYNC_REGISTRY: what a user gets, whose file nobody else can spoil.
user=64123 squatter=64124
theirs=/dev/shm/daxsync-$user
if [ -e "$theirs" ] || [ -L "$theirs" ]; then skip "$theirs is there"; fi
trap 'rm -rf "$theirs"; scratch_end' EXIT
as() { # USER COMMAND...
	as=$1
	shift
	env -u DAXSYNC_REGISTRY setpriv --reuid="$as" --regid="$as" --clear-groups -- "$@"
}
user_modes() { # MAPPED SYNCED
	run 0 as $user "$daxsync" run --emulate -- "$scratch/processes" mode "$scratch/file"
	prints "mapped: $1"
	prints "synced: $2"
}

what="a directory of the user's own"
file_new
chmod 666 "$scratch/file"
(umask 0777 && user_modes served served)
equals "$what" "$(stat -c '%u %a' "$theirs")" "$user 700"
equals "$what: left behind" "$(ls "$theirs")" ''
user_modes served served

what="a directory of the user's own that others can read"
chmod 750 "$theirs"
user_modes kernel kernel
grep -qF "is not this user's alone (DAXSYNC_REGISTRY=$theirs," "$scratch/err" || fail "$what: not said"

what="a directory that another user has made first"
rmdir "$theirs"
as $squatter mkdir -m 777 "$theirs"
user_modes kernel kernel
equals "$what: put there" "$(ls "$theirs")" ''

what='a symbolic link that another user has made first'
rmdir "$theirs"
mkdir -m 700 "$scratch/elsewhere"
chown $user "$scratch/elsewhere"
as $squatter ln -s "$scratch/elsewhere" "$theirs"
user_modes kernel kernel
equals "$what: put there" "$(ls "$scratch/elsewhere")" ''

what='a file that another user has made first'
rm "$theirs"
as $squatter touch "$theirs"
user_modes kernel kernel
rm "$theirs"
user_modes served served

what='names that another user has taken from root'
as $squatter mkdir /dev/shm/daxsync /dev/shm/daxsync-0 "/dev/shm/${entry##*/}"
run 0 env -u DAXSYNC_REGISTRY "$daxsync" run --emulate -- "$processes" mode "$scratch/file"
prints 'mapped: served'
prints 'synced: served'
rmdir /dev/shm/daxsync /dev/shm/daxsync-0 "/dev/shm/${entry##*/}"
equals "$what: the directory" "$(stat -c '%u %a' /run/daxsync)" '0 700'

what='files that remind of nothing'
file_new
: >"$registry/daxsync-writers.1-1"
chmod 600 "$registry/daxsync-writers.1-1"
hold '^mapped: served' "$daxsync" run --emulate -- "$processes" hold "$scratch/file"
equals "$what" "$(ls "$registry")" "${entry##*/}"
let_go || fail "$what: the program has failed"

what='a full directory'
file_new
trap 'umount "$registry" 2>/dev/null || true; rm -rf "$theirs"; scratch_end' EXIT
mount -t tmpfs -o size=4k daxsync-test "$registry" 2>/dev/null || skip 'a tmpfs cannot be mounted: a full directory'
chmod 700 "$registry"
head -c 4096 /dev/zero >"$registry/full"
modes kernel kernel
equals "$what: left behind" "$(ls "$registry")" full
rm "$registry/full"
modes served served
umount "$registry"
passed
