#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# cut.sh BUILD ENGINE POLICY FENCE SEED [OPTION...]
#
# One emulated power cut: lmdb_unicode overwrites a table again and again, is
# killed at the given fence (0: not at all), and what survived is opened and
# checked without the shim. OPTIONs go to `daxsync run`. POLICY `default` is the
# library's own. Prints one line:
#
#     OUTCOME ACKNOWLEDGED FENCES MISSED ENGINE POLICY FENCE SEED what was found
#
#   same     exactly the acknowledged commits survived
#   further  and the one in flight; `torn`: with a torn meta page
#   early    the cut came before anything was acknowledged: nothing to check
#   uncut    the program ended first; its file and the image hold everything
#   WRONG    what survived does not open, or an acknowledged commit is not right
#   ERROR    something else: an unexpected exit status, no image, a wrong file
#
# MISSED counts the verifier's reports (0 without --verify); FENCES is known
# only if the program was not cut. With KEEP=DIR the surviving file stays there;
# CUT_LINES and CUT_ROUNDS set the size of the work.
set -eu

build=$1 engine=$2 policy=$3 fence=$4 seed=$5
shift 5
lmdb_unicode=$build/bin/examples/lmdb_unicode
lines=${CUT_LINES:-1200} rounds=${CUT_ROUNDS:-3} batch=20 mapsize=8M # 180 commits
nr_ops=$((lines * rounds))

scratch=$(mktemp -d /dev/shm/daxsync-cut.XXXXXX)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 143' HUP INT TERM
mkdir "$scratch/db" "$scratch/survived" "$scratch/images"
table=$scratch/table
head -n "$lines" /usr/share/unicode/UnicodeData.txt >"$table"

acknowledged=-
fences=-
missed=0
finish() { # OUTCOME TEXT
	echo "$1 $acknowledged $fences $missed $engine $policy $fence $seed $2"
	if [ -n "${KEEP:-}" ]; then
		mkdir -p "$KEEP"
		cp -r "$scratch/." "$KEEP/"
	fi
	exit 0
}

check() { # DIR: sets $found
	"$lmdb_unicode" check "$1" "$table" "$acknowledged" "$batch" >"$scratch/check" 2>&1 || {
		found="status $?: $(tail -n 1 "$scratch/check")"
		return 1
	}
	found=$(cat "$scratch/check")
}

[ "$policy" = default ] || set -- --policy="$policy" "$@"
[ "$fence" = 0 ] || set -- --powercut="$fence:$seed" "$@"
status=0
"$build/bin/daxsync" run --emulate --engine="$engine" --image-dir="$scratch/images" --stats="$scratch/stats" "$@" -- \
	"$lmdb_unicode" churn "$scratch/db" "$table" "$rounds" $batch $mapsize >"$scratch/out" 2>"$scratch/err" || status=$?
acknowledged=$(sed -n 's/^committed //p' "$scratch/out" | tail -n 1)
acknowledged=${acknowledged:--}

set -- "$scratch"/images/data.mdb.*
[ ! -f "$1" ] || mv "$1" "$scratch/survived/data.mdb"
if [ -f "$scratch/stats" ]; then
	fences=$(jq .fences "$scratch/stats")
	missed=$(jq .missed_pages "$scratch/stats")
else
	missed=$(grep -c '^daxsync: MISSED PAGE' "$scratch/err") || true
fi

case $status in
137)
	[ "$fence" != 0 ] || finish ERROR 'killed, and not by us'
	[ "$acknowledged" != - ] || finish early 'no commit was acknowledged'
	[ -f "$scratch/survived/data.mdb" ] || finish ERROR 'no durable image'
	check "$scratch/survived" || finish WRONG "$found"
	case $found in
	*torn*) finish torn "$found" ;;
	*'not acknowledged'*) finish further "$found" ;;
	*) finish same "$found" ;;
	esac
	;;
0 | 120 | 122)
	[ "$status" -ne 122 ] || [ "$fence" != 0 ] || finish ERROR 'no power cut was asked for'
	[ "$acknowledged" = "$nr_ops" ] || finish ERROR "ended after $acknowledged of $nr_ops operations"
	[ -f "$scratch/survived/data.mdb" ] || finish ERROR 'no durable image'
	check "$scratch/db" || finish ERROR "the file itself: $found"
	check "$scratch/survived" || finish WRONG "$found"
	finish uncut "$found"
	;;
*)
	finish ERROR "exit status $status: $(tail -n 1 "$scratch/err")"
	;;
esac
