#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# promises.sh [OPTION...] BUILD KERNEL [CASE...]: judges each msync, fsync and fdatasync of the conformance suite on ext4,
# xfs, the ext2 format and device DAX. The program tells the simulation of the CPU's caches what a sync covers, and when it
# has returned, each line of it must be durable (cache/wrap.c, cache/promises.c).
#
#   -p POLICY  of the library (always-close, which the cases expect; with another one only the promises are judged)
#   -k K/N     every N-th case, from number K on (0/1)
#   -b NAME    with the library that cache/NAME.patch breaks; then a promise must be broken
#   -n         without the library, and without device DAX: whether the kernel keeps its promises. That is shown, and
#              decides nothing
#
# Exit status: 0; 1 if a promise was broken, or a case failed; 77 if there is no guest.
set -eu
# shellcheck source=tests/guest/lib.sh
. "${0%/*}/lib.sh"
policy=always-close part=0/1 broken=.
while getopts p:k:b:n option; do
	case $option in
	p) policy=$OPTARG ;;
	k) part=$OPTARG ;;
	b) broken=$OPTARG ;;
	n) broken=kernel ;;
	*) exit 2 ;;
	esac
done
shift $((OPTIND - 1))
[ $# -ge 2 ] || fail 'usage: promises.sh [-p POLICY] [-k K/N] [-b NAME | -n] BUILD KERNEL [CASE...]'
guest_begin "$1" "$2"
shift 2

said=$guest/promises.$$
trap 'rm -f "$said"' EXIT
status=0
sh "$here/run.sh" -w -t 2400 "$build" "$kernel" "$here/jobs/promises.sh" "$policy" "$broken" "$part" "$@" >"$said" ||
	status=$?
grep -v '^PASS \|^SKIP ' "$said" || true
case $status in
0 | 1) ;;
*) skip_or_fail "$status" ;;
esac
# The plugin's last line: promises: N syncs, N pages, N lines BROKEN
judged=$(sed -n 's/^promises: \([0-9]*\) syncs,.* \([0-9]*\) lines BROKEN$/\1 \2/p' "$said")
[ -n "$judged" ] || fail 'the plugin has judged nothing'
case $broken:${judged#* } in
kernel:*) exit 0 ;;
.:0) exit "$status" ;;
.:*) fail "promises were broken" ;;
*:0) fail "no promise was broken by the library with $broken.patch" ;;
esac
