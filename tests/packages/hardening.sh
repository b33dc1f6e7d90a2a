#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# hardening.sh [BUILD]: what is installed is hardened; checked functions of libc's are in the launcher only, because they
# print and end the program, and the shim stands for some of them (cmake/shipped.cmake). The shim and the emulator do not
# load beside the library of another release.
set -eu

# shellcheck source=tests/packages/lib.sh
. "${0%/*}/lib.sh"
packages_begin hardening "$@"
need readelf binutils
export LC_ALL=C
unpack "$scratch/root" libdaxsync0 daxsync
find "$scratch/root" -type f \( -name 'libdaxsync*.so*' -o -path '*/bin/*' \) >"$scratch/files"
[ "$(wc -l <"$scratch/files")" -eq 4 ] || fail "not what was expected: $(cat "$scratch/files")"

undefined() { # FILE: the functions that it needs
	readelf --dyn-syms -W "$1" | awk '$7 == "UND" { print $8 }' | sed 's/@.*//'
}
while read -r file; do
	base=${file##*/}
	readelf -lW "$file" >"$scratch/segments"
	readelf -dW "$file" >"$scratch/dynamic"
	undefined "$file" >"$scratch/undefined"
	grep -q 'GNU_RELRO' "$scratch/segments" || fail "$base: no RELRO"
	grep -Eq 'BIND_NOW|FLAGS_1.*NOW' "$scratch/dynamic" || fail "$base: RELRO is not full"
	grep -q 'GNU_STACK.* RW ' "$scratch/segments" || fail "$base: the stack can be executed"
	! grep -q 'TEXTREL' "$scratch/dynamic" || fail "$base: text relocations"
	! grep -q 'R.*PATH' "$scratch/dynamic" || fail "$base: a search path"
	grep -qx '__stack_chk_fail' "$scratch/undefined" || fail "$base: no stack protector"
	grep '^__.*_chk$' "$scratch/undefined" >"$scratch/checked" || true
	case $base in
	daxsync)
		grep -q 'FLAGS_1.*PIE' "$scratch/dynamic" || fail "$base is not position-independent"
		[ -s "$scratch/checked" ] || fail "$base calls no checked function"
		;;
	*) [ ! -s "$scratch/checked" ] || fail "$base calls $(tr '\n' ' ' <"$scratch/checked")" ;;
	esac
done <"$scratch/files"

# The library of the next release has the same soname and another node of private symbols.
version=$(dpkg-deb -f "$(deb_of libdaxsync0)" Version)
version=${version%-*}
library=$(grep '/libdaxsync\.so\.' "$scratch/files")
grep 'preload\|emulate' "$scratch/files" >"$scratch/private"
while read -r file; do
	readelf -VW "$file" | grep -q "Name: DAXSYNC_PRIVATE_$version " || fail "${file##*/} needs no node of version $version"
	env LD_LIBRARY_PATH="${library%/*}" LD_PRELOAD="$file" true >"$scratch/out" 2>&1 || fail "${file##*/} does not load"
	[ ! -s "$scratch/out" ] || fail "${file##*/}: $(cat "$scratch/out")"
done <"$scratch/private"
last=$(printf %s "$version" | tail -c 1 | tr 0-9 1-90)
sed -i "s/DAXSYNC_PRIVATE_$version/DAXSYNC_PRIVATE_${version%?}$last/g" "$library"
while read -r file; do
	! env LD_LIBRARY_PATH="${library%/*}" LD_PRELOAD="$file" true >"$scratch/out" 2>&1 ||
		fail "${file##*/} loads beside the library of another release"
	grep -q "version .DAXSYNC_PRIVATE_$version' not found" "$scratch/out" || fail "${file##*/}: $(cat "$scratch/out")"
done <"$scratch/private"
saw "$(wc -l <"$scratch/files") files"
