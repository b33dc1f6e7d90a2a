#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# tidy.sh [BUILD]: clang-tidy, with the checks of .clang-tidy, finds nothing in
# the library, the shim, the launcher and the examples. The analyzer follows
# paths through each function up to 40000 nodes of its graph; with TIDY_LONG=1
# up to its own limit, 225000, which takes four times as long.
set -eu

# shellcheck source=tests/lint/lib.sh
. "${0%/*}/lib.sh"
lint_begin tidy "$@"
need clang-tidy clang-tidy
need_commands

# Only what was built here: the database knows how.
c_sources | grep '^\(lib\|preload\|examples\)/.*\.c$' | while read -r file; do
	! grep -qF "/$file\"" "$build/compile_commands.json" || echo "$file"
done >"$scratch/files"
[ -s "$scratch/files" ] || skip 'no file of the sources is in compile_commands.json'
limit='--extra-arg=-Xclang --extra-arg=-analyzer-config --extra-arg=-Xclang --extra-arg=max-nodes=40000'
[ -z "${TIDY_LONG:-}" ] || limit=
# shellcheck disable=SC2086 # several options, or none
xargs -n 1 -P "$(nproc)" clang-tidy --quiet -p "$build" --extra-arg=-Wno-unknown-warning-option $limit \
	<"$scratch/files" >"$scratch/found" 2>"$scratch/noise" || {
	cat "$scratch/found"
	grep -v 'warnings\{0,1\} .*generated' "$scratch/noise" || true
	complain 'see above'
}
lint_end "$(wc -l <"$scratch/files") files"
