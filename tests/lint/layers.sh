#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# layers.sh [BUILD]: the folders of lib/ are its layers. A file includes headers of its own folder and of those below it,
# never of a higher one, and no object needs a symbol that a higher folder defines.
set -eu

# shellcheck source=tests/lint/lib.sh
. "${0%/*}/lib.sh"
lint_begin layers "$@"

# From the lowest to the highest; "." is lib/ itself. "emulate" is a library of its own, which may not be there.
layers='base proc report signal flush tree writers file core engine call space process . emulate'
# What compiles with these modules only: a reader can take it as it is.
alone='
tree/tree:base/sys,base/space,base/witness
base/space:base/sys
base/sys:
base/utf8:
base/pattern:
'

# Lines "FILE OTHER HOW", one for each include or symbol that leads from one file below lib/ to another.
includes() {
	sources lib -- -name '*.c' -o -name '*.h' | xargs grep -H '^#include "' | sed 's/^lib\/\([^:]*\):#include "\([^"]*\)".*/\1 \2/' |
		grep -v ' daxsync/' | sed 's/ \(.*\)/ \1 includes \1/'
}

# Of objects whose source is still there.
objects() {
	find "$build/lib" -path '*/daxsync*-objects.dir/*' -name '*.c.o' 2>/dev/null | while read -r object; do
		file=${object##*-objects.dir/}
		[ ! -e "lib/${file%.o}" ] || echo "$object"
	done
}

symbols() {
	objects | xargs nm -A 2>/dev/null | sed 's/^[^:]*-objects\.dir\/\([^:]*\)\.o:/\1 /' | awk '
		$(NF - 1) == "U" { need[++n] = $NF; by[n] = $1; next }
		$(NF - 1) ~ /^[BCDRTVW]$/ { home[$NF] = $1 }
		END {
			for (i = 1; i <= n; i++)
				if (need[i] in home && home[need[i]] != by[i])
					print by[i], home[need[i]], "needs", need[i], "of", home[need[i]]
		}'
}

includes >"$scratch/includes"
while read -r file header _; do
	[ -e "lib/$header" ] || complain "lib/$file includes $header, which is not there"
done <"$scratch/includes"
symbols >"$scratch/symbols"
[ -s "$scratch/symbols" ] || skip "$build holds no objects of lib/"
for folder in $(find lib -mindepth 1 -maxdepth 1 -type d | sed 's/.*\///' | sort); do
	echo " $layers " | grep -q " $folder " || complain "lib/$folder has no place in the list of layers"
done
sort -u "$scratch/includes" "$scratch/symbols" | awk -v layers="$layers" '
	function folder(file) { return file ~ /\// ? substr(file, 1, index(file, "/") - 1) : "." }
	BEGIN { for (i = split(layers, list, " "); i; i--) rank[list[i]] = i }
	rank[folder($2)] > rank[folder($1)] {
		$2 = ""
		print
	}' >"$scratch/wrong"
while read -r line; do
	complain "lib/$line, which is of a higher layer"
done <"$scratch/wrong"

for line in $alone; do
	module=${line%%:*}
	grep "^$module\.[ch] " "$scratch/includes" | while read -r file header _; do
		other=${header%.h}
		[ "$other" = "$module" ] || echo ",${line#*:}," | grep -q ",$other," || echo "lib/$file includes $header"
	done
done >"$scratch/wrong"
while read -r line; do
	complain "$line, but has to compile alone"
done <"$scratch/wrong"
lint_end "$(wc -l <"$scratch/includes") includes, $(wc -l <"$scratch/symbols") symbols"
