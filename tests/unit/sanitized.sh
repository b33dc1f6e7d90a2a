#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# sanitized.sh BUILD: the unit tests in a build of the preset asan-ubsan, below BUILD. ThreadSanitizer has its own programs
# (tests/concurrency): Criterion's workers want memory at an address that it keeps for itself.
set -eu
here=$(cd "${0%/*}" && pwd)
build=$(cd "$1" && pwd)/asan-ubsan
tests=$(cd "$here" && for source in test_*.c; do echo "${source%.c}"; done)

cd "$here/../.."
# shellcheck disable=SC2086 # several words
if ! { cmake --preset asan-ubsan -B "$build" && cmake --build "$build" --target $tests; } >"$build.log" 2>&1; then
	tail -n 30 "$build.log"
	exit 1
fi
ctest --test-dir "$build" -L unit --output-on-failure --no-tests=error
