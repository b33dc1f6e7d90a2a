#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# run.sh [-t SECONDS] BUILD [NAME...]: builds the fuzz targets in BUILD/fuzz and runs each, or those named: with its corpus
# and a fixed number of inputs from a fixed seed, or for so many seconds from a new one. The target `api` has two names,
# api_uffd and api_mprotect. What a target finds is kept in BUILD/fuzz/found; `BUILD/fuzz/fuzz_NAME FILE` runs it again, from
# an empty directory.
#
# Exit status: 0 nothing was found; 1 something was; 77 something is missing (named).
set -eu
usage() {
	echo 'usage: run.sh [-t SECONDS] BUILD [NAME...]' >&2
	exit 2
}
# shellcheck source=tests/lib.sh
. "${0%/*}/../lib.sh"
name=fuzz

seconds=
while getopts t: option; do
	case $option in
	t) seconds=$OPTARG ;;
	*) usage ;;
	esac
done
shift $((OPTIND - 1))
[ -d "${1:-}" ] || usage
here=$(cd "${0%/*}" && pwd)
fuzz=$(cd "$1" && pwd)/fuzz
shift
[ $# -gt 0 ] || set -- config elf json jsonread log pattern proc stats writers api_uffd api_mprotect
target_of() { # NAME
	echo "${1%_*}"
}
for name; do
	[ -d "$here/corpus/$(target_of "$name")" ] || usage
done

command -v clang >/dev/null 2>&1 || skip 'clang is missing (package clang)'
echo 'int LLVMFuzzerTestOneInput(void) { return 0; }' |
	clang -fsanitize=fuzzer,address,undefined -x c - -o /dev/null 2>/dev/null ||
	skip 'clang has no libFuzzer or no sanitizers (package libclang-rt-dev)'
[ -w /dev/shm ] || skip '/dev/shm is missing'

scratch=$(mktemp -d /dev/shm/daxsync-fuzz.XXXXXX)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# Several tests may come at once: the first builds the library.
built() { # NAME...
	flock 9
	cmake -S "$here" -B "$fuzz" -DCMAKE_C_COMPILER=clang || return
	for name; do
		cmake --build "$fuzz" -j "$(nproc)" --target "fuzz_$(target_of "$name")" || return
	done
}
mkdir -p "$fuzz/found"
if ! built "$@" >"$scratch/build.log" 2>&1 9>"$fuzz/lock"; then
	tail -n 40 "$scratch/build.log"
	echo 'FAIL: fuzz: the targets do not build'
	exit 1
fi

# How many inputs take some seconds.
runs_of() { # TARGET
	case $1 in
	log | pattern) echo 100000 ;;
	elf | proc) echo 30000 ;;
	config | json | jsonread) echo 10000 ;;
	writers) echo 6000 ;;
	stats) echo 2000 ;;
	api) echo 1000 ;;
	*) return 1 ;;
	esac
}

fuzzed() { # NAME
	target=$(target_of "$1")
	engine=${1#"$target"}
	engine=${engine#_}
	if [ -n "$seconds" ]; then
		set -- "$1" "-max_total_time=$seconds"
	else
		set -- "$1" -seed=1 "-runs=$(runs_of "$target")"
	fi
	dir=$scratch/$1
	mkdir "$dir" "$dir/corpus" "$dir/cwd"
	name=$1
	shift
	status=0
	(cd "$dir/cwd" && DAXSYNC_ENGINE=$engine exec "$fuzz/fuzz_$target" \
		-timeout=60 -rss_limit_mb=2048 -max_len=8192 -print_final_stats=1 "-artifact_prefix=$fuzz/found/$name-" "$@" \
		"$dir/corpus" "$here/corpus/$target") >"$dir/log" 2>&1 || status=$?
	if [ "$status" -eq 0 ]; then
		echo "PASS $name: $(sed -n 's/^stat::number_of_executed_units: *//p' "$dir/log") inputs"
	elif grep -q '^SKIP: ' "$dir/log"; then
		grep '^SKIP: ' "$dir/log"
		exit 77
	else
		tail -n 60 "$dir/log" | cut -c 1-300
		echo "FAIL $name: see above"
		failed=1
	fi
}

failed=0
for name; do
	fuzzed "$name"
done
exit "$failed"
