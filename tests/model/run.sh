#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# run.sh [WORKDIR]: checks the models of the sync protocol with spin. The
# protocol must be clean, and every deliberately broken variant found out.
#
# Prints a line for each configuration. WORKDIR/<name>/out is spin's report,
# WORKDIR/<name>/counterexample the steps to the bug; without WORKDIR all goes
# to a temporary directory that is removed.
# exit: 0 all as expected, 1 not, 77 spin or the compiler is missing.
#
#   DXS_MODEL_JOBS=n   configurations at a time (2); each needs up to 1 GB
#   DXS_MODEL_LONG=1   the long configurations too (up to 7 GB each)
#   DXS_MODEL_ONLY=re  only configurations whose name matches

set -u
LC_ALL=C
export LC_ALL
here=$(cd "$(dirname "$0")" && pwd)
self=$here/$(basename "$0")

# name  model  expected  macros
#
# expected: clean   nothing found, search complete, no thread stuck
#           lost    a power cut loses what a sync had promised (for the tree:
#                   a walk misses a mark)
#           hang    a thread waits for ever
# Long ones first, so that the jobs end together.
configurations() {
	cat <<-EOT
	two-pages-errors    sync clean -DNP=2 -DNW=1 -DERRORS
	one-page            sync clean -DNP=1 -DNW=2 -DALIAS -DPARTIAL=0 -DERRORS
	two-pages-aliases   sync clean -DNP=2 -DNW=1 -DTWO_MAPPINGS
	two-pages-storers   sync clean -DNP=2 -DNW=2
	one-page-stop       sync clean -DNP=1 -DNW=2 -DPARTIAL=0 -DBLIND -DERRORS -DEVICT -DSTOP
	summaries           tree clean
	signals-two-pages   sync clean -DNP=2 -DNW=1 -DSIGNALS
	two-pages-partial   sync clean -DNP=2 -DNW=1 -DPARTIAL=1 -DBLIND -DBATCHES
	two-pages-extents   sync clean -DNP=2 -DNW=1 -DEXTENT -DSTOP
	two-pages-stop      sync clean -DNP=2 -DNW=1 -DBATCHES -DSTOP
	two-pages-later     sync clean -DNP=2 -DNW=1 -DLATER -DBATCHES -DSTOP
	one-page-discover   sync clean -DNP=1 -DNW=1 -DDISCOVER -DERRORS -DSTOP
	one-page-handover   sync clean -DNP=1 -DNW=1 -DDISCOVER -DHANDOVER -DSTOP
	one-page-handover-errors  sync clean -DNP=1 -DNW=1 -DDISCOVER -DHANDOVER -DERRORS
	one-page-beside     sync clean -DNP=1 -DNW=1 -DBESIDE -DERRORS -DSTOP
	one-page-fsync      sync clean -DNP=1 -DNW=1 -DBESIDE -DFSYNC -DERRORS -DSTOP
	two-pages-fsync     sync clean -DNP=2 -DNW=1 -DBESIDE -DFSYNC -DSTOP
	two-pages-huge      sync clean -DNP=2 -DNW=1 -DBESIDE -DFSYNC -DHUGE_ENTRY -DSTOP
	signals             sync clean -DNP=1 -DNW=1 -DSIGNALS -DERRORS -DSTOP
	observer            observer clean
	observer-errors     observer clean -DERRORS -DTOP=2
	observer-kernel     observer clean -DKWRITE -DTOP=2
	observer-processes  observer clean -DPROCESSES
	observer-cut        observer clean -DCUT
	observer-caught     observer clean -DCAUGHT
	M1                  sync lost  -DNP=1 -DBREAK_M1
	M1_ALIAS            sync lost  -DNP=1 -DBREAK_M1_ALIAS -DALIAS
	M1_ALIAS_LOCK       sync lost  -DNP=1 -DBREAK_M1_ALIAS_LOCK -DALIAS
	M2                  sync lost  -DNP=1 -DBREAK_M2
	M2_ALIAS            sync lost  -DNP=1 -DBREAK_M2_ALIAS -DALIAS
	M2_PARTIAL          sync lost  -DNP=1 -DBREAK_M2_PARTIAL -DPARTIAL=0
	M3_PC               sync lost  -DNP=1 -DBREAK_M3_PC
	M3_CP               sync lost  -DNP=1 -DBREAK_M3_CP
	M4_CLOSED           sync lost  -DNP=1 -DBREAK_M4_CLOSED
	M4_OPEN             sync lost  -DNP=1 -DBREAK_M4_OPEN
	M4_BLIND            sync lost  -DNP=1 -DBREAK_M4_BLIND -DPARTIAL=0 -DBLIND
	M4_BLIND_WAIT       sync lost  -DNP=1 -DBREAK_M4_BLIND_WAIT -DPARTIAL=0 -DBLIND
	M6                  sync lost  -DNP=1 -DBREAK_M6 -DERRORS
	M6_COUNT            sync lost  -DNP=1 -DBREAK_M6_COUNT -DERRORS
	M6_WAITER           sync lost  -DNP=1 -DBREAK_M6_WAITER -DERRORS
	M6_FENCE            sync lost  -DNP=1 -DBREAK_M6_FENCE -DERRORS
	FENCE               sync lost  -DNP=1 -DBREAK_FENCE
	SUMMARY             sync lost  -DNP=1 -DBREAK_SUMMARY
	CLAIM               sync lost  -DNP=1 -DBREAK_CLAIM
	WAITED              sync lost  -DNP=1 -DBREAK_WAITED
	WAITED_PARTIAL      sync lost  -DNP=1 -DNW=1 -DBREAK_WAITED -DPARTIAL=0
	DRAIN_FIRST         sync lost  -DNP=1 -DBREAK_DRAIN_FIRST -DLATER
	WALK_ORDER          sync lost  -DNP=1 -DBREAK_WALK_ORDER
	CLEAN_OPEN          sync lost  -DNP=1 -DBREAK_CLEAN_OPEN
	EXTENT_MARK         sync lost  -DNP=2 -DNW=1 -DEXTENT -DBREAK_EXTENT_MARK
	EXTENT_LOCK         sync lost  -DNP=2 -DNW=1 -DEXTENT -DBREAK_EXTENT_LOCK
	EXTENT_ORDER        sync hang  -DNP=2 -DEXTENT -DBREAK_EXTENT_ORDER -DSTOP
	EXTENT_UNMARK       sync lost  -DNP=2 -DNW=1 -DEXTENT -DBREAK_EXTENT_UNMARK
	REOPENED            sync lost  -DNP=1 -DBREAK_REOPENED -DDISCOVER
	OPEN_FORGET         sync lost  -DNP=1 -DBREAK_OPEN_FORGET -DDISCOVER
	ARM_FIRST           sync lost  -DNP=1 -DBREAK_ARM_FIRST -DDISCOVER
	LEFT_MARK           sync lost  -DNP=1 -DBREAK_LEFT_MARK -DDISCOVER
	HANDED_FLUSH        sync lost  -DNP=1 -DNW=1 -DBREAK_HANDED_FLUSH -DDISCOVER -DHANDOVER
	HANDED_BEFORE       sync lost  -DNP=1 -DNW=1 -DBREAK_HANDED_BEFORE -DDISCOVER -DHANDOVER
	HANDED_RELEASED     sync lost  -DNP=1 -DNW=1 -DBREAK_HANDED_RELEASED -DDISCOVER -DHANDOVER
	HANDED_MARKS        sync lost  -DNP=1 -DNW=1 -DBREAK_HANDED_MARKS -DDISCOVER -DHANDOVER
	HANDED_TURN         sync lost  -DNP=1 -DNW=1 -DBREAK_HANDED_TURN -DDISCOVER -DHANDOVER
	HANDED_CUT          sync lost  -DNP=1 -DNW=1 -DBREAK_HANDED_CUT -DDISCOVER -DHANDOVER
	TAKEN_CLEAN         sync lost  -DNP=1 -DNW=1 -DBREAK_TAKEN_CLEAN -DDISCOVER -DHANDOVER
	BESIDE              sync lost  -DNP=1 -DNW=1 -DBREAK_BESIDE -DBESIDE
	BESIDE_FIRST        sync lost  -DNP=1 -DNW=1 -DBREAK_BESIDE_FIRST -DBESIDE
	BESIDE_OWN          sync lost  -DNP=1 -DNW=1 -DBREAK_BESIDE_OWN -DBESIDE
	FSYNC_FIRST         sync lost  -DNP=1 -DNW=1 -DBREAK_FSYNC_FIRST -DBESIDE -DFSYNC
	FSYNC_ALONE         sync lost  -DNP=1 -DNW=1 -DBREAK_FSYNC_ALONE -DBESIDE -DFSYNC
	HUGE_SPLIT          sync lost  -DNP=2 -DNW=1 -DBREAK_HUGE_SPLIT -DBESIDE -DFSYNC -DHUGE_ENTRY
	SIGNALS             sync hang  -DNP=1 -DNW=1 -DBREAK_SIGNALS -DSIGNALS -DSTOP
	SNAP_EARLY          observer lost  -DBREAK_SNAP_EARLY
	SNAP_LATE           observer lost  -DBREAK_SNAP_LATE
	PUBLISH_FIRST       observer lost  -DBREAK_PUBLISH_FIRST
	RELEASE_FIRST       observer lost  -DBREAK_RELEASE_FIRST
	OLDER_THREAD        observer lost  -DBREAK_OLDER_THREAD
	TAKEN_LATE          observer lost  -DBREAK_TAKEN_LATE
	DUE_FIRST           observer lost  -DBREAK_DUE_FIRST
	EVENT_EARLY         observer lost  -DBREAK_EVENT_EARLY
	EXCUSED_ONCE        observer lost  -DERRORS -DBREAK_EXCUSED_ONCE
	FAILED_SEEN         observer lost  -DERRORS -DBREAK_FAILED_SEEN
	CHECK_FIRST         observer lost  -DCAUGHT -DBREAK_CHECK_FIRST
	OLDER_PROCESS       observer lost  -DPROCESSES -DBREAK_OLDER_PROCESS
	EXCLUSIVE_NOW       observer lost  -DPROCESSES -DBREAK_EXCLUSIVE_NOW
	EXCLUSIVE_THEN      observer lost  -DPROCESSES -DBREAK_EXCLUSIVE_THEN
	PUBLISH_UNLOCKED    observer lost  -DPROCESSES -DBREAK_PUBLISH_UNLOCKED
	COPY_UNLOCKED       observer lost  -DPROCESSES -DBREAK_COPY_UNLOCKED
	COPY_UNHELD         observer lost  -DKWRITE -DBREAK_COPY_UNHELD
	WRITTEN_FIRST       observer lost  -DKWRITE -DBREAK_WRITTEN_FIRST
	WRITER_GONE         observer lost  -DKWRITE -DBREAK_WRITER_GONE
	WRITER_EARLY        observer lost  -DKWRITE -DBREAK_WRITER_EARLY
	MARK_CLEARED        observer lost  -DKWRITE -DBREAK_MARK_CLEARED
	FROZEN              observer lost  -DCUT -DBREAK_FROZEN
	PLAIN_CLEAR         tree lost  -DBREAK_PLAIN_CLEAR
	CLEAR_AFTER         tree lost  -DBREAK_CLEAR_AFTER
	TWO_CLEARERS        tree lost  -DBREAK_TWO_CLEARERS
	TWO_WORDS           tree lost  -DBREAK_TWO_WORDS
	PUT_BACK_LATE       tree lost  -DBREAK_PUT_BACK_LATE
	MARK_CLEARING       tree lost  -DBREAK_MARK_CLEARING
	MARK_DOWN           tree lost  -DBREAK_MARK_DOWN
	MARK_EARLY          tree lost  -DBREAK_MARK_EARLY
	MARK_SEEN           tree lost  -DBREAK_MARK_SEEN
	WALK_SET            tree lost  -DBREAK_WALK_SET
	EOT
}

long_configurations() {
	cat <<-EOT
	two-pages-partial-errors  sync clean -DNP=2 -DNW=1 -DPARTIAL=0 -DERRORS -DBATCHES
	two-pages-blind-errors    sync clean -DNP=2 -DNW=1 -DPARTIAL=1 -DBLIND -DERRORS
	two-pages-aliases-partial sync clean -DNP=2 -DNW=1 -DPARTIAL=0 -DTWO_MAPPINGS
	one-page-blind            sync clean -DNP=1 -DNW=2 -DALIAS -DPARTIAL=0 -DBLIND -DERRORS -DSTOP
	two-pages-discover        sync clean -DNP=2 -DNW=1 -DDISCOVER
	signals-partial           sync clean -DNP=1 -DNW=1 -DSIGNALS -DPARTIAL=0 -DERRORS -DSTOP
	EOT
}

# check NAME MODEL EXPECTED MACROS...: builds and runs one, prints its line.
check() {
	name=$1 model=$2 expected=$3
	shift 3
	mkdir -p "$work/$name" && cd "$work/$name" || return 1
	rm -f "$model.pml.trail" counterexample

	# Clean ones: depth first, invariants too. Broken ones: breadth first,
	# for the shortest counterexample. A thread that the handler stops has a
	# "provided" clause, under which partial order reduction is not sound.
	if [ "$expected" = clean ]; then
		set -- "$@" -DINVARIANTS
		flags="-O2 -DCOLLAPSE"
	else
		flags="-O1 -DBFS"
	fi
	case "$*" in
	*SIGNALS*) flags="$flags -DNOREDUCE" ;;
	esac

	begin=$(date +%s)
	{
		# shellcheck disable=SC2086 # flags are words
		spin "$@" -a "$here/$model.pml" &&
		${CC:-cc} -w -DSAFETY -DMEMLIM="$memory" $flags -o pan pan.c &&
		./pan -m"$depth"
	} >out 2>&1
	end=$(date +%s)

	if ! grep -q 'errors: [0-9]' out; then
		result=failed
	elif grep -q 'assertion violated' out; then
		result=lost
	elif grep -q 'invalid end state (' out; then
		result=hang
	elif grep -Eq 'not completed|too small|out of memory|reached -DMEMLIM' out ||
	    ! grep -q 'errors: 0' out; then
		result=incomplete
	else
		result=clean
	fi
	states=$(sed -n 's/^ *\([0-9.e+]*\) states, stored.*/\1/p' out)
	reached=$(sed -n 's/.*depth reached \([0-9]*\),.*/\1/p' out)

	verdict=ok
	[ "$result" = "$expected" ] || verdict=FAIL
	printf '%-4s %-26s expected %-5s  result %-10s %10s states  depth %7s  %3d s\n' \
	    "$verdict" "$name" "$expected" "$result" "${states:--}" "${reached:--}" \
	    $((end - begin))
	if [ $verdict = FAIL ]; then
		tail -n 30 out | sed 's/^/     | /'
	fi
	if [ -f "$model.pml.trail" ]; then
		spin -t -p -g -B -k "$model.pml.trail" "$@" "$here/$model.pml" \
		    >counterexample 2>&1
	fi
	rm -f pan pan.?
}

if [ "${1-}" = --check ]; then
	work=$2 memory=$3 depth=$4
	shift 4
	check "$@"
	exit
fi

for tool in spin "${CC:-cc}"; do
	if ! command -v "$tool" >/dev/null 2>&1; then
		echo "SKIP: $tool is missing: the models of the sync protocol are not checked"
		exit 77
	fi
done

if [ $# -gt 0 ]; then
	mkdir -p "$1" && work=$(cd "$1" && pwd) || exit 1
else
	work=$(mktemp -d "${TMPDIR:-/tmp}/dxs-model.XXXXXX") || exit 1
	trap 'rm -rf "$work"' EXIT
	trap 'exit 1' HUP INT TERM
fi

if [ "${DXS_MODEL_LONG:-0}" = 0 ]; then
	memory=2000 depth=4000000
	configurations >"$work/list.all"
else
	memory=10000 depth=40000000
	{ long_configurations; configurations; } >"$work/list.all"
fi
awk -v only="${DXS_MODEL_ONLY:-}" '$1 ~ only' "$work/list.all" >"$work/list"

begin=$(date +%s)
xargs -P "${DXS_MODEL_JOBS:-2}" -L 1 \
    sh "$self" --check "$work" "$memory" "$depth" <"$work/list" |
    tee "$work/results"
wanted=$(wc -l <"$work/list")
good=$(grep -c '^ok ' "$work/results")
echo "$good of $wanted as expected, $(($(date +%s) - begin)) s"
[ "$wanted" -gt 0 ] && [ "$good" -eq "$wanted" ]
