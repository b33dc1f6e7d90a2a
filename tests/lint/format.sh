#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# format.sh: the C sources have the format of .clang-format.
set -eu

# shellcheck source=tests/lint/lib.sh
. "${0%/*}/lib.sh"
lint_begin format "$@"
need clang-format clang-format

c_sources >"$scratch/files"
xargs clang-format --dry-run -Werror <"$scratch/files" || complain 'run clang-format -i on these'
lint_end "$(wc -l <"$scratch/files") files"
