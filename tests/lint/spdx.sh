#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# spdx.sh: every source file names its licence in its first three lines and says
# in one line what it is; no function is longer than 60 lines.
set -eu

# shellcheck source=tests/lint/lib.sh
. "${0%/*}/lib.sh"
lint_begin spdx "$@"

licence='SPDX-License-Identifier: BSD-3-Clause'
sources CMakeLists.txt cmake .ci lib include preload tests examples -- \
	-name '*.c' -o -name '*.h' -o -name '*.sh' -o -name '*.py' -o -name '*.pml' -o -name '*.map' -o -name '*.map.in' \
	-o -name '*.cmake' -o -name CMakeLists.txt -o -path .ci/run >"$scratch/files"
while read -r file; do
	head -n 3 "$file" | grep -qF "$licence" || complain "$file: no line \"$licence\""
done <"$scratch/files"

# The line behind the licence begins with the file's name, a program's without
# its ".c".
grep '\.[ch]$' "$scratch/files" | while read -r file; do
	base=${file##*/}
	head -n 4 "$file" | grep -Eq "^(//| \*) ($base|${base%.*})[ :]" || echo "$file"
done >"$scratch/nameless"
while read -r file; do
	complain "$file: the second line does not begin with \"${file##*/}:\""
done <"$scratch/nameless"

# With this format a function begins and ends with a brace in the first column.
grep '\.c$' "$scratch/files" | xargs awk -v limit=60 '
	FNR == 1 { start = 0 }
	/^{/ { start = FNR }
	/^}/ && start {
		if (FNR - start - 1 > limit)
			printf "%s:%d: a function of %d lines\n", FILENAME, start, FNR - start - 1
		start = 0
	}' >"$scratch/long"
while read -r line; do
	complain "$line"
done <"$scratch/long"
lint_end "$(wc -l <"$scratch/files") files"
