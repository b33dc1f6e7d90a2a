#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# header.sh: the public header is clean C11 and C++17, without extensions, and
# every header compiles alone.
set -eu

# shellcheck source=tests/lint/lib.sh
. "${0%/*}/lib.sh"
lint_begin header "$@"
need "${CC:-cc}" gcc
need "${CXX:-c++}" g++

strict='-fsyntax-only -pedantic -Wall -Wextra -Wconversion -Wshadow -Werror'
try() { # COMPILER OPTION...: what is to be compiled comes from standard input
	# shellcheck disable=SC2086 # several words
	"$@" -Iinclude - || complain "does not compile: $(cat "$scratch/text") with $*"
}
for header in $(sources include -- -name '*.h'); do
	echo "#include <${header#include/}>" >"$scratch/text"
	for compiler in "${CC:-cc}" clang; do
		command -v "$compiler" >/dev/null 2>&1 || continue
		for standard in c11 c17; do
			# shellcheck disable=SC2086 # several words
			try "$compiler" -x c -std=$standard $strict <"$scratch/text"
		done
	done
	for compiler in "${CXX:-c++}" clang++; do
		command -v "$compiler" >/dev/null 2>&1 || continue
		# shellcheck disable=SC2086 # several words
		try "$compiler" -x c++ -std=c++17 $strict -Wold-style-cast <"$scratch/text"
	done
done

c_sources | grep '^\(lib\|preload\)/.*\.h$' >"$scratch/headers"
while read -r header; do
	echo "#include \"$header\"" >"$scratch/text"
	try "${CC:-cc}" -x c -std=gnu11 -D_GNU_SOURCE -fsyntax-only -Wall -Wextra -Werror -Wno-deprecated-declarations -I. -Ilib -Ipreload \
		<"$scratch/text"
done <"$scratch/headers"
lint_end "the public header and $(wc -l <"$scratch/headers") others"
