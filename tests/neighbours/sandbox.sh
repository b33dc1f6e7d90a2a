#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# sandbox.sh [BUILD [ENGINE...]]: programs that have little: no /proc, a root that cannot be written, no standard
# descriptors, an empty environment, limits that forbid every file, thread and locked page, a filter that forbids system
# calls of the library's. The program does the same as without the shim.
#
# The story of the limit on files: the statistics, 24 KiB in memory, were a file that was too large, and the kernel killed
# a program that had made none.
set -eu

# shellcheck source=tests/launcher/lib.sh
. "${0%/*}/../launcher/lib.sh"
# shellcheck source=tests/neighbours/lib.sh
. "${0%/*}/lib.sh"
neighbours_begin sandbox "$@"
need prlimit util-linux
need setpriv util-linux
work=$scratch/work
compile "$source/tests/neighbours/work.c" "$work" -O2 -pthread
compile "$source/tests/neighbours/debugged.c" "$scratch/single" -O2
compile "$source/tests/neighbours/without.c" "$scratch/without"
run 0 "$work" "$file"
cp "$file" "$memory/wanted"
cp "$scratch/out" "$scratch/native"

# Starts the next file of the same size, with nothing stored yet.
file_new() {
	rm -rf "$memory"/stats.* "$memory"/images/*
	truncate -s 0 "$file"
	truncate -s "$(stat -c %s "$memory/wanted")" "$file"
}

same() { # WHAT
	cmp "$file" "$memory/wanted" >"$scratch/diff" 2>&1 || fail "$1 ($engine): not the same file"
	diff "$scratch/native" "$scratch/out" >"$scratch/diff" || fail "$1 ($engine): not the same"
	! grep -q 'MISSED PAGE' "$scratch/err" || fail "$1 ($engine): a missed page"
}

# The shim and its settings, where the launcher is not used.
bare() { # COMMAND...
	env LD_PRELOAD="$preload" DAXSYNC_EMULATE=1 DAXSYNC_VERIFY=1 DAXSYNC_ENGINE="$engine" \
		DAXSYNC_IMAGE_DIR="$memory/images" DAXSYNC_STATS="$memory/stats.%p" "$@"
}

limits() {
	for limit in --memlock=0 --core=0 --sigpending=0 --msgqueue=0; do
		file_new
		shim 0 prlimit "$limit" -- "$work" "$file"
		same "$limit"
		tracked "$limit"
	done
	# A program that makes no file larger. What it says goes through pipes, which have no limit.
	for limit in 0 4096 20000 2000000; do
		file_new
		{ bare prlimit --fsize="$limit" -- "$work" "$file" 2>&1 && echo "status 0"; } | cat >"$scratch/both"
		grep -q '^status 0$' "$scratch/both" || fail "--fsize=$limit ($engine): $(cat "$scratch/both")"
		grep '^daxsync' "$scratch/both" >"$scratch/err" || true
		grep -v '^daxsync\|^status' "$scratch/both" >"$scratch/out" || true
		same "--fsize=$limit"
	done
	one_thread
}

# Root may have as many threads as it likes; this user has one.
one_thread() {
	[ "$(id -u)" -eq 0 ] || return 0
	chmod 711 "$scratch" "$memory"
	mkdir -m 700 "$memory/their-images" "$memory/their-registry"
	chown 64123:64123 "$memory/their-images" "$memory/their-registry"
	: >"$file"
	chmod 666 "$file"
	run 0 bare env DAXSYNC_REGISTRY="$memory/their-registry" DAXSYNC_IMAGE_DIR="$memory/their-images" \
		setpriv --reuid=64123 --regid=64123 --clear-groups prlimit --nproc=1 -- "$scratch/single" "$file"
	prints '1 7'
	! grep -q 'MISSED PAGE' "$scratch/err" || fail "--nproc=1 ($engine): a missed page"
	rm -rf "$memory/their-registry" "$memory/their-images" "$file"
}

filters() {
	for call in $("$scratch/without") memfd_create,userfaultfd,ioctl,statx,flock,fallocate,unlinkat; do
		file_new
		case $call in
		lseek | pwrite64) run 0 "$daxsync" run --emulate --engine="$engine" -- "$scratch/without" "$call" "$work" "$file" ;;
		*) shim 0 "$scratch/without" "$call" "$work" "$file" ;;
		esac
		same "without $call"
	done
}

namespace() { # SCRIPT: in a mount namespace; "$@" is the program
	file_new
	export PROGRAM="$work" DATA="$file" PRELOAD="$preload"
	# shellcheck disable=SC2016 # the inner shell's
	run 0 unshare -m sh -ec "$1"'
		exec env LD_PRELOAD="$PRELOAD" DAXSYNC_EMULATE=1 "$PROGRAM" "$DATA"'
	same "$1"
}

mounts() {
	if ! unshare -m true 2>"$scratch/err"; then
		echo "$name: left out: mount namespaces ($(cat "$scratch/err"))"
		return 0
	fi
	export DAXSYNC_ENGINE="$engine"
	namespace 'umount -l /proc'
	namespace 'mount -o remount,bind,ro /'
	namespace 'mount -t tmpfs none /proc'
	unset DAXSYNC_ENGINE PROGRAM DATA PRELOAD
}

descriptors() {
	for closed in '<&-' '>&-' '2>&-' '<&- >&- 2>&-'; do
		file_new
		status=0
		eval 'bare "$work" "$file" '"$closed" >"$scratch/out" 2>"$scratch/err" || status=$?
		[ "$status" -eq 0 ] || fail "$closed ($engine): exit status $status"
		cmp "$file" "$memory/wanted" >"$scratch/diff" 2>&1 || fail "$closed ($engine): not the same file"
		# with the number of stdout or stderr a stream could write into the file: the kernel's
		[ "$closed" != '<&-' ] || tracked "$closed"
	done
}

environment() {
	file_new
	run 0 env -i LD_PRELOAD="$preload" "$work" "$file"
	says_nothing
	same 'nothing but LD_PRELOAD'
	file_new
	run 0 env -i LD_PRELOAD="$preload" DAXSYNC_EMULATE=1 DAXSYNC_ENGINE="$engine" "$work" "$file"
	same 'nothing but LD_PRELOAD and the settings'
}

sandboxes() {
	limits
	filters
	mounts
	descriptors
	environment
	echo "$name $engine: the same"
}
each_engine sandboxes
passed
