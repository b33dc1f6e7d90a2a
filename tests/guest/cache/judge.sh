#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# judge.sh [-c LEAST] [-m MOST] [-s SEED] BUILD KERNEL: whether the simulation of the CPU's caches tells right programs from
# wrong ones, and the library from builds of it that were made wrong. The ways of judge.c run in one guest on device DAX,
# those of the library after the others and one by one. Again and again the guest stands still, and what the power would leave at that
# moment is looked at. A right one must have lost nothing in LEAST moments (10), a wrong one something within MOST (100).
set -eu
tests_dir=${0%/*}/../..
# shellcheck source=tests/guest/lib.sh
. "${0%/*}/../lib.sh"
least=10 most=100 seed=1
while getopts c:m:s: option; do
	case $option in
	c) least=$OPTARG ;;
	m) most=$OPTARG ;;
	s) seed=$OPTARG ;;
	*) exit 2 ;;
	esac
done
shift $((OPTIND - 1))
[ $# -eq 2 ] || fail 'usage: judge.sh [-c LEAST] [-m MOST] [-s SEED] BUILD KERNEL'
guest_begin "$1" "$2"
here=${here%/cache}
judge=$build/bin/tests/guest_judge
[ -d "$build/lib/broken" ] || skip 'patch was missing when the build was configured (package patch)'
own='right right-locked right-non-temporal no-fence fence-first other-line no-flush non-temporal-no-fence'
library='daxsync daxsync-no-flush daxsync-flush-first'

scratch=$(mktemp -d "$guest/judge.XXXXXX")
trap 'rm -rf "$scratch"' EXIT
trap 'exit 143' HUP INT TERM
cat >"$scratch/job" <<'JOB'
for way in $1; do
	guest_judge run "$way" &
done
guest_judge wait $1 >/dev/ttyS2
wait
for way in $2; do
	broken=${way#daxsync}
	LD_LIBRARY_PATH=$BUILD/lib${broken:+/broken/${broken#-}} \
		"$BUILD/bin/daxsync" run --strict -- guest_judge run "$way" || exit 1
done
JOB
# What has a moment left? Goes on with 0.
cat >"$scratch/moment" <<'MOMENT'
set -eu
scratch=${0%/*}
. "$scratch/settings"
mkdir -p "$scratch/left"
for file in dax.img dax.img.durable pending; do
	cp --sparse=always "$scratch/images/$file" "$scratch/left/$file"
done
echo >>"$scratch/moments"
nr=$(wc -l <"$scratch/moments")
"$cut" $((seed + nr)) "$scratch/left/pending" 3:$((2 << 20)):8192 - - - "$scratch/left/dax.img" >>"$scratch/cuts"
"$judge" check "$scratch/left/dax.img" $own $library | grep -v ': 0 operations' >>"$scratch/all"

nr_of() { # WAY [LOST]: the moments that it has got to since the last one
	sed -n "s/^$1: \([0-9]*\) operations done, ${2:-[0-9]*} lost/\1/p" "$scratch/all" | sort -u | wc -l
}
settled() { # WAY
	case $1 in
	right* | daxsync) [ "$(nr_of "$1")" -ge "$least" ] ;;
	*) [ "$(nr_of "$1" '[1-9][0-9]*')" -gt 0 ] ;;
	esac || [ "$(nr_of "$1")" -ge "$most" ]
}
go_on=1
for way in $own $library; do
	if settled "$way"; then
		"$judge" stop "$scratch/images/dax.img" "$way"
		continue
	fi
	go_on=0
	# The library lets nobody else write a device that it has: one after the other.
	case $way in
	daxsync*) break ;;
	esac
done
exit "$go_on"
MOMENT
cat >"$scratch/settings" <<SETTINGS
judge='$judge' cut='$build/bin/tests/guest_cut' least=$least most=$most seed=$seed own='$own' library='$library'
SETTINGS
: >"$scratch/all"
status=0
sh "$here/run.sh" -n -w -t 1500 -c 0.2 -m "sh $scratch/moment" -i "$scratch/images" -p "$judge" "$build" "$kernel" \
	"$scratch/job" "$own" "$library" || status=$?
[ "$status" -eq 137 ] || skip_or_fail "$status"

echo "$(wc -l <"$scratch/moments") moments of kernel $(cat "$guest/version"), seed $seed:"
awk '
	{ name = $1; sub(":", "", name) }
	done[name] == $2 { next } # not got on since
	{ done[name] = $2; moments[name]++; if ($5 > 0) { seen[name]++; lost[name] += $5 } }
	END {
		for (name in done) {
			is_right = name ~ /^right/ || name == "daxsync"
			bad = is_right ? seen[name] > 0 : !seen[name]
			failed += bad
			printf "  %-24s %10d operations, lost at %3d of %3d moments %8d records%s\n", name, done[name],
				seen[name], moments[name], lost[name], bad ? is_right ? ": WRONG" : ": NOT SEEN" : ""
		}
		exit failed > 0
	}' "$scratch/all"
