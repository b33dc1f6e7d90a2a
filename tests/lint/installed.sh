#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# installed.sh [BUILD]: what is installed can fail nobody on purpose: no library that injects failures, none of their names,
# and DAXSYNC_FAULT and --fault do nothing. It is the library that was tested, byte for byte but for its search path. Nothing
# of the emulator is in a library that a production run loads.
set -eu

# shellcheck source=tests/lint/lib.sh
. "${0%/*}/lib.sh"
lint_begin installed "$@"
need cmake cmake
need strings binutils
[ -f "$build/lib/libdaxsync-faults.so" ] || skip "$build/lib/libdaxsync-faults.so was not built"

DESTDIR=$scratch cmake --install "$build" >"$scratch/log" 2>&1 || complain "not installed: $(cat "$scratch/log")"
find "$scratch" -type f -name '*daxsync*' ! -name '*.h' >"$scratch/files"
grep -q '/libdaxsync\.so' "$scratch/files" || complain 'libdaxsync.so is not among what is installed'
! grep 'faults\|inject' "$scratch/files" || complain 'what injects failures is installed'

# The names as DAXSYNC_FAULT takes them, which what the tests load must have.
sed -n 's/^	X("\([a-z-]*\)",.*/\1/p' lib/base/failure.h >"$scratch/names"
[ "$(wc -l <"$scratch/names")" -gt 20 ] || complain 'lib/base/failure.h has no table of names'
strings -n 3 "$build/lib/libdaxsync-faults.so" | grep -Fxq "$(head -n 1 "$scratch/names")" ||
	complain 'libdaxsync-faults.so does not know the first name'
while read -r file; do
	# "alloc" alone is the name of much.
	strings -n 3 "$file" | grep -Fx -f "$scratch/names" | grep -vx alloc >"$scratch/found" || true
	[ ! -s "$scratch/found" ] || complain "${file#"$scratch"} holds $(tr '\n' ' ' <"$scratch/found")"
	! nm "$file" 2>/dev/null | grep -q 'inject_parse' || complain "${file#"$scratch"} injects failures"
	case $file in
	*.so*) ! strings "$file" | grep -F DAXSYNC_FAULT || complain "${file#"$scratch"} reads DAXSYNC_FAULT" ;;
	esac
done <"$scratch/files"

# What lib/emulate calls its functions, and what it says.
grep -h '^[a-z].*(' lib/emulate/*.h | grep -o 'dxs_[a-z_]*(' | tr -d '(' | sort -u >"$scratch/functions"
grep -ho '"[^"\\]* [^"\\]*"' lib/emulate/*.c | tr -d '"' | sort -u >"$scratch/texts"
emulated() { # FILE: what it has of both
	nm "$1" | sed 's/.* //' | grep -Fx -f "$scratch/functions"
	strings -n 3 "$1" | grep -F -f "$scratch/texts"
}
emulator=$(find "$scratch" -type f -name 'libdaxsync-emulate.so.*')
for name in dxs_image_publish dxs_powercut dxs_verify_range dxs_history_add 'MISSED PAGE'; do
	emulated "$emulator" | grep -q "^$name" || complain "libdaxsync-emulate.so has no $name"
done
for name in libdaxsync.so libdaxsync-preload.so; do
	file=$(find "$scratch" -type f -name "$name*")
	emulated "$file" >"$scratch/found" || true
	[ ! -s "$scratch/found" ] || complain "$name holds $(tr '\n' ' ' <"$scratch/found")"
done
stripped() { # FILE
	objcopy --strip-debug --remove-section=.note.gnu.build-id --remove-section=.dynstr --remove-section=.dynamic \
		"$1" "$scratch/stripped"
	sha256sum <"$scratch/stripped"
}
library=$(find "$scratch" -type f -name 'libdaxsync.so*')
[ "$(stripped "$library")" = "$(stripped "$build/lib/${library##*/}")" ] || complain 'another library was tested'

# They do nothing. On this program every sync is missed where they do.
daxsync=$(find "$scratch" -type f -path "*/bin/daxsync")
mapper=$scratch/mapper
"${CC:-cc}" -D_GNU_SOURCE tests/launcher/mapper.c -o "$mapper"
status=0
TMPDIR=$scratch DAXSYNC_FAULT=skip-flush "$daxsync" run --emulate --verify -- "$mapper" "$scratch/data" \
	>"$scratch/out" 2>&1 || status=$?
[ "$status" -eq 0 ] || complain "DAXSYNC_FAULT=skip-flush: status $status: $(cat "$scratch/out")"
grep -q 'DAXSYNC_FAULT is no setting of daxsync' "$scratch/out" || complain 'nothing is said of DAXSYNC_FAULT'
status=0
"$daxsync" run --emulate --fault=skip-flush -- true >"$scratch/out" 2>&1 || status=$?
[ "$status" -eq 125 ] || complain "--fault: status $status"
grep -q -- '--fault=skip-flush is no option' "$scratch/out" || complain "--fault: $(cat "$scratch/out")"
status=0
TMPDIR=$scratch "$build/bin/daxsync" run --emulate --verify --fault=skip-flush -- "$mapper" "$scratch/data" \
	>"$scratch/out" 2>&1 || status=$?
[ "$status" -eq 120 ] || complain "where it was built, --fault=skip-flush: status $status: $(cat "$scratch/out")"
lint_end "$(wc -l <"$scratch/files") files, $(wc -l <"$scratch/names") names"
