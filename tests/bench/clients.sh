#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# clients.sh BUILD [TURNS [ENGINE]]: how long unmodified programs take on tmpfs, and with daxsync on the same as emulated
# persistent memory, in turns: medians of TURNS (5), in seconds, and the ratio of two of one turn, with the lowest and the
# highest. tmpfs flushes nothing: the ratio says what durability costs here, with the copy that the emulation keeps. Start-up is
# in it, of the program and of the library; `true` is nothing but that. pmemobj is told that all is persistent memory, and
# flushes for itself, in the place of tmpfs; with daxsync it calls msync. Not a test: it depends on what else the machine does.
#
# Exit status: 0; 1 if a program failed; 77 if one is missing.
set -eu
bench=$(cd "${0%/*}" && pwd)
# shellcheck source=tests/bench/lib.sh
. "$bench/lib.sh"

build=$(cd "$1" && pwd)
turns=${2:-5}
engine=${3:-auto}
need fio fio
need kctreetest kyotocabinet-utils
need kchashtest kyotocabinet-utils
need tkrzw_dbm_perf tkrzw-utils
need db_bench rocksdb-tools
echo '#include <libpmemobj.h>' | "${CC:-cc}" -E -x c - >/dev/null 2>&1 ||
	skip 'libpmemobj.h is missing (package libpmemobj-dev)'
python=/usr/bin/python3
"$python" -c 'import lmdb' 2>/dev/null || skip 'the module lmdb of python3 is missing (package python3-lmdb)'

work=$(mktemp -d /dev/shm/daxsync-clients.XXXXXX)
trap 'rm -rf "$work"' EXIT
cat >"$work/keys.py" <<'EOF'
import lmdb, sys
env = lmdb.open(sys.argv[1], map_size=64 << 20, writemap=True, max_dbs=1)
for commit in range(1000):
    with env.begin(write=True) as txn:
        for key in range(10):
            txn.put(b'%d' % ((commit * 10 + key) * 7919 % 5000), b'x' * 100)
env.close()
EOF

"${CC:-cc}" -O2 -o "$work/pmem" "$bench/../neighbours/pmem.c" -lpmem -lpmem2 -lpmemobj || fail 'pmem.c: not compiled'

program() { # NAME FILE FLUSHES: what is run; FLUSHES: 1 where the program is to flush for itself, if it can
	case $1 in
	true) echo true ;;
	python-lmdb) echo "$python $work/keys.py $2" ;;
	lmdb) echo "$build/bin/examples/lmdb_unicode churn $2 $work/table 100 10 8M" ;;
	kyoto-hash) echo "kchashtest order -oas -bnum 20011 -set $2.kch 3000" ;;
	kyoto-tree) echo "kctreetest order -oas -bnum 20011 -set $2.kct 1000" ;;
	tkrzw) echo "tkrzw_dbm_perf sequence --dbm hash --file mmap-para --path $2.tkh --iter 20000 --sync_hard" ;;
	rocksdb) echo "db_bench --benchmarks=fillrandom --db=$2 --mmap_write=1 --disable_wal=1 --write_buffer_size=131072 --num=100000 --compression_type=none --seed=1" ;;
	pmemobj) echo "env PMEM_IS_PMEM_FORCE=$3 $work/pmem obj $2 3000" ;;
	fio-*) echo "fio --name=x --filename=$2 --ioengine=mmap --rw=randwrite --bs=4k --size=16M --loops=4 --fsync=${1#fio-} --minimal" ;;
	esac
}

now() {
	date +%s%N
}

# Seconds that it took.
timed() { # COMMAND...
	begin=$(now)
	"$@" >"$work/out" 2>&1 || {
		tail -n 5 "$work/out" >&2
		fail "$*"
	}
	echo "$begin $(now)" | awk '{ printf "%.4f\n", ($2 - $1) / 1e9 }'
}

# Median, lowest and highest of the lines.
spread() {
	sort -n | awk '{ x[NR] = $1 } END { print x[int((NR + 1) / 2)], x[1], x[NR] }'
}

head -n 500 /usr/share/unicode/UnicodeData.txt >"$work/table"
printf '%-14s %10s %10s %8s %8s %8s\n' program tmpfs daxsync ratio lowest highest
for name in true python-lmdb lmdb kyoto-hash kyoto-tree tkrzw rocksdb pmemobj fio-1 fio-32; do
	turn=0
	while [ "$turn" -lt "$turns" ]; do
		file=$work/file.$turn
		case $name in lmdb) mkdir "$file" "$file.shim" ;; esac
		# shellcheck disable=SC2046 # several words
		native=$(timed $(program "$name" "$file" 1))
		# shellcheck disable=SC2046
		shim=$(timed "$build/bin/daxsync" run --emulate --engine="$engine" -- $(program "$name" "$file.shim" 0))
		echo "$native $shim"
		rm -rf "$work"/file.*
		turn=$((turn + 1))
	done >"$work/turns"
	{
		awk '{ print $1 }' "$work/turns" | spread
		awk '{ print $2 }' "$work/turns" | spread
		awk '{ print $2 / $1 }' "$work/turns" | spread
	} | tr '\n' ' ' |
		awk -v name="$name" '{ printf "%-14s %10.3f %10.3f %8.2f %8.2f %8.2f\n", name, $1, $4, $7, $8, $9 }'
done
