#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# lintian.sh [BUILD]: lintian finds no error in the packages. Its warnings are printed: Debian 12 has none, and each version of
# lintian has its own.
set -eu

# shellcheck source=tests/packages/lib.sh
. "${0%/*}/lib.sh"
packages_begin lintian "$@"
need lintian lintian
status=0
lintian --allow-root --fail-on error "$tree"/*.deb >"$scratch/out" 2>&1 || status=$?
cat "$scratch/out"
[ "$status" -eq 0 ] || fail 'see above'
saw "$(dpkg-query -W -f='${Version}' lintian)"
