#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# preload.sh [BUILD]: the launcher finds its library wherever the two were put,
# and keeps what was preloaded before.
set -eu

# shellcheck source=tests/launcher/lib.sh
. "${0%/*}/lib.sh"
launcher_begin preload "$@"
lib=libdaxsync-preload.so.0

preloads() { # LAUNCHER EXPECTED
	# shellcheck disable=SC2016 # the inner shell's variable
	equals LD_PRELOAD "$("$1" run sh -c 'echo "$LD_PRELOAD"' 2>/dev/null)" "$2"
}

preloads "$daxsync" "$(cd "$build/bin/.." && pwd -P)/lib/$lib"

# A tree that was moved, and a launcher that is reached through a link.
tree=$(cd "$scratch" && pwd -P)/tree
mkdir -p "$tree/bin" "$tree/lib" "$scratch/link"
cp "$daxsync" "$tree/bin/"
cp "$build"/lib/libdaxsync*.so* "$tree/lib/"
preloads "$tree/bin/daxsync" "$tree/lib/$lib"
ln -s "$tree/bin/daxsync" "$scratch/link/daxsync"
preloads "$scratch/link/daxsync" "$tree/lib/$lib"
(cd "$tree/bin" && preloads ./daxsync "$tree/lib/$lib")
(PATH=$tree/bin:$PATH && preloads daxsync "$tree/lib/$lib")

# What was there stays, behind the library.
echo 'int launcher_test_other;' | compile - "$scratch/other.so" -shared -fPIC
export LD_PRELOAD="$scratch/other.so"
preloads "$daxsync" "$(cd "$build/bin/.." && pwd -P)/lib/$lib:$scratch/other.so"
unset LD_PRELOAD
LD_PRELOAD='' preloads "$daxsync" "$(cd "$build/bin/.." && pwd -P)/lib/$lib"

# ld.so ends a path at a space or a colon.
for odd in 'a b' 'a:b'; do
	mkdir "$scratch/$odd"
	cp -R "$tree/bin" "$tree/lib" "$scratch/$odd/"
	run 125 "$scratch/$odd/bin/daxsync" run true
	says 'a space or a colon'
done

# No library beside the launcher: the installed one, or one line.
rm "$tree/lib/$lib"
status=0
"$tree/bin/daxsync" run true >"$scratch/out" 2>"$scratch/err" || status=$?
case $status in
0) ;; # daxsync is installed on this machine
125) says "$lib is not found" ;;
*) fail "exit status $status without a library" ;;
esac
passed
