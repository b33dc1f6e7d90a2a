#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# promises.sh POLICY BROKEN K/N [CASE...]: the guest's part of ../promises.sh. The conformance suite on each kind of DAX,
# every N-th case from number K on; or these cases. BROKEN is the build of the library below lib/broken, "." for the right
# one, or "kernel" for none.
# Exit status: 0; 1 if a case fails under the right library and the policy that it is written for.
set -eu
policy=$1 broken=$2 part=$3
shift 3
conformance=$BUILD/bin/tests/guest_conformance
[ "$broken" = . ] || [ "$broken" = kernel ] || export LD_LIBRARY_PATH="$BUILD/lib/broken/$broken"
# The cases that use up all the mappings a process may have would take minutes.
echo 2048 >/proc/sys/vm/max_map_count

run() { # ARGUMENT-OF-CONFORMANCE...
	if [ "$broken" = kernel ]; then
		"$conformance" -s "$@"
	else
		"$BUILD/bin/daxsync" run --policy="$policy" -- "$conformance" -s "$@"
	fi
}

failed=
places='ext4 xfs ext2 device'
[ "$broken" != kernel ] || places='ext4 xfs ext2' # the kernel has no msync for a device
for place in $places; do
	where="directory -d /mnt/$place"
	[ "$place" != device ] || where="device -d $(readlink /dev/dax)"
	if [ $# -gt 0 ]; then
		cases=$*
	else
		# shellcheck disable=SC2086 # several words
		# No sync promises what another thread's write(2) stores meanwhile.
		cases=$("$conformance" -l -m tmpfs | awk -v part="$part" \
			'split(part, of, "/") && (NR - 1) % of[2] == of[1] && $2 != "write_beside_msync" { print $2 }')
	fi
	echo "on $place:"
	status=0
	# shellcheck disable=SC2086 # several words
	run -m $where $cases || status=$?
	case $status in
	0 | 77) ;;
	*) failed=1 ;;
	esac
done
[ -z "$failed" ] || [ "$policy$broken" != always-close. ] || exit 1
