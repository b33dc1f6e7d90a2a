#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# sparse.sh [BUILD [ENGINE...]]: maps of 1 TiB with a few thousand pages in them,
# with and without the verifier. An LMDB environment, and single pages scattered
# over the whole map, each synced as a whole. Holes stay holes: the file has as
# many blocks as after a native run. And cost follows what is used: memory and
# page tables stay near those of a native run, and calls that change the map and
# syncs of nothing end within the test's time-out in such numbers that they
# would not if each of them looked at the whole map. Other times are for
# information.
set -eu

# shellcheck source=tests/clients/lib.sh
. "${0%/*}/lib.sh"
client_begin sparse "$@"
find_python lmdb python3-lmdb
bound_kib=65536

cat >"$scratch/common.py" <<'PYTHON'
import time

SIZE = 1 << 40


def used():
    """Peak memory and page tables of this process, in KiB."""
    with open("/proc/self/status") as file:
        status = dict(line.split(":", 1) for line in file)
    return " ".join(status[key].split()[0] for key in ("VmHWM", "VmPTE"))


class Stopwatch:
    def __init__(self):
        self.us = []

    def __call__(self, function):
        start = time.perf_counter_ns()
        function()
        self.us.append((time.perf_counter_ns() - start) / 1000)

    def report(self):
        """What the shell reads: peak and page tables, median and longest sync."""
        self.us.sort()
        print(used(), f"{self.us[len(self.us) // 2]:.0f} {self.us[-1]:.0f}")
PYTHON
cat >"$scratch/lmdb_write.py" <<'PYTHON'
import sys
import lmdb
from common import SIZE, Stopwatch

# 3000 values of a page each, 50 a commit
env = lmdb.open(sys.argv[1], map_size=SIZE, writemap=True, subdir=False)
commit = Stopwatch()
for start in range(0, 3000, 50):
    txn = env.begin(write=True)
    for number in range(start, start + 50):
        txn.put(b"%08d" % number, (b"%08d" % number) * 500)
    commit(txn.commit)
commit.report()
env.close()
PYTHON
cat >"$scratch/lmdb_check.py" <<'PYTHON'
import sys
import lmdb

env = lmdb.open(sys.argv[1], readonly=True, lock=False, subdir=False)
with env.begin() as txn, txn.cursor() as cursor:
    assert list(cursor) == [(b"%08d" % n, (b"%08d" % n) * 500) for n in range(3000)]
PYTHON
cat >"$scratch/scatter_write.py" <<'PYTHON'
import mmap
import sys
from common import SIZE, Stopwatch

# 2000 single pages, as far apart as they get, 100 a sync
STEP = SIZE // 2000 // 4096 * 4096
sync = Stopwatch()
with open(sys.argv[1], "wb+") as file:
    file.truncate(SIZE)
    view = mmap.mmap(file.fileno(), SIZE)
    for number in range(2000):
        view[number * STEP : number * STEP + 8] = b"%08d" % number
        if number % 100 == 99:
            sync(view.flush)
    sync(view.flush)
    sync.report()
PYTHON
cat >"$scratch/scatter_check.py" <<'PYTHON'
import os
import sys
from common import SIZE

STEP = SIZE // 2000 // 4096 * 4096
with open(sys.argv[1], "rb") as file:
    assert os.fstat(file.fileno()).st_size == SIZE
    assert all(os.pread(file.fileno(), 8, n * STEP) == b"%08d" % n for n in range(2000))
PYTHON

cat >"$scratch/calls_write.py" <<'PYTHON'
import ctypes
import mmap
import sys
from common import SIZE, Stopwatch

# a page of each quarter, and what changes a map
PAGE = 4096
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
sync = Stopwatch()
with open(sys.argv[1], "wb+") as file:
    file.truncate(SIZE)
    view = mmap.mmap(file.fileno(), SIZE)
    start = ctypes.addressof(ctypes.c_char.from_buffer(view))

    def store(number):
        for at in range(0, SIZE, SIZE // 4):
            view[at : at + 8] = b"%08d" % number

    for number in range(100):
        store(number)
        for prot in (mmap.PROT_READ, mmap.PROT_READ | mmap.PROT_WRITE):
            assert libc.mprotect(ctypes.c_void_p(start), ctypes.c_size_t(SIZE), prot) == 0
        sync(view.flush)
    for number in range(20):  # the same page of the file in its place
        store(number)
        at = SIZE // 21 // PAGE * PAGE * (number + 1)
        prot = mmap.PROT_READ | mmap.PROT_WRITE
        flags = mmap.MAP_SHARED | 0x10  # MAP_FIXED
        made = libc.mmap(
            ctypes.c_void_p(start + at), ctypes.c_size_t(PAGE), prot, flags, file.fileno(), ctypes.c_long(at)
        )
        assert made == start + at
        sync(view.flush)
    for _ in range(100000):
        sync(view.flush)
    sync.report()
PYTHON
cat >"$scratch/calls_check.py" <<'PYTHON'
import os
import sys
from common import SIZE

with open(sys.argv[1], "rb") as file:
    assert all(os.pread(file.fileno(), 8, at) == b"00000019" for at in range(0, SIZE, SIZE // 4))
PYTHON

figures_of() { # FILE: sets peak, tables, median, longest and blocks
	read -r peak tables median longest <"$scratch/out"
	blocks=$(stat -c %b "$1")
}

expect_bounded() { # WHAT KIB NATIVE_KIB
	[ "$2" -le $(($3 + bound_kib)) ] || fail "$1: $2 KiB, natively $3 KiB"
}

measure() { # KIND
	native=$scratch/native-$1
	plain "$python" -B "$scratch/$1_write.py" "$native"
	figures_of "$native"
	native_peak=$peak native_tables=$tables native_median=$median native_blocks=$blocks
	rm "$native"

	"$2" "$python" -B "$scratch/$1_write.py" "$work/$1"
	figures_of "$work/$1"
	[ "$blocks" -eq "$native_blocks" ] || fail "$1: $blocks blocks of 512 bytes, natively $native_blocks"
	expect_bounded "$1: peak memory" "$peak" "$native_peak"
	expect_bounded "$1: page tables" "$tables" "$native_tables"
	plain "$python" -B "$scratch/$1_check.py" "$work/$1"
	echo "sparse $engine: $1, 1 TiB${3:+, $3}: $((blocks / 8)) pages; sync median $median us, longest $longest us" \
		"(natively $native_median us); memory $((peak - native_peak)) KiB and page tables" \
		"$((tables - native_tables)) KiB more than natively"
}

# As shim, without the verifier.
shim_unverified() { # PROGRAM ARGS...
	"$daxsync" run --emulate --engine="$engine" -- "$@" >"$scratch/out" 2>"$scratch/err" ||
		fail "exit status $? of: $*"
}

run() {
	for kind in lmdb scatter; do
		measure $kind shim_unverified
		rm -f "$work/$kind" "$work/$kind-lock"
		measure $kind shim verified
		expect_served $kind
		find_image $kind
		plain "$python" -B "$scratch/${kind}_check.py" "$image"
		rm -f "$work/$kind" "$work/$kind-lock"
	done
	measure calls shim_unverified
	rm -f "$work/calls"
}
each_engine run
