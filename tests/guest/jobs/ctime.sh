#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# ctime.sh: in a guest, what a file's change time tells of a file on DAX (ctime.c), on each file system.
set -eu

status=0
for fs in ext4 xfs; do
	"$BUILD/bin/tests/ctime" "/mnt/$fs/file" >out || status=1
	sed "s/^/$fs: /" out
done
exit "$status"
