# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=sh
#
# shellcheck disable=SC2154 # build, scratch and others come from there
#
# lib.sh: what the tests of neighbours share. It stands on the launcher tests'
# lib.sh, which the test reads first:
#
#     neighbours_begin NAME "$@"    arguments of every test: [BUILD [ENGINE...]]
#
# $file is a file on tmpfs. `shim STATUS COMMAND...` runs a command emulated and
# verified with $engine; `tracked` and `untracked` judge its statistics.

neighbours_end() {
	rm -rf "$memory"
	scratch_end
}

neighbours_begin() { # NAME [BUILD [ENGINE...]]
	launcher_begin "$1" ${2+"$2"}
	[ $# -lt 2 ] || shift
	shift
	engines=${*:-uffd mprotect}
	need jq jq
	[ -w /dev/shm ] || skip '/dev/shm is missing'
	memory=$(mktemp -d "/dev/shm/daxsync-$name.XXXXXX")
	trap neighbours_end EXIT
	# shellcheck disable=SC2034 # for those who read this file
	file=$memory/file
	export DAXSYNC_REGISTRY="$memory/registry"
	mkdir "$memory/registry" "$memory/images"
	# shellcheck disable=SC2034 # for those who read this file
	preload=$build/lib/libdaxsync-preload.so
}

each_engine() { # FUNCTION
	nr_run=0
	"$daxsync" check -v >"$memory/check" 2>&1 || true
	for engine in $engines; do
		if [ "$engine" = uffd ] && ! grep -q '^  userfaultfd  *granted' "$memory/check"; then
			echo "$name $engine: left out, userfaultfd is not to be had here"
			continue
		fi
		"$1"
		nr_run=$((nr_run + 1))
	done
	[ "$nr_run" -gt 0 ] || skip "none of the engines: $engines"
}

shim() { # STATUS COMMAND...
	rm -rf "$memory"/stats.* "$memory"/images/*
	shim_status=$1
	[ "$shim_status" -ne 0 ] || shim_status='0|121' # whether something had to be verified, `tracked` tells
	shift
	run "$shim_status" "$daxsync" run --emulate --verify --engine="$engine" --stats="$memory/stats.%p" \
		--image-dir="$memory/images" -- "$@"
	! grep -q 'MISSED PAGE' "$scratch/err" || fail "a missed page: $*"
}

tracked() { # WHAT
	jq -e -s 'map(select(.mappings | length > 0)) | length > 0 and
		all(.mappings[0].mode == "emulated" and .syncs > 0 and .verified_pages > 0 and .missed_pages == 0) and
		(map(.traps) | add) > 0' "$memory"/stats.* >/dev/null || fail "$1 ($engine): not tracked: $(cat "$memory"/stats.*)"
}
