#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# run.sh [CTEST OPTION...]: installs what the tests need, builds with the preset
# `release` and runs all tests. A test that was skipped is listed with its
# reason; with CI=true it counts as a failure. The last lines are ctest's own
# summary.
set -eu

cd "${0%/*}/.."
sh tests/packages.sh test

mkdir -p build
log=build/run.log
if ! { cmake --preset release && cmake --build build/release --parallel "$(nproc)"; } >"$log" 2>&1; then
	tail -n 40 "$log" >&2
	echo "run.sh: the build failed, all of its output is in $log" >&2
	exit 1
fi

# ctest runs with its summary held back: what is said about skipped tests comes
# before it.
summary=build/run.summary
junit=$PWD/build/run.xml
rm -f "$summary" "$junit" build/run.status
: >"$summary"
{
	status=0
	ctest --test-dir build/release --output-on-failure --no-tests=error --parallel "$(nproc)" \
		--output-junit "$junit" "$@" || status=$?
	echo "$status" >build/run.status
} 2>&1 | sed -u "/^[0-9]*% tests passed/,\$ {
	w $summary
	d
}"
status=$(cat build/run.status)

# The name and the reason (a line "SKIP: ...") of each skipped test.
skipped=$(python3 - "$junit" <<'PYTHON'
import sys
import xml.etree.ElementTree as xml

try:
    cases = xml.parse(sys.argv[1]).iter("testcase")
except (OSError, xml.ParseError):
    sys.exit()  # ctest has not come that far, and has said why
for case in cases:
    if case.get("status") != "notrun" and case.find("skipped") is None:
        continue
    said = (case.findtext("system-out") or "").splitlines()
    reasons = [line for line in said if "SKIP" in line.upper()] or said[-1:] or ["no reason given"]
    print(f"  {case.get('name')}: {reasons[-1].strip()}")
PYTHON
)
if [ -n "$skipped" ]; then
	printf '\nskipped tests:\n%s\n' "$skipped"
	if [ "${CI:-}" = true ]; then
		echo 'run.sh: CI=true, so a skipped test is a failure'
		[ "$status" -ne 0 ] || status=1
	fi
	echo
fi
cat "$summary"
exit "$status"
