#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# preloaded.sh [BUILD [ENGINE...]]: other libraries that are preloaded or linked, before and behind the shim: allocators,
# libeatmydata, AddressSanitizer. The program's output is the same. Where the shim stands behind a library that keeps
# calls for itself, one line says so and nothing is tracked; else everything is.
#
# The story: the start-up self-test compared what the program's calls reach with the address of our hook as the dynamic
# linker resolves it, which is that of the library in front. It never failed: behind libeatmydata files were tracked and
# no msync was seen; behind tcmalloc no mapping was.
set -eu

# shellcheck source=tests/launcher/lib.sh
. "${0%/*}/../launcher/lib.sh"
# shellcheck source=tests/neighbours/lib.sh
. "${0%/*}/lib.sh"
neighbours_begin preloaded "$@"
work=$source/tests/neighbours/work.c

compile "$work" "$scratch/work" -O2 -pthread
compile "$work" "$scratch/work-no-pie" -O2 -pthread -no-pie -fno-pie
run 0 "$scratch/work" "$file"
native=$(cat "$scratch/out")

find_library() { # NAME PACKAGE: sets $library
	library=$(LD_PRELOAD=$1 ldd /bin/sh 2>"$scratch/err" | awk -v name="$1" '$1 == name { print $3 }')
	[ -r "$library" ] || skip "$1 is missing (package $2)"
}

same() { # WHAT
	equals "the output, $1" "$(cat "$scratch/out")" "$native"
}

behind_us() { # LIBRARY
	LD_PRELOAD=$1 shim 0 "$program" "$file"
	same "$1 behind us"
	tracked "$1 behind us"
}

before_us() { # LIBRARY: sets what was said
	run 0 env LD_PRELOAD="$1:$preload" DAXSYNC_EMULATE=1 DAXSYNC_VERIFY=1 DAXSYNC_ENGINE="$engine" \
		DAXSYNC_IMAGE_DIR="$memory/images" DAXSYNC_STATS="$memory/stats.%p" "$program" "$file"
	same "$1 before us"
	! grep -q 'MISSED PAGE' "$scratch/err" || fail "$1 before us: a missed page"
}

shadowed_by() { # LIBRARY
	rm -f "$memory"/stats.*
	before_us "$1"
	says "by $1: nothing is tracked, the kernel does every sync"
	! ls "$memory"/stats.* >"$scratch/out" 2>&1 || fail "$1 before us: something is tracked"
}

passed_by() { # LIBRARY
	rm -f "$memory"/stats.*
	before_us "$1"
	tracked "$1 before us"
}

preloads() {
	for program in "$scratch/work" "$scratch/work-no-pie"; do
		for library in $passing; do
			behind_us "$library"
			passed_by "$library"
		done
		for library in $keeping; do
			behind_us "$library"
			shadowed_by "$library"
		done
	done
	for program in "$scratch"/linked.*; do
		shim 0 "$program" "$file"
		same "$program"
		tracked "$program"
	done
}

# A report of AddressSanitizer's ends the program as it does without us.
sanitized() { # PROGRAM
	shim 0 "$@" "$file"
	same "$*"
	tracked "$*"
	shim 1 "$@" "$file" bug
	grep -q 'heap-use-after-free' "$scratch/err" || fail "$*: the sanitizer has not found the bug"
}

find_library libjemalloc.so.2 libjemalloc2
passing=$library
compile "$work" "$scratch/linked.jemalloc" -O2 -pthread -Wl,--no-as-needed -l:libjemalloc.so.2
find_library libtcmalloc_minimal.so.4 libtcmalloc-minimal4
keeping=
# Version 2.10 keeps mmap to itself, 2.16 does not.
if nm -D --defined-only "$library" | grep -qw mmap; then
	keeping=$library
else
	passing="$passing $library"
fi
compile "$work" "$scratch/linked.tcmalloc" -O2 -pthread -no-pie -fno-pie -Wl,--no-as-needed -l:libjemalloc.so.2
find_library libeatmydata.so libeatmydata1
keeping="$keeping $library"
compile "$work" "$scratch/asan.gcc" -O1 -pthread -fsanitize=address
need clang clang
CC=clang compile "$work" "$scratch/asan.clang" -O1 -pthread -fsanitize=address
asan=$(ldd "$scratch/asan.gcc" | awk '/libasan/ { print $3 }')

sanitizers() {
	sanitized "$scratch/asan.clang"
	# gcc's runtime is a library that wants to be the first
	sanitized env ASAN_OPTIONS=verify_asan_link_order=0 "$scratch/asan.gcc"
	for program in "$scratch/asan.gcc" "$scratch/work"; do
		passed_by "$asan"
	done
}

both() {
	preloads
	sanitizers
	echo "$name $engine: the same"
}
each_engine both
passed
