#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# shell.sh: shellcheck finds nothing in the shell scripts.
set -eu

# shellcheck source=tests/lint/lib.sh
. "${0%/*}/lib.sh"
lint_begin shell "$@"
need shellcheck shellcheck

sources .ci lib preload tests examples -- -name '*.sh' -o -path .ci/run >"$scratch/files"
xargs shellcheck -x <"$scratch/files" || complain 'see above'
lint_end "$(wc -l <"$scratch/files") files"
