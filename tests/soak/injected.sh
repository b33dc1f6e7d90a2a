#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# injected.sh BUILD: the soak can fail. With one flush in ten left out, its jobs miss pages: it says so, and with which command
# that is seen again.
set -eu
build=$1 status=0
out=$(DAXSYNC_FAULT=skip-flush:10 sh "${0%/*}/soak.sh" -c 3 -s 3 "$build") || status=$?
[ "$status" -ne 77 ] || {
	echo "$out"
	exit 77
}
echo "$out" | tail -n 1
if [ "$status" -ne 1 ] || ! echo "$out" | grep -q 'MISSED PAGE\|missed pages' || ! echo "$out" | grep -q '^  again: '; then
	echo "$out"
	echo "exit status $status: a flush that is left out is not noticed"
	exit 1
fi
rm -rf "$build/soak/3"
