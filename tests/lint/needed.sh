#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# needed.sh [BUILD]: what the libraries bring into a program: no other library
# than libc, no symbol but their own, no text relocation, no executable stack.
set -eu

# shellcheck source=tests/lint/lib.sh
. "${0%/*}/lib.sh"
lint_begin needed "$@"
need readelf binutils
need "${CC:-cc}" gcc
library=$build/lib/libdaxsync.so
preload=$build/lib/libdaxsync-preload.so
for file in "$library" "$preload"; do
	[ -f "$file" ] || skip "$file was not built"
done

needed_by() { # FILE
	LC_ALL=C readelf -dW "$1" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p'
}
for name in $(needed_by "$library"); do
	case $name in
	libasan* | libtsan* | libubsan* | libclang_rt*) skip "a sanitizer build needs more than libc" ;;
	esac
done

# Names of defined symbols that other objects can see, with their versions.
exports_of() { # FILE
	LC_ALL=C readelf --dyn-syms -W "$1" |
		awk '$5 ~ /GLOBAL|WEAK|UNIQUE/ && $6 ~ /DEFAULT|PROTECTED/ && $7 != "UND" { print $8 }' | sort -u
}

expect_needed() { # FILE PATTERN
	for name in $(needed_by "$1"); do
		echo "$name" | grep -Eqx "$2" || complain "${1##*/} needs $name"
	done
}
libc='libc\.so\.6|ld-linux.*\.so\.[0-9]+|ld64\.so\.[0-9]+'
expect_needed "$library" "$libc"
expect_needed "$preload" "$libc|libdaxsync\.so(\.[0-9]+)*"
needed_by "$preload" | grep -q '^libdaxsync\.so' || complain 'libdaxsync-preload.so does not need libdaxsync.so'

for file in "$library" "$preload"; do
	! LC_ALL=C readelf -dW "$file" | grep -q TEXTREL || complain "${file##*/} has text relocations"
	! LC_ALL=C readelf -lW "$file" | grep -q 'GNU_STACK.* RWE ' || complain "${file##*/} asks for an executable stack"
done

# libdaxsync.so: the public interface, each function in a version node, and all
# of what the header declares. What only the shim and the emulator use stands in
# a node of its own, which names the release.
exports_of "$library" >"$scratch/library"
version=$(printf '#include <daxsync/daxsync.h>\nDAXSYNC_VERSION_MAJOR.DAXSYNC_VERSION_MINOR\n' | "${CC:-cc}" -E -P -Iinclude - | grep -v '^typedef' |
	tail -n 1 | tr -d ' ')
private=DAXSYNC_PRIVATE_$version
grep -Evx "$private|DAXSYNC_[0-9.]+|daxsync_[a-z0-9_]+@@DAXSYNC_[0-9.]+|dxs_[a-z0-9_]+@@$private" \
	"$scratch/library" >"$scratch/odd" || true
while read -r symbol; do
	complain "libdaxsync.so exports $symbol, which is neither daxsync_... in a version node nor private"
done <"$scratch/odd"
sed 's/@.*//' "$scratch/library" >"$scratch/names"
echo '#include <daxsync/daxsync.h>' | "${CC:-cc}" -E -P -Iinclude - | grep -v '^typedef' |
	grep -Eo '\bdaxsync_[a-z0-9_]+ *\(' | tr -d ' (' | sort -u >"$scratch/declared"
[ -s "$scratch/declared" ] || complain 'no function found in daxsync.h'
while read -r symbol; do
	grep -qx "$symbol" "$scratch/names" || complain "daxsync.h declares $symbol, libdaxsync.so does not export it"
done <"$scratch/declared"
grep '^daxsync_' "$scratch/names" | while read -r symbol; do
	grep -qx "$symbol" "$scratch/declared" || echo "$symbol"
done >"$scratch/undeclared"
while read -r symbol; do
	complain "libdaxsync.so exports $symbol, daxsync.h does not declare it"
done <"$scratch/undeclared"

# libdaxsync-preload.so: names that libc has, so that each is an interposition
# and none a slip of the pen, and unversioned: the dynamic linker does not call
# an interposed symbol in a named version node.
libc_file=$("${CC:-cc}" -print-file-name=libc.so.6)
[ -f "$libc_file" ] || skip 'libc.so.6 is not found'
{
	exports_of "$libc_file" | sed 's/@.*//'
	echo mseal # glibc 2.41
} | sort -u >"$scratch/libc"
exports_of "$preload" >"$scratch/preload"
[ -s "$scratch/preload" ] || complain 'libdaxsync-preload.so interposes nothing'
while read -r symbol; do
	case $symbol in
	*@*) complain "libdaxsync-preload.so exports $symbol with a version" ;;
	esac
	[ "$symbol" != mseal ] || continue # of glibc 2.41; programs that were linked with it may run with an older one
	grep -qxF "${symbol%%@*}" "$scratch/libc" || complain "libdaxsync-preload.so exports $symbol, which libc has not"
done <"$scratch/preload"
for symbol in mmap munmap mremap msync fsync fdatasync; do
	grep -qx "$symbol" "$scratch/preload" || complain "libdaxsync-preload.so does not interpose $symbol"
done
lint_end "$(wc -l <"$scratch/declared") functions, $(wc -l <"$scratch/preload") hooks"
