# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=sh
#
# lib.sh: what the client tests share. A client test reads it with
#
#     . "${0%/*}/lib.sh"
#     client_begin NAME "$@"      arguments of every test: [BUILD [ENGINE...]]
#     each_engine FUNCTION
#
# FUNCTION runs once for each engine, with a fresh directory on tmpfs as $work.
# In it, `shim PROGRAM ARGS...` runs a program with emulated persistent memory
# and the verifier on, `expect_served FILE` judges the statistics of all
# processes so far, and `figures TEXT` prints the line of figures. Reading back
# happens without the shim, from the file itself and, where the program has
# synced all it wrote, from the durable image (`find_image FILE`): what would be
# left had the power failed.
#
# Exit status: 0 passed, 1 failed, 77 something is missing (named).

# shellcheck source=tests/lib.sh
. "${tests_dir:-${0%/*}/..}/lib.sh"

default_engines='uffd mprotect'
# shellcheck disable=SC2034 # for those who read this file
unicode_table=/usr/share/unicode/UnicodeData.txt

need_file() { # FILE PACKAGE
	[ -r "$1" ] || skip "$1 is missing (package $2)"
}

need_built() { # FILE
	[ -x "$1" ] || skip "$1 was not built"
}

client_begin() { # NAME [BUILD [ENGINE...]]
	client=$1
	name=$client
	shift
	build=${1:-${0%/*}/../../build/release}
	[ $# -eq 0 ] || shift
	engines=${*:-$default_engines}
	[ -d "$build" ] || skip "no build directory $build"
	build=$(cd "$build" && pwd)
	daxsync=$build/bin/daxsync
	need_built "$daxsync"
	need jq jq
	[ -w /dev/shm ] || skip '/dev/shm is missing'
	scratch_begin /dev/shm
	# Programs that are killed leave something in the registry of writers.
	export DAXSYNC_REGISTRY="$scratch/registry"
	mkdir -m 1777 "$DAXSYNC_REGISTRY"
}

# A python3 that can import the module; the distribution's own comes first.
find_python() { # MODULE PACKAGE
	for python in /usr/bin/python3 python3; do
		if "$python" -c "import $1" 2>/dev/null; then
			return
		fi
	done
	skip "no python3 with the module $1 (package $2)"
}

# userfaultfd can be absent (a kernel without it, a container's filter). The
# syscall's number differs between machines; other machines than these just try.
has_userfaultfd() {
	case $(uname -m) in
	x86_64) number=323 ;;
	aarch64) number=282 ;;
	*) return 0 ;;
	esac
	for python in /usr/bin/python3 python3; do
		if command -v "$python" >/dev/null 2>&1; then
			"$python" -c "import ctypes, sys; sys.exit(ctypes.CDLL(None).syscall($number, 1) < 0)"
			return
		fi
	done
}

each_engine() { # FUNCTION
	nr_run=0
	for engine in $engines; do
		if [ "$engine" = uffd ] && ! has_userfaultfd; then
			echo "$client $engine: left out, userfaultfd is not to be had here"
			continue
		fi
		name="$client ($engine)"
		work=$scratch/work
		mkdir "$work" "$scratch/stats" "$scratch/images"
		"$1"
		rm -rf "$work" "$scratch/stats" "$scratch/images" "$scratch/out" "$scratch/err"
		nr_run=$((nr_run + 1))
	done
	name=$client
	[ "$nr_run" -gt 0 ] || skip "none of the engines: $engines"
}

# Runs a program under the shim; its output goes to $scratch/out and err.
# Options for this one test come in $shim_options.
shim_options=
shim_status() { # PROGRAM ARGS...: sets $status
	status=0
	# shellcheck disable=SC2086 # several words
	"$daxsync" run --emulate --verify --engine="$engine" --stats="$scratch/stats/%p.json" \
		--image-dir="$scratch/images" $shim_options -- "$@" >"$scratch/out" 2>"$scratch/err" || status=$?
	[ "$status" -ne 121 ] || status=0 # some only read; what has to be verified, expect_served tells
}

shim() { # PROGRAM ARGS...
	shim_status "$@"
	[ "$status" -ne 120 ] || fail "the verifier found a missed page: $*"
	[ "$status" -eq 0 ] || fail "exit status $status of: $*"
	if grep -q '^daxsync: MISSED PAGE' "$scratch/err"; then
		fail "a missed page is reported, but the exit status is 0: $*"
	fi
}

plain() { # PROGRAM ARGS...: the same without the shim
	"$@" >"$scratch/out" 2>"$scratch/err" || fail "exit status $? without the shim: $*"
}

# The durable image of a file, for one whose name occurs once in the run.
find_image() { # FILE: sets $image
	set -- "$1" "$scratch/images/${1##*/}".*
	if [ $# -ne 2 ] || [ ! -f "$2" ]; then
		fail "no single durable image of ${1##*/}, but: $(ls "$scratch/images")"
	fi
	# shellcheck disable=SC2034 # for the caller
	image=$2
}

sum() { # KEY: over all processes
	jq -s "map(.$1) | add // 0" "$scratch"/stats/*.json
}

# The file was tracked with the engine asked for, by an emulated mapping and no
# other, it was synced, and the verifier compared pages and missed none.
expect_served() { # FILE
	set -- "${1##*/}" "$scratch"/stats/*.json
	[ -f "$2" ] || fail 'no statistics were written'
	# shellcheck disable=SC2016 # jq's variables
	maps='[.[].mappings[] | select(.path | endswith("/" + $file))]'
	modes=$(jq -r -s --arg file "$1" "$maps | map(.mode) | unique | join(\" \")" "$scratch"/stats/*.json)
	# `any` stands where a file has changed its mode
	used=$(jq -r -s --arg file "$1" "$maps | map(.engine) - [\"any\"] | unique | join(\" \")" "$scratch"/stats/*.json)
	[ -n "$modes" ] || fail "no mapping of $1 in the statistics"
	[ "$modes" = "${expected_modes:-emulated}" ] || fail "mappings of $1 had the modes: $modes"
	case $engine:$used in
	auto:* | "$engine:$engine") ;;
	*) fail "asked for the engine $engine, $1 was tracked by: $used" ;;
	esac
	[ "$(sum syncs)" -gt 0 ] || fail 'no sync was counted'
	[ "$(sum verified_pages)" -gt 0 ] || fail 'the verifier compared nothing'
	[ "$(sum missed_pages)" -eq 0 ] || fail "missed pages: $(sum missed_pages)"
}

figures() { # TEXT
	# jq's own arithmetic: the largest p50 and p99 of the processes, in microseconds
	numbers=$(jq -r -s '
		def total(f): map(f) | add // 0;
		def us(f): (map(f) | max // 0) / 100 | floor / 10;
		"mapped \([.[].mappings[] | select(.mode == "emulated") | .bytes] | add // 0 | . / 1048576 | floor) MiB, " +
		"\(total(.syncs)) syncs (p50 \(us(.sync_ns.p50)) us, p99 \(us(.sync_ns.p99)) us), " +
		"\(total(.traps)) traps, \(total(.pages_flushed)) pages flushed, " +
		"\(total(.verified_pages)) verified, \(total(.missed_pages)) missed"' "$scratch"/stats/*.json)
	echo "$client $engine: $*; $numbers"
}
