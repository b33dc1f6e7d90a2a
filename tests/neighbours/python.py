# SPDX-License-Identifier: BSD-3-Clause
"""python.py api|mmap FILE [LIBRARY]: Python's own mmap, or the library's functions by ctypes. Prints the same each time."""
import ctypes
import faulthandler
import mmap
import os
import random
import sys
import threading
import zlib

PART, NR_THREADS, ROUNDS = 1 << 18, 3, 60


class Opts(ctypes.Structure):
    _fields_ = [("size", ctypes.c_size_t), ("flags", ctypes.c_uint)]


class Stats(ctypes.Structure):
    _fields_ = [("size", ctypes.c_size_t)] + [
        (name, ctypes.c_uint64)
        for name in ("syncs", "traps", "pages_flushed", "bytes_flushed", "fences", "kernel_syncs", "missed_pages")]


def in_threads(run):
    threads = [threading.Thread(target=run, args=(nr,)) for nr in range(NR_THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def stores(nr):
    """Offsets and what is to be stored there, by thread."""
    rng = random.Random(nr)
    for _ in range(ROUNDS):
        data = rng.randbytes(rng.randrange(1, 9000))
        yield nr * PART + rng.randrange(PART - len(data)), data


def by_mmap(fd):
    with mmap.mmap(fd, NR_THREADS * PART) as view:
        def run(nr):
            for round_nr, (at, data) in enumerate(stores(nr)):
                view[at:at + len(data)] = data
                if round_nr % 3:
                    start = at // mmap.PAGESIZE * mmap.PAGESIZE
                    view.flush(start, at + len(data) - start)
                else:
                    view.flush()
        in_threads(run)
        faulthandler.enable()  # handlers of SIGSEGV and SIGBUS, when the file is tracked already
        view[100:105] = b"hello"
        view.resize(2 * NR_THREADS * PART)
        view[-5:] = b"world"
        view.flush()
        faulthandler.disable()
        view.move(PART, 0, 1000)
        view.flush()
        try:
            view.flush(1, 10)
        except OSError as error:
            print("flush of an address that is no page's:", error.strerror)
    with mmap.mmap(fd, 0, access=mmap.ACCESS_READ) as view:
        print("sum", zlib.crc32(view))


def expect(ret, what):
    if ret:
        sys.exit(f"{what} has returned {ret}")


def by_api(fd, path):
    faulthandler.enable()  # before the first mapping, as the header asks
    lib = ctypes.CDLL(path)
    addr = ctypes.c_void_p()
    opts = Opts(ctypes.sizeof(Opts), 1)  # DAXSYNC_OPT_EMULATE
    lib.daxsync_strerror.restype = ctypes.c_char_p
    lib.daxsync_version.restype = ctypes.c_char_p
    print("version", lib.daxsync_version().decode(), "error", bool(lib.daxsync_strerror(-5)))
    length = ctypes.c_size_t(NR_THREADS * PART)
    expect(lib.daxsync_map(fd, length, ctypes.c_long(0), ctypes.byref(opts), ctypes.byref(addr)), "daxsync_map")
    print("mode", lib.daxsync_mode_of(addr))

    def run(nr):
        for at, data in stores(nr):
            ctypes.memmove(addr.value + at, data, len(data))
            expect(lib.daxsync_sync(ctypes.c_void_p(addr.value + at), ctypes.c_size_t(len(data))), "daxsync_sync")
    in_threads(run)
    expect(lib.daxsync_sync_file(fd), "daxsync_sync_file")
    ctypes.memset(addr, 7, 3 * mmap.PAGESIZE)
    expect(lib.daxsync_sync(addr, length), "daxsync_sync")
    stats = Stats(ctypes.sizeof(Stats))
    expect(lib.daxsync_stats_get(ctypes.byref(stats)), "daxsync_stats_get")
    print("syncs", stats.syncs, "traps", stats.traps > 0, "flushed", stats.pages_flushed > 0, "missed",
          stats.missed_pages)
    print("sum", zlib.crc32(ctypes.string_at(addr, length.value)))
    expect(lib.daxsync_unmap(addr, length), "daxsync_unmap")


def main():
    fd = os.open(sys.argv[2], os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
    os.ftruncate(fd, NR_THREADS * PART)
    if sys.argv[1] == "mmap":
        by_mmap(fd)
    else:
        by_api(fd, sys.argv[3])
    os.close(fd)


main()
