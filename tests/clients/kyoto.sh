#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# kyoto.sh [BUILD [ENGINE...]]: Kyoto Cabinet with automatic synchronisation: a
# 64 MiB map over a much smaller file, ftruncate up and down around every msync
# and fsync, ranges longer than the file. Its test programs check what they
# read; without the shim its managers check the structure and every record is
# read again.
set -eu

# shellcheck source=tests/clients/lib.sh
. "${0%/*}/lib.sh"
client_begin kyoto "$@"
for program in kchashtest kctreetest kchashmgr kctreemgr; do
	need "$program" kyotocabinet-utils
done

count() { # MANAGER FILE
	"$1" inform -st "$2" 2>/dev/null | sed -n 's/^count: \([0-9]*\).*/\1/p'
}

expect_count() { # MANAGER FILE COUNT
	[ "$(count "$1" "$2")" = "$3" ] || fail "$2 holds $(count "$1" "$2") records, not $3"
}

run() {
	# set under the shim, get without it, with the default 6 MB bucket array
	shim kchashtest order -oas -set "$work/big.kch" 150
	expect_served big.kch
	plain kchashtest order -get "$work/big.kch" 150
	plain kchashmgr check "$work/big.kch"
	expect_count kchashmgr "$work/big.kch" 150

	# two threads write, each record is synced; test the durable image as well
	shim kchashtest order -oas -th 2 -bnum 2003 -set "$work/order.kch" 300
	expect_served order.kch
	plain kchashtest order -th 2 -get "$work/order.kch" 300
	plain kchashmgr check "$work/order.kch"
	expect_count kchashmgr "$work/order.kch" 600
	find_image order.kch
	cp --sparse=always "$image" "$work/survived.kch"
	plain kchashmgr check "$work/survived.kch"
	plain kchashtest order -th 2 -get "$work/survived.kch" 300

	# all phases, removal and random operations, checked by the program itself
	shim kchashtest order -oas -rnd -bnum 2003 "$work/all.kch" 300
	plain kchashmgr check "$work/all.kch"
	shim kchashtest wicked -oas -th 2 -bnum 2003 "$work/wicked.kch" 500
	plain kchashmgr check "$work/wicked.kch"
	shim kchashtest tran -hard -it 2 -bnum 2003 "$work/tran.kch" 100
	plain kchashmgr check "$work/tran.kch"

	shim kctreetest order -oas -bnum 2003 -set "$work/order.kct" 200
	expect_served order.kct
	plain kctreetest order -get "$work/order.kct" 200
	plain kctreemgr check "$work/order.kct"
	expect_count kctreemgr "$work/order.kct" 200
	find_image order.kct
	cp --sparse=always "$image" "$work/survived.kct"
	plain kctreemgr check "$work/survived.kct"
	plain kctreetest order -get "$work/survived.kct" 200
	shim kctreetest wicked -oas -bnum 2003 "$work/wicked.kct" 300
	plain kctreemgr check "$work/wicked.kct"
	figures '8 databases'
}
each_engine run
