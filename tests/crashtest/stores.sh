#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# stores.sh [BUILD [LINES [RECORDS]]]: real stores under `daxsync crashtest`. LMDB (with MDB_WRITEMAP) loads LINES lines in
# commits of two, 700 if not given, and survives the cut at each of its fences on persistent memory, and 60 cuts on a disk.
# Python's mmap survives with a flush, and breaks without. Kyoto Cabinet and tkrzw add RECORDS records, 40 if not given, and
# acknowledge each: tkrzw's HashDBM survives, its TreeDBM that appends, and on persistent memory Kyoto Cabinet's HashDB with
# hard transactions. With transactions that are not hard it must break, since nothing of theirs is synced. Without RECORDS,
# what becomes of the others is shown too, and decides nothing (doc/crashtest.md says why they break).
set -eu

# shellcheck source=tests/launcher/lib.sh
. "${0%/*}/../launcher/lib.sh"
# shellcheck source=tests/crashtest/lib.sh
. "${0%/*}/lib.sh"
crashtest_begin crashtest-stores "$@"
lines=${2:-700}
records=${3:-40}
lmdb_unicode=$built/bin/examples/lmdb_unicode
[ -x "$lmdb_unicode" ] || skip 'lmdb_unicode was not built (package liblmdb-dev)'
table=$scratch/table
head -n "$lines" /usr/share/unicode/UnicodeData.txt >"$table" 2>/dev/null || skip 'no UnicodeData.txt (package unicode-data)'
need python3 python3

crashtest() { # STATUS CHECK OPTION... -- PROGRAM...
	status=$1 check=$2
	shift 2
	run "$status" "$daxsync" crashtest --check="$check" "$@"
	rm -rf "${TMPDIR:?}"/*
	head -n 1 "$scratch/out"
}

# shellcheck disable=SC2016 # for the checker's shell
acknowledged='a=$(sed -n "s/^committed //p" %o | tail -n 1); [ -z "$a" ] ||'
place
mkdir db
crashtest 0 "$acknowledged $lmdb_unicode check db $table \$a 2" --model=pmem --coins=1 -- \
	"$lmdb_unicode" load db "$table" 2 1M
cuts=$(sed -n 's/^survived: \([0-9]*\) .*/\1/p' "$scratch/out")
[ "$cuts" -ge "$lines" ] || fail "$cuts cuts: two for each commit were expected"
place
mkdir db
crashtest 0 "$acknowledged $lmdb_unicode check db $table \$a 2" --model=disk --cuts=60 --coins=1 -- \
	"$lmdb_unicode" load db "$table" 2 1M

cat >"$scratch/store.py" <<'EOF'
import mmap, os, sys
fd = os.open("store", os.O_RDWR | os.O_CREAT)
os.ftruncate(fd, 65536)
os.fsync(fd)
m = mmap.mmap(fd, 65536)
for i in range(1, 16):
    m[i * 4096:i * 4096 + 4] = b"full"
    if sys.argv[1] == "flush":
        m.flush(i * 4096, 4096)
    print(i, flush=True)
EOF
cat >"$scratch/check.py" <<'EOF'
import sys
last = int((open(sys.argv[1]).read().split() or ["0"])[-1])
data = open("store", "rb").read() if last else b""
sys.exit(any(data[i * 4096:i * 4096 + 4] != b"full" for i in range(1, last + 1)))
EOF
for model in pmem disk; do
	place
	crashtest 0 "python3 '$scratch/check.py' %o" --model=$model -- python3 "$scratch/store.py" flush
	place
	crashtest 1 "python3 '$scratch/check.py' %o" --model=$model -- python3 "$scratch/store.py" forget
done

# Kyoto Cabinet and tkrzw. What the checker opens, it repairs first, as these stores do after a crash.
added() { # STATUS MODEL PROGRAM FILE MODE-OF-THE-CHECK MODE
	place
	# shellcheck disable=SC2016 # for the checker's shell
	crashtest "$1" 'a=$(tail -n 1 %o); [ -z "$a" ] || '"$5" --model="$2" --coins=1 -- "$3" "$4" "$6" "$records"
}
shown() { # WHAT MODEL PROGRAM FILE CHECK MODE
	[ $# -eq 6 ] || fail "$# words"
	what=$1
	shift
	echo "$what, $1:"
	added '0|1' "$@"
}
kyoto=$built/bin/tests/store_kyoto
if [ -x "$kyoto" ]; then
	file='store.kch#bnum=101#msiz=1m' tree='store.kct#bnum=101#msiz=1m'
	for model in pmem disk; do
		for mode in hard auto; do
			if [ $model = pmem ]; then
				added 0 $model "$kyoto" "$file" "$kyoto '$file' check \$a" $mode
			elif [ -z "${3:-}" ]; then
				shown "HashDB, $mode" $model "$kyoto" "$file" "$kyoto '$file' check \$a" $mode
			fi
			[ -n "${3:-}" ] || shown "TreeDB, $mode" $model "$kyoto" "$tree" "$kyoto '$tree' check \$a" $mode
		done
		[ -n "${3:-}" ] || shown 'HashDB, sync' $model "$kyoto" "$file" "$kyoto '$file' check \$a" sync
	done
	added 1 pmem "$kyoto" "$file" "$kyoto '$file' check \$a" soft
	matches 'acknowledged: [0-9]*, and key [0-9]* is not '
else
	echo 'not tried: Kyoto Cabinet (package libkyotocabinet-dev)'
fi
tkrzw=$built/bin/tests/store_tkrzw
if [ -x "$tkrzw" ]; then
	options=file=MemoryMapParallelFile,num_buckets=101
	for model in pmem disk; do
		added 0 $model "$tkrzw" store.tkh "$tkrzw store.tkh dbm=HashDBM,$options \$a check" dbm=HashDBM,$options
		# All that a record is in is new, and what comes behind the last synchronization is given up.
		appends=dbm=TreeDBM,$options,update_mode=UPDATE_APPENDING,restore_mode=RESTORE_SYNC
		added 0 $model "$tkrzw" store.tkt "$tkrzw store.tkt $appends \$a check" "$appends"
		[ -n "${3:-}" ] || shown TreeDBM $model "$tkrzw" store.tkt \
			"$tkrzw store.tkt dbm=TreeDBM,$options \$a check" dbm=TreeDBM,$options
	done
else
	echo 'not tried: tkrzw (package libtkrzw-dev)'
fi
