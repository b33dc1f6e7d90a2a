#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# pmem.sh [BUILD [ENGINE...]]: programs of libpmem, libpmem2 and libpmemobj, which call msync for what is not persistent
# memory, or are told that all is and then flush for themselves.
set -eu

# shellcheck source=tests/launcher/lib.sh
. "${0%/*}/../launcher/lib.sh"
# shellcheck source=tests/neighbours/lib.sh
. "${0%/*}/lib.sh"
neighbours_begin pmem "$@"
for package in libpmem libpmem2 libpmemobj; do
	echo "#include <$package.h>" | ${CC:-cc} -E -x c - >"$scratch/out" 2>"$scratch/err" ||
		skip "$package.h is missing (package $package-dev)"
done
program=$scratch/pmem
compile "$source/tests/neighbours/pmem.c" "$program" -O2 -lpmem -lpmem2 -lpmemobj

pmem() {
	for library in pmem pmem2 obj; do
		for force in 0 1; do
			rm -f "$file"
			PMEM_IS_PMEM_FORCE=$force run 0 "$program" "$library" "$file"
			cp "$scratch/out" "$scratch/native"
			rm -f "$file"
			PMEM_IS_PMEM_FORCE=$force shim 0 "$program" "$library" "$file"
			diff "$scratch/native" "$scratch/out" >"$scratch/diff" || fail "$engine $library $force: not the same"
			[ "$force" = 1 ] || tracked "$engine $library"
		done
	done
	echo "$name $engine: the same"
}
each_engine pmem
passed
