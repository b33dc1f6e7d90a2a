#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# reproducible.sh [BUILD]: packages of the same sources are the same bytes when they are built at another time, in another
# directory, by a user with other settings.
set -eu

# shellcheck source=tests/packages/lib.sh
. "${0%/*}/lib.sh"
packages_begin reproducible "$@"
copy=$scratch/a/directory/with/a/longer/name
mkdir -p "$copy"
(cd "$source" && cp -R CMakeLists.txt CMakePresets.json CHANGELOG.md LICENSE cmake doc examples include lib preload "$copy/")
find "$copy" -exec touch -h -d '2001-02-03 04:05:06' {} +

# The only thing that has to be the same: there is no commit to take it from.
SOURCE_DATE_EPOCH=$(sed -n 's/.*SOURCE_DATE_EPOCH} \([0-9]*\).*/\1/p' "$tree/build/epoch.cmake")
[ -n "$SOURCE_DATE_EPOCH" ] || fail 'the first build tells no time'
export SOURCE_DATE_EPOCH TZ=Asia/Kathmandu LC_ALL=C.UTF-8
umask 027
make_packages "$copy" "$scratch/elsewhere"
nr=0
for deb in "$tree"/*.deb; do
	nr=$((nr + 1))
	other=$scratch/elsewhere/${deb##*/}
	cmp "$deb" "$other" && continue
	mkdir -p "$scratch/1" "$scratch/2"
	dpkg-deb -R "$deb" "$scratch/1"
	dpkg-deb -R "$other" "$scratch/2"
	diff -r "$scratch/1" "$scratch/2" || true
	fail "${deb##*/} is not the same"
done
[ "$nr" -eq 3 ] || fail "$nr packages"
saw "$nr packages"
