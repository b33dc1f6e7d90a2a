#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# emulator.sh [BUILD]: what emulates and verifies is a library of its own, which is loaded only where that is asked for. Where
# it is missing, or is another copy's, one line says so, and a file that is no persistent memory is the kernel's.
set -eu

# shellcheck source=tests/launcher/lib.sh
. "${0%/*}/lib.sh"
launcher_begin emulator "$@"
need jq jq
compile "$source/tests/launcher/mapper.c" "$scratch/mapper"
mkdir "$scratch/bin" "$scratch/lib" "$scratch/images"
cp "$daxsync" "$scratch/bin/"
cp -P "$build"/lib/libdaxsync*.so* "$scratch/lib/"
emulator=$(cd "$scratch/lib" && ls libdaxsync-emulate.so.*)
preload=$scratch/lib/libdaxsync-preload.so

mode() { # MODE SETTING...: of a mapping under these settings; `run` has what was said
	mode=$1
	shift
	rm -f "$scratch/stats"
	run 0 env "$@" DAXSYNC_STATS="$scratch/stats" LD_PRELOAD="$preload" "$scratch/mapper" "$scratch/file"
	equals "the mode ($*)" "$(jq -r '.mappings[0].mode' "$scratch/stats")" "$mode"
}

# Beside the library, also by a relative path.
mode emulated DAXSYNC_EMULATE=1
says 'nothing is made durable'
cp "$scratch/mapper" "$scratch/lib/"
(cd "$scratch/lib" && run 0 env DAXSYNC_EMULATE=1 LD_PRELOAD=./libdaxsync-preload.so ./mapper "$scratch/file" &&
	says 'nothing is made durable')
# Where nobody asks, it is not loaded.
run 0 env LD_DEBUG=files LD_PRELOAD="$preload" "$scratch/mapper" "$scratch/file"
grep -q 'libdaxsync\.so' "$scratch/err" || fail 'the loader says nothing'
! grep -q "$emulator" "$scratch/err" || fail 'the emulator is loaded, and nobody has asked for it'
run 0 env LD_DEBUG=files DAXSYNC_EMULATE=1 LD_PRELOAD="$preload" "$scratch/mapper" "$scratch/file"
grep -q "$emulator" "$scratch/err" || fail 'the loader does not say that it loads the emulator'

# Not there.
! PATH=$PATH:/sbin ldconfig -p | grep -qF "$emulator" || skip "$emulator is installed on this machine"
rm "$scratch"/lib/libdaxsync-emulate.so*
for settings in DAXSYNC_EMULATE=1 DAXSYNC_VERIFY=1 DAXSYNC_IMAGE_DIR="$scratch/images" \
	'DAXSYNC_EMULATE=1 DAXSYNC_VERIFY=1 DAXSYNC_POWERCUT=1'; do
	# shellcheck disable=SC2086 # several settings
	mode pass $settings
	says "nothing is emulated or verified: $emulator: cannot open"
done
equals 'what is left in the directory of images' "$(ls "$scratch/images")" ''
run 3 env DAXSYNC_EMULATE=1 DAXSYNC_STRICT=1 LD_PRELOAD="$preload" "$scratch/mapper" "$scratch/file"
run 121 "$scratch/bin/daxsync" run --emulate --verify -- "$scratch/mapper" "$scratch/file"
grep -q 'nothing was verified' "$scratch/err" || fail 'the launcher does not say that nothing was verified'
run 1 "$scratch/bin/daxsync" check -v --emulate "$scratch"
prints "with DAXSYNC_EMULATE=1  pass: $emulator is not found"

# A program that holds the library: the emulator that lies there is another copy's.
compile "$source/examples/api.c" "$scratch/plain" -I"$source/include" -x none "$build/lib/libdaxsync.a" -pthread -ldl
run 0 env LD_LIBRARY_PATH="$build/lib" "$scratch/plain" "$scratch/file" text
prints 'mode pass'
says 'belongs to another libdaxsync than this one'
compile "$source/examples/api.c" "$scratch/whole" -I"$source/include" -Wl,-u,dxs_session -x none "$build/lib/libdaxsync.a" \
	-pthread -ldl
run 0 env DAXSYNC_VERIFY=1 DAXSYNC_IMAGE_DIR="$scratch/images" "$scratch/whole" "$scratch/file" text
prints 'mode emulated'
[ -s "$scratch/images/daxsync.run" ] || fail 'a program that holds the emulator has kept no image'
passed
