#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# aarch64.sh [BUILD]: Debian's cross compiler builds and links the libraries, the shim and the launcher for arm64 without
# a warning, and nothing but what cpu.h names asks what the CPU is. Nothing of it is run.
set -eu

# shellcheck source=tests/lint/lib.sh
. "${0%/*}/lib.sh"
# shellcheck source=tests/apt.sh
. "${0%/*}/../apt.sh"
lint_begin aarch64 "$@"

sources lib include preload -- -name '*.c' -o -name '*.h' | grep -Ev '/base/cpu(_[a-z0-9_]+)?\.[ch]$' | xargs grep -nE \
	'__(x86_64|amd64|i386|aarch64|arm|powerpc64|riscv)(__)?\b|REG_R[A-Z]+\b|<(cpuid|[a-z0-9]*intrin)\.h>' >"$scratch/found" || true
# The shim's hooks of setjmp, for whose entry C has no words.
grep -Ev '^preload/(jumps|hooks)\.c:' "$scratch/found" >"$scratch/odd" || true
while read -r line; do
	complain "asks what the CPU is, which is for lib/base/cpu.h: $line"
done <"$scratch/odd"

need cmake cmake
need aarch64-linux-gnu-gcc gcc-aarch64-linux-gnu
[ -e /usr/aarch64-linux-gnu/include/stdio.h ] || skip 'the C library for arm64 is missing (package libc6-dev-arm64-cross)'
pmem2=$(sed -n 's/^PMEM2_INCLUDE:[A-Z]*=//p' "$build/CMakeCache.txt" 2>/dev/null || true)
[ -f "$pmem2/libpmem2.h" ] || skip "$build was not configured"

# libpmem2's headers are the same everywhere; the two others are taken from arm64's own packages, which stay in the build.
work=$build/aarch64
root=$work/root
if [ ! -e "$root/complete" ]; then
	rm -rf "$root"
	mkdir -p "$work/apt" "$root"
	apt_begin "$work/apt" "$work/apt.log" arm64
	if ! apt_suite "$release" || ! apt_download libunwind-dev libjemalloc-dev; then
		tail -n 3 "$work/apt.log" >&2
		skip 'the packages libunwind-dev and libjemalloc-dev for arm64 cannot be downloaded'
	fi
	for deb in "$apt_work/debs"/*.deb; do
		dpkg-deb -x "$deb" "$root"
	done
	mkdir -p "$root/pmem2"
	cp -r "$pmem2"/libpmem2.h "$pmem2"/libpmem2 "$root/pmem2"
	rm -rf "$apt_work"
	: >"$root/complete"
fi

# -O1: without it the compiler does not see what is used before it has a value.
lib=$root/usr/lib/aarch64-linux-gnu
if ! { cmake -B "$work/build" -DCMAKE_SYSTEM_NAME=Linux -DCMAKE_SYSTEM_PROCESSOR=aarch64 \
	-DCMAKE_C_COMPILER=aarch64-linux-gnu-gcc -DCMAKE_C_FLAGS=-O1 -DDAXSYNC_WERROR=ON -DDAXSYNC_TESTS=OFF \
	-DPMEM2_INCLUDE="$root/pmem2" -DUNWIND_INCLUDE="$root/usr/include/aarch64-linux-gnu" \
	-DJEMALLOC_PIC="$lib/libjemalloc_pic.a" &&
	cmake --build "$work/build" --target daxsync-shared daxsync-emulate daxsync-preload daxsync-launcher; } >"$work/log" 2>&1; then
	grep -E -A 5 'error:|warning:|undefined reference|CMake Error' "$work/log" | head -n 40
	complain "it cannot be built for arm64: all of the output is in $work/log"
fi
lint_end "$(sources lib preload -- -name '*.c' | wc -l) source files"
