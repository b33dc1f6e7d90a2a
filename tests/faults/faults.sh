#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# faults.sh BUILD ENGINE [FAULT...]: every failure at each of its occasions, while the generator's workload runs: the
# first call fails, then in another run the second, and so on. The program sees the right error or none, and what it then
# syncs is durable.
set -eu
build=$1 engine=$2
shift 2
[ $# -gt 0 ] || set -- alloc no-memory no-attach close-error flush-error sys-mmap sys-munmap sys-mremap sys-mprotect \
	sys-mincore sys-openat sys-userfaultfd sys-ioctl-again sys-ioctl-gone sys-fsync sys-msync
failed=0
export LD_PRELOAD="$build/lib/libdaxsync-faults.so" # the generator sets DAXSYNC_FAULT for itself

for fault in "$@"; do
	"$build/bin/daxsync" run --emulate --engine="$engine" -- "$build/bin/tests/generator" -f "$fault" 2>/dev/null ||
		failed=1
done

# Several threads, and failures by chance: errors of the flush are the program's to see, and nothing else is.
for fault in open-error:10,slow-scan close-error:5 flush-error:50 sys-mincore:20 no-memory:200 sys-mprotect:50,slow-scan; do
	if ! "$build/bin/daxsync" run --emulate --verify --engine="$engine" --fault="$fault" -- \
		"$build/bin/tests/writers" -e -w 4 -y 4 -s 2 -p 64 >/dev/null; then
		echo "FAIL: several threads with $fault"
		failed=1
	fi
done

# That it can fail: without the marks being put back, an error of the flush loses pages.
if "$build/bin/daxsync" run --emulate --engine="$engine" -- \
	"$build/bin/tests/generator" -k 1 -f no-putback,flush-error >/dev/null 2>&1; then
	echo 'NOT CAUGHT: no mark put back after an error'
	failed=1
fi
exit $failed
