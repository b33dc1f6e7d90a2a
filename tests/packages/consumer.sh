#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# consumer.sh [BUILD]: programs are built with what is installed and run: by pkg-config, by CMake (shared, static, with the
# shim), by the tree that "cmake --install" makes elsewhere, and by dlopen.
set -eu

# shellcheck source=tests/packages/lib.sh
. "${0%/*}/lib.sh"
packages_begin consumer "$@"
cc=${CC:-cc}
need "$cc" gcc
need pkg-config pkg-config
need python3 python3
need jq jq
arch=$(dpkg-architecture -qDEB_HOST_MULTIARCH)
data=$(mktemp -d /dev/shm/daxsync-consumer.XXXXXX)
trap 'rm -rf "$scratch" "$data"' EXIT
unpack "$scratch/root" libdaxsync0 libdaxsync-dev

api() { # PROGRAM LIBRARY-DIRECTORY
	rm -f "$data/api"
	LD_LIBRARY_PATH=$2 "$1" "$data/api" hello >"$scratch/out" 2>&1 || fail "$1: $(cat "$scratch/out")"
	grep -q '^mode emulated' "$scratch/out" || fail "$1: $(cat "$scratch/out")"
	[ "$(head -c 5 "$data/api")" = hello ] || fail "$1 has stored nothing"
}
ledger() { # PROGRAM LIBRARY-DIRECTORY
	rm -f "$data/ledger" "$data/stats"
	LD_LIBRARY_PATH=$2 DAXSYNC_EMULATE=1 DAXSYNC_STATS=$data/stats "$1" "$data/ledger" one >"$scratch/out" 2>&1 ||
		fail "$1: $(cat "$scratch/out")"
	jq -e '.mappings[0].mode == "emulated" and .syncs > 0 and .pages_flushed > 0' "$data/stats" >/dev/null ||
		fail "$1 is not served: $(cat "$data/stats")"
}

by_pkg_config() { # NAME LIBRARY-DIRECTORY
	# shellcheck disable=SC2046 # several words
	"$cc" -D_GNU_SOURCE "$source/examples/api.c" -o "$scratch/api" $(pkg-config --cflags --libs daxsync)
	api "$scratch/api" "$1"
	# Also where the linker drops what is not needed.
	# shellcheck disable=SC2046 # several words
	"$cc" -D_GNU_SOURCE -Wl,--as-needed "$source/examples/ledger.c" -o "$scratch/ledger" \
		$(pkg-config --cflags --libs daxsync-preload)
	ledger "$scratch/ledger" "$1"
	readelf -dW "$scratch/ledger" >"$scratch/dynamic"
	grep -q 'NEEDED.*libdaxsync-preload\.so\.0\]' "$scratch/dynamic" || fail 'linked with no soname of the shim'
}

by_cmake() { # PREFIX LIBRARY-DIRECTORY
	mkdir -p "$scratch/project"
	cp "$source/examples/api.c" "$source/examples/ledger.c" "$scratch/project/"
	cat >"$scratch/project/CMakeLists.txt" <<-'END'
		cmake_minimum_required(VERSION 3.25)
		project(consumer LANGUAGES C)
		find_package(daxsync 0.1 REQUIRED)
		add_compile_definitions(_GNU_SOURCE)
		add_executable(api api.c)
		target_link_libraries(api PRIVATE daxsync::daxsync)
		add_executable(api_static api.c)
		target_link_libraries(api_static PRIVATE daxsync::static)
		target_link_options(api_static PRIVATE -Wl,-u,dxs_session) # the emulator too
		add_executable(ledger ledger.c)
		target_link_libraries(ledger PRIVATE daxsync::preload)
	END
	rm -rf "$scratch/made"
	{ cmake -S "$scratch/project" -B "$scratch/made" -DCMAKE_PREFIX_PATH="$1" && cmake --build "$scratch/made"; } \
		>"$scratch/log" 2>&1 || fail "$(cat "$scratch/log")"
	api "$scratch/made/api" "$2"
	api "$scratch/made/api_static" /nonexistent
	! readelf -dW "$scratch/made/api_static" | grep -q 'NEEDED.*daxsync' || fail 'what is static needs the library'
	ledger "$scratch/made/ledger" "$2"
}

libraries=$scratch/root/usr/lib/$arch
export PKG_CONFIG_LIBDIR="$libraries/pkgconfig" PKG_CONFIG_SYSROOT_DIR="$scratch/root"
[ "$(pkg-config --modversion daxsync)" = "$(dpkg-deb -f "$(deb_of libdaxsync0)" Version | sed 's/-.*//')" ] ||
	fail "pkg-config tells version $(pkg-config --modversion daxsync)"
by_pkg_config "$libraries"
by_cmake "$scratch/root/usr" "$libraries"

# Loaded by a program that was not built with it.
python3 -c 'import ctypes, sys
library = ctypes.CDLL(sys.argv[1])
library.daxsync_version.restype = ctypes.c_char_p
print(library.daxsync_version().decode())' "$libraries/libdaxsync.so.0" >"$scratch/out" 2>&1 ||
	fail "dlopen: $(cat "$scratch/out")"
[ "$(cat "$scratch/out")" = "$(pkg-config --modversion daxsync)" ] || fail "dlopen: $(cat "$scratch/out")"

# What was built for /usr/local, in a tree of its own.
unset PKG_CONFIG_SYSROOT_DIR
cmake --install "$build" --prefix "$scratch/elsewhere" >"$scratch/log" 2>&1 || fail "$(cat "$scratch/log")"
libraries=$(dirname "$(find "$scratch/elsewhere" -name libdaxsync.so.0)")
by_cmake "$scratch/elsewhere" "$libraries"
"$scratch/elsewhere/bin/daxsync" run --emulate -- true || fail 'the installed launcher does not run'
[ -f "$scratch/elsewhere/share/doc/daxsync/LICENSE" ] || fail 'no licence is installed'
[ -f "$scratch/elsewhere/share/man/man1/daxsync-run.1.gz" ] || fail 'no manual page is installed'
saw 'pkg-config, CMake, dlopen'
