#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# lmdb_python.sh [BUILD [ENGINE...]]: LMDB from Python with writemap=True, in a
# language run-time with threads and a garbage collector of its own: named
# databases, large values, deletions, aborted transactions, a map that grows
# while it is open. Read back without the shim, file and durable image, against
# the same operations on a dictionary.
set -eu

# shellcheck source=tests/clients/lib.sh
. "${0%/*}/lib.sh"
client_begin lmdb_python "$@"
find_python lmdb python3-lmdb

cat >"$scratch/model.py" <<'PYTHON'
import random

NR_TXNS = 150
NAMES = (b"small", b"large", b"mixed")


def value(rng, name):
    size = {b"small": 40, b"large": 9000, b"mixed": rng.choice((10, 700, 5000))}[name]
    return rng.randbytes(rng.randrange(1, size))


def transactions(seed):
    """Yields (is_aborted, [(database, key, value or None)])."""
    rng = random.Random(seed)
    for _ in range(NR_TXNS):
        ops = []
        for _ in range(rng.randrange(1, 30)):
            name = rng.choice(NAMES)
            key = b"%06d" % rng.randrange(600)
            ops.append((name, key, None if rng.random() < 0.3 else value(rng, name)))
        yield rng.random() < 0.1, ops
PYTHON
cat >"$scratch/write.py" <<'PYTHON'
import sys
import threading
import lmdb
from model import NAMES, transactions

env = lmdb.open(sys.argv[1], map_size=4 << 20, writemap=True, max_dbs=len(NAMES))
dbs = {name: env.open_db(name) for name in NAMES}
committed = 0
for number, (is_aborted, ops) in enumerate(transactions(int(sys.argv[2]))):
    if number == 50:
        env.set_mapsize(64 << 20)  # unmaps the old map and makes a larger one
    txn = env.begin(write=True)
    for name, key, value in ops:
        if value is None:
            txn.delete(key, db=dbs[name])
        else:
            txn.put(key, value, db=dbs[name])
    if is_aborted:
        txn.abort()
    else:
        txn.commit()
        committed += 1

# a sync by a thread that never stored
thread = threading.Thread(target=env.sync, args=(True,))
thread.start()
thread.join()
env.close()
print(committed)
PYTHON
cat >"$scratch/check.py" <<'PYTHON'
import sys
import lmdb
from model import NAMES, transactions

want = {name: {} for name in NAMES}
for is_aborted, ops in transactions(int(sys.argv[2])):
    for name, key, value in ops if not is_aborted else ():
        if value is None:
            want[name].pop(key, None)
        else:
            want[name][key] = value

env = lmdb.open(sys.argv[1], readonly=True, lock=False, max_dbs=len(NAMES))
with env.begin() as txn:
    for name in NAMES:
        with txn.cursor(env.open_db(name, txn=txn, create=False)) as cursor:
            got = dict(cursor)
        if got != want[name]:
            wrong = sorted(k for k in got.keys() | want[name].keys() if got.get(k) != want[name].get(k))
            sys.exit(f"database {name}: {len(wrong)} wrong keys, the first {wrong[:5]}")
PYTHON

seed=20240731
run() {
	mkdir "$work/db" "$work/survived"
	shim "$python" -B "$scratch/write.py" "$work/db" "$seed"
	nr_commits=$(cat "$scratch/out")
	expect_served data.mdb
	plain "$python" -B "$scratch/check.py" "$work/db" "$seed"
	find_image data.mdb
	cp --sparse=always "$image" "$work/survived/data.mdb"
	plain "$python" -B "$scratch/check.py" "$work/survived" "$seed"
	figures "$nr_commits commits"
}
each_engine run
