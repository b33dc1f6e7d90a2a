#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# build.sh [BUILD]: the three Debian packages are built, hold what they should, and depend on what they need.
set -eu

# shellcheck source=tests/packages/lib.sh
. "${0%/*}/lib.sh"
packages_begin build "$@"
need dpkg-shlibdeps dpkg-dev
need cpack cmake
rm -rf "$tree"
mkdir "$tree"
make_packages "$source" "$tree/build"
mv "$tree"/build/*.deb "$tree/"

arch=$(dpkg-architecture -qDEB_HOST_MULTIARCH)
holds() { # PACKAGE FILE...
	package=$1
	shift
	dpkg-deb --fsys-tarfile "$(deb_of "$package")" | tar -tf - | sed 's|^\.||' >"$scratch/files"
	for file; do
		grep -qx "$file" "$scratch/files" || fail "$package has no $file"
	done
}
holds libdaxsync0 "/usr/lib/$arch/libdaxsync.so.0" "/usr/lib/$arch/libdaxsync-preload.so.0" \
	"/usr/lib/$arch/libdaxsync-emulate.so.[0-9.]*" /usr/share/doc/libdaxsync0/copyright
! grep -q '\.so$' "$scratch/files" || fail 'libdaxsync0 has a file without a version, and no libdaxsync1 could stand beside it'
holds libdaxsync-dev /usr/include/daxsync/daxsync.h "/usr/lib/$arch/libdaxsync.a" "/usr/lib/$arch/libdaxsync.so" \
	"/usr/lib/$arch/libdaxsync-preload.so" "/usr/lib/$arch/pkgconfig/daxsync.pc" \
	"/usr/lib/$arch/pkgconfig/daxsync-preload.pc" "/usr/lib/$arch/cmake/daxsync/daxsyncConfig.cmake" \
	/usr/share/man/man3/daxsync_sync.3.gz
holds daxsync /usr/bin/daxsync /usr/share/man/man1/daxsync-run.1.gz /usr/share/man/man7/daxsync.7.gz \
	/usr/share/bash-completion/completions/daxsync /usr/share/zsh/vendor-completions/_daxsync \
	/usr/share/doc/daxsync/screens.md /usr/share/doc/daxsync/screens/load.svg

depends() { # PACKAGE PATTERN
	dpkg-deb -f "$(deb_of "$1")" Depends | grep -Eq "$2" || fail "$1 depends on $(dpkg-deb -f "$(deb_of "$1")" Depends)"
}
depends libdaxsync0 '(^|, )libc6 \(>= [0-9.]+\)'
depends libdaxsync0 '(^|, )libpmem2($|,)'
depends libdaxsync-dev '^libdaxsync0 \(= [0-9.]+-[0-9a-z]+\)$'
depends daxsync '(^|, )libdaxsync0 \(= [0-9.]+-[0-9a-z]+\)'
depends daxsync '(^|, )libc6 \(>= [0-9.]+\)'
dpkg-deb --ctrl-tarfile "$(deb_of libdaxsync0)" | tar -xf - -C "$scratch"
grep -q '^libdaxsync 0 libdaxsync0' "$scratch/shlibs" || fail "shlibs: $(cat "$scratch/shlibs")"
grep -q '^activate-noawait ldconfig' "$scratch/triggers" || fail "triggers: $(cat "$scratch/triggers")"
touch "$tree/done"
set -- "$tree"/*.deb
[ $# -eq 3 ] || fail "$# packages"
saw "$# packages"
