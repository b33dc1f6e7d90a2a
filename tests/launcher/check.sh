#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# check.sh [BUILD]: what `daxsync check` says of the machine and of places, and
# its exit status.
set -eu

# shellcheck source=tests/launcher/lib.sh
. "${0%/*}/lib.sh"
launcher_begin check "$@"

# The machine.
status=0
"$daxsync" check -v >"$scratch/out" 2>"$scratch/err" || status=$?
[ "$status" -le 1 ] || fail "exit status $status"
says_nothing
prints "$(uname -r)"
for line in kernel userfaultfd 'flush instruction' libpmem2 libunwind vm.max_map_count; do
	prints "  $line"
done
grep -Eq '^  (PAGEMAP_SCAN|/proc/self/pagemap) ' "$scratch/out" || fail 'nothing about page tables'
grep -Eq '^  (persistent memory|persistence domain|write cache) ' "$scratch/out" ||
	fail 'nothing about persistent memory'
case $status in
0) prints '  conclusion              stores can be tracked here' ;;
1) prints '  conclusion              stores cannot be tracked here: ' ;;
esac
if grep -q '^flags.* clwb' /proc/cpuinfo; then
	prints 'flush instruction       clwb'
fi

# Places. A machine with persistent memory is not expected here; in emulation
# tmpfs is served if the machine can track stores at all.
can_track=$status
[ -w /dev/shm ] || skip '/dev/shm is missing'
memory=$(mktemp -d /dev/shm/daxsync-check.XXXXXX)
trap 'rm -rf "$memory"; scratch_end' EXIT
head -c 10000 /dev/zero >"$memory/file"
for place in "$memory" "$memory/file"; do
	run 1 "$daxsync" check -v "$place"
	prints '  file system             tmpfs at /dev/shm'
	prints '  DAX                     no'
	prints '  MAP_SYNC                refused'
	prints '  mode                    pass'
	prints '  with DAXSYNC_EMULATE=1  '
	prints '  conclusion              out of reach: '
	run "$can_track" "$daxsync" check -v --emulate "$place"
	DAXSYNC_EMULATE=1 run "$can_track" "$daxsync" check -v "$place"
	DAXSYNC_EMULATE=0 run 1 "$daxsync" check -v "$place"
done

# What keeps the library from serving in a run is what check names.
compile "$source/tests/launcher/mapper.c" "$scratch/mapper"
registry_refused() { # DIRECTORY REASON
	DAXSYNC_REGISTRY=$1 run 1 "$daxsync" check -v --emulate "$memory"
	prints "  with DAXSYNC_EMULATE=1  kernel: the $2"
	DAXSYNC_REGISTRY=$1 run 0 "$daxsync" run --emulate -- "$scratch/mapper" "$memory/mapped"
	sed -i '/^daxsync: emulated persistent memory /d' "$scratch/err"
	says "the $2"
	run 125 "$daxsync" run --registry="$1" true
	rm -f "$memory/mapped"
}
if [ "$can_track" -eq 0 ]; then
	registry_refused "$scratch/none" 'directory of the registry of writers does not exist'
	registry_refused /dev/null 'directory of the registry of writers cannot be used'
	registry_refused /proc 'registry of writers cannot be used'
	mkdir -m 777 "$scratch/open"
	chmod 777 "$scratch/open"
	registry_refused "$scratch/open" 'directory of the registry of writers belongs to others, or others can rename files there'
fi
if unshare -m true 2>/dev/null; then
	without_proc() { # STATUS COMMAND...
		wanted=$1
		shift
		# shellcheck disable=SC2016 # the inner shell's variables
		run "$wanted" unshare -m sh -c 'umount -l /proc && exec "$@"' sh "$@"
	}
	without_proc 1 "$daxsync" check -v
	prints 'stores cannot be tracked here: /proc/self/pagemap cannot be opened'
	without_proc 0 "$daxsync" run --emulate --engine=mprotect --stats="$scratch/stats" -- "$scratch/mapper" \
		"$memory/mapped"
	grep -q '/proc/self/pagemap cannot be opened' "$scratch/stats" || fail "the reason: $(cat "$scratch/stats")"
	without_proc 125 "$daxsync" stat 1
	says '/proc is not mounted'
	rm -f "$memory/mapped"
else
	echo "$name: left out: no /proc (no mount namespaces)"
fi

# It leaves nothing behind and changes nothing.
equals 'the directory' "$(ls -A "$memory")" file
before=$(stat -c '%s %Y %Z' "$memory/file")
sleep 0.01
run 1 "$daxsync" check -v "$memory/file"
equals 'the file' "$(stat -c '%s %Y %Z' "$memory/file")" "$before"

# One that cannot be served makes the whole answer no.
run 0 "$daxsync" check -v sh
run 1 "$daxsync" check -v sh "$memory"
run 1 "$daxsync" check -v "$memory" sh
equals 'the arguments' "$(grep -c '^  conclusion ' "$scratch/out")" 3

# By default one line for each, and of the machine only if nothing else is asked for.
run 1 "$daxsync" check "$memory" sh
equals 'the lines' "$(wc -l <"$scratch/out")" 2
prints "$memory: out of reach: not on persistent memory"
grep -Eq '^/.*/sh: can be served$' "$scratch/out" || fail 'no verdict on sh'
run "$can_track" "$daxsync" check
equals 'the lines' "$(wc -l <"$scratch/out")" 1
prints 'this machine: stores can'

# The same as JSON.
if command -v jq >/dev/null 2>&1; then
	run 1 "$daxsync" check --json "$memory" sh
	jq -e --arg memory "$memory" 'map(.subject) | .[0] == "this machine" and .[1] == $memory and (.[2] | endswith("/sh"))' \
		"$scratch/out" >/dev/null || fail 'not these subjects'
	jq -e '.[1].served == false and .[2].served == true and .[2].conclusion == "can be served"' "$scratch/out" >/dev/null ||
		fail 'not these verdicts'
	jq -r '.[] | .facts[] | "\(.name)  \(.text)"' "$scratch/out" >"$scratch/facts"
	"$daxsync" check -v "$memory" sh >"$scratch/verbose" || true
	equals 'the number of facts' "$(wc -l <"$scratch/facts")" "$(grep '^  ' "$scratch/verbose" | grep -vc '^  conclusion ')"
	mkdir "$memory/$(printf 'a\033"\n\377')"
	run 1 "$daxsync" check --json "$memory"/a*
	jq -e '.[1].subject | endswith("/a\u001b\"\n\ufffd")' "$scratch/out" >/dev/null || fail 'not this name'
	rmdir "$memory"/a*
	status=0
	"$daxsync" check --json >/dev/full 2>"$scratch/err" || status=$?
	equals 'the status where nothing can be written' "$status" 125
	says 'the output cannot be written'
else
	echo "$name: left out: --json (jq is missing)"
fi

# What is no place at all.
mkfifo "$scratch/fifo"
run 1 timeout 10 "$daxsync" check -v "$scratch/fifo"
prints 'neither a regular file nor a directory nor a DAX device'
run 1 "$daxsync" check -v /dev/null
prints 'neither a regular file nor a directory nor a DAX device'
run 1 "$daxsync" check -v "$scratch/none"
prints 'out of reach: No such file or directory'
run 1 "$daxsync" check -v no-such-program
prints 'out of reach: No such file or directory'
run 1 "$daxsync" check -v ''
run 1 "$daxsync" check -v -- --help
prints '--help'
run 1 "$daxsync" check -v /proc
run 1 "$daxsync" check -v /proc/self/status

# An executable file that is neither ELF nor a script is data.
echo data >"$memory/data"
chmod 755 "$memory/data"
run 1 "$daxsync" check -v "$memory/data"
prints '  mode                    pass'

# Another user.
if [ "$(id -u)" -eq 0 ]; then
	chmod 755 "$memory" "$scratch"
	as_nobody() { # STATUS ARGUMENT...
		expected_status=$1
		shift
		run "$expected_status" setpriv --reuid=65534 --regid=65534 --clear-groups --bounding-set=-all \
			--inh-caps=-all -- "$@"
	}
	as_nobody 1 "$daxsync" check -v "$memory"
	prints 'out of reach: Permission denied'
	as_nobody 1 "$daxsync" check -v "$memory/file"
	prints 'out of reach: you may not write this file'
	chmod 600 "$memory/file"
	as_nobody 1 "$daxsync" check -v "$memory/file"
	prints 'out of reach: Permission denied'
	# No engine needs a privilege.
	said=$("$daxsync" check -v | grep '^  userfaultfd ')
	as_nobody "$can_track" "$daxsync" check -v
	prints "$said"
fi

# What a terminal would obey is not shown.
mkdir "$memory/$(printf 'a\033[31m\302\233\342\200\256\377')"
run 1 "$daxsync" check -v "$memory"/a*
prints "$memory/a?[31m???"
run 1 "$daxsync" check -v --emulate "$(printf 'no\302\205such')"
prints 'no?such'
rmdir "$memory"/a*

# Settings count, and a wrong one is one line.
DAXSYNC_ENGINE=ufd run "$can_track" "$daxsync" check -v
says 'DAXSYNC_ENGINE: not one of'
passed
