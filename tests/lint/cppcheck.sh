#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# cppcheck.sh: cppcheck finds nothing.
set -eu

# shellcheck source=tests/lint/lib.sh
. "${0%/*}/lib.sh"
lint_begin cppcheck "$@"
need cppcheck cppcheck

# Unit tests are Criterion's macros, which it cannot read. _Atomic(type) is more than its parser knows. The library does not
# allocate, and it does not see that a test's own check ends the test.
c_sources | grep '\.c$' | grep -v '^tests/unit/' >"$scratch/files"
cppcheck --quiet --error-exitcode=1 --enable=warning,performance,portability --std=c11 --inline-suppr \
	-j "$(nproc)" --suppress=missingIncludeSystem --suppress=unknownMacro --suppress=nullPointerOutOfMemory \
	--suppress=normalCheckLevelMaxBranches \
	-D_GNU_SOURCE -D__x86_64__ '-D_Atomic(type)=type' -Iinclude -Ilib -Ipreload \
	--file-list="$scratch/files" || complain 'see above'
lint_end "$(wc -l <"$scratch/files") files"
