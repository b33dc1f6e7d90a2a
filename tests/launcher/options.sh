#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# options.sh [BUILD]: options are checked before anything starts and become
# environment variables; a wrong one is one line and status 125.
set -eu

# shellcheck source=tests/launcher/lib.sh
. "${0%/*}/lib.sh"
launcher_begin options "$@"

# Help and version.
run 0 "$daxsync" --help
prints 'Usage: daxsync run'
says_nothing
run 0 "$daxsync" --version
grep -Eq '^daxsync [0-9]+\.[0-9]+' "$scratch/out" || fail 'no version'
run 0 "$daxsync" run --help
for option in emulate engine policy verify powercut image-dir registry stats strict log include exclude; do
	prints "  --$option"
done
for variable in EMULATE ENGINE POLICY VERIFY POWERCUT IMAGE_DIR REGISTRY STATS STRICT LOG INCLUDE EXCLUDE; do
	prints "[DAXSYNC_$variable"
done
prints 'default auto]'
run 0 "$daxsync" check --help
prints 'Usage: daxsync check'
for option in --verbose --json --emulate; do
	prints "  $option"
done
run 125 "$daxsync"
grep -q '^Usage: ' "$scratch/err" || fail 'no usage'
run 125 "$daxsync" walk
says '"walk" is no command of daxsync'
run 125 "$daxsync" check --all
says '--all is no option of "daxsync check"'
# shellcheck disable=SC2016 # the inner shell's variables
run 125 sh -c '"$1" --help >/dev/full' sh "$daxsync"
says 'No space left on device'

# Wrong options: the program is not started.
refused() { # TEXT OPTION...
	text=$1
	shift
	run 125 "$daxsync" run "$@" touch "$scratch/started"
	says "$text"
	[ ! -e "$scratch/started" ] || fail 'the program was started all the same'
}
refused '--engine=ufd: not one of auto|uffd|mprotect' --engine=ufd
refused '--engine=ufd: not one of auto|' --engine ufd
refused '--engine needs a value: auto|' --engine=
refused '--engine needs a value: auto|' --engine ''
refused '--policy=sometimes: not one of' --policy=sometimes
refused '--log=loud: not one of error|warn|info|debug' --log=loud
refused '--emulate takes no value' --emulate=1
refused '--powercut=0: not N or N:SEED' --emulate --powercut=0
refused '--powercut=1:x: not N or N:SEED' --emulate --powercut=1:x
refused '--powercut needs --emulate' --powercut=5
refused 'DAXSYNC_FAULT=no-such-fault: no such fault' --emulate --fault=no-such-fault
refused '--verfy is no option of "daxsync run"' --verfy
refused '-v is no option' -v
refused '--=x is no option' --=x
refused '--image-dir=/dev/null/images: Not a directory' --image-dir=/dev/null/images
refused '--image-dir=/dev/null: Not a directory' --image-dir=/dev/null
refused "--image-dir=$scratch/no/such: No such file or directory" --image-dir="$scratch/no/such"
refused '--registry=/dev/null: the directory of the registry of writers cannot be used' --registry=/dev/null
refused "--registry=$scratch/registry: the directory of the registry of writers does not exist" --registry="$scratch/registry"
[ ! -e "$scratch/registry" ] || fail 'a registry was made: writers with another one do not see each other'
DAXSYNC_EMULATE=0 refused '--powercut needs --emulate' --powercut=5
run 125 "$daxsync" run
says 'no program is given'
run 125 "$daxsync" run --emulate --
says 'no program is given'
run 125 "$daxsync" run --stats
says '--stats needs a value: FILE'
refused '--stats needs a value: FILE' --stats --
refused '--stats needs a value: FILE' --stats --emulate
refused "$(printf -- '--stat?s is no option')" "$(printf -- '--stat\302\205s')"

# What the program finds in its environment.
in_environment() { # VARIABLE EXPECTED OPTION...
	variable=$1
	expected_value=$2
	shift 2
	# shellcheck disable=SC2016 # the inner shell's variable
	equals "$variable" "$("$daxsync" run "$@" -- sh -c 'eval "echo \"\$$1\""' sh "$variable" 2>/dev/null)" \
		"$expected_value"
}
in_environment DAXSYNC_EMULATE 1 --emulate
in_environment DAXSYNC_ENGINE mprotect --engine mprotect
in_environment DAXSYNC_ENGINE uffd --engine=mprotect --engine=uffd
in_environment DAXSYNC_POLICY never-close --policy=never-close
in_environment DAXSYNC_POLICY kernel --policy=kernel
in_environment DAXSYNC_STRICT 1 --strict
in_environment DAXSYNC_LOG debug --log=debug
in_environment DAXSYNC_INCLUDE '/data/*:/mnt/*' --include='/data/*:/mnt/*'
in_environment DAXSYNC_EXCLUDE '*.tmp' --exclude '*.tmp'
in_environment DAXSYNC_STATS /var/tmp/%p.json --stats=/var/tmp/%p.json
in_environment DAXSYNC_STATS - --stats=-
in_environment DAXSYNC_VERIFY 1 --emulate --verify
in_environment DAXSYNC_ENGINE '' --emulate
export DAXSYNC_ENGINE=mprotect
in_environment DAXSYNC_ENGINE mprotect --emulate
in_environment DAXSYNC_ENGINE uffd --engine=uffd
unset DAXSYNC_ENGINE

# A relative path holds for children in other directories too.
cd "$scratch"
here=$(pwd -P)
in_environment DAXSYNC_STATS "$here/stats.json" --stats=stats.json
mkdir registry
in_environment DAXSYNC_REGISTRY "$here/registry" --registry=registry
in_environment DAXSYNC_IMAGE_DIR "$here/images" --image-dir=images
[ -d images ] || fail 'the image directory was not made'
in_environment DAXSYNC_IMAGE_DIR "$here/images" --image-dir=images

# An option that follows the program is the program's.
equals 'the argument' "$("$daxsync" run echo --emulate)" --emulate
passed
