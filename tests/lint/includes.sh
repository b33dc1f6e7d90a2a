#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# includes.sh: includes point one way. A file may include headers of its own
# layer and of those above it in this table, never of a later one.
set -eu

# shellcheck source=tests/lint/lib.sh
. "${0%/*}/lib.sh"
lint_begin includes "$@"

# Layer, modules of lib/.
layers='
1 sys behind space utf8 lock log pattern config json stats observer fault fd alloc diag pagemap strangers vma detached budget sigmask writers bitmap foreign near filter cells index action
2 tree group mapping file kept history due
3 engine engine_uffd engine_mprotect look trap signals flush flush_pmem2 image image_walk run powercut peek
4 policy verify sync mode calls pin
5 fork track change remap protect advise seal api
'
# What goes against the direction, with its reason.
exceptions='
file:image	who lets the last mapping of a file go also closes its image
'

# What must stand on its own.
alone='
tree:sys,space
space:sys
sys:
utf8:
pattern:
'

layer_of() { # MODULE
	echo "$layers" | awk -v module="$1" '{ for (i = 2; i <= NF; i++) if ($i == module) print $1 }'
}

# The modules of lib/ that a file includes.
included_by() { # FILE
	sed -n 's/^#include "\([a-z0-9_]*\)\.h".*/\1/p' "$1"
}

sources lib -- -name '*.c' -o -name '*.h' >"$scratch/files"
while read -r file; do
	module=${file##*/}
	module=${module%.*}
	layer=$(layer_of "$module")
	if [ -z "$layer" ]; then
		complain "$file: give $module a place in the table of this test"
		continue
	fi
	for other in $(included_by "$file"); do
		[ -e "lib/$other.h" ] || {
			complain "$file includes $other.h, which is not in lib/"
			continue
		}
		other_layer=$(layer_of "$other")
		[ "${other_layer:-0}" -le "$layer" ] || echo "$exceptions" | grep -q "^$module:$other	" ||
			complain "$file (layer $layer) includes $other.h (layer $other_layer)"
	done
done <"$scratch/files"

for line in $alone; do
	module=${line%%:*}
	allowed=${line#*:}
	for file in "lib/$module.c" "lib/$module.h"; do
		[ -e "$file" ] || continue
		for other in $(included_by "$file"); do
			[ "$other" = "$module" ] || echo ",$allowed," | grep -q ",$other," ||
				complain "$file includes $other.h, but has to compile alone"
		done
	done
done

# Everything in the table exists, so that the table stays true.
for module in $(echo "$layers" | cut -d' ' -f2-); do
	[ -e "lib/$module.c" ] || [ -e "lib/$module.h" ] ||
		complain "the table of this test names $module, which is not in lib/"
done
lint_end "$(wc -l <"$scratch/files") files"
