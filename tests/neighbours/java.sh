#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# java.sh [BUILD [ENGINE...]]: Java's MappedByteBuffer.force on a tracked file, in a run-time that uses SIGSEGV and SIGBUS
# itself: it says the same as without the shim, nothing is missed, and the durable image is the file.
set -eu

# shellcheck source=tests/launcher/lib.sh
. "${0%/*}/../launcher/lib.sh"
# shellcheck source=tests/neighbours/lib.sh
. "${0%/*}/lib.sh"
neighbours_begin java "$@"
need java default-jre-headless
program=$source/tests/neighbours/Mapped.java
unset JAVA_TOOL_OPTIONS _JAVA_OPTIONS JDK_JAVA_OPTIONS

# The run-time compiles the source itself.
set -- java -Xmx128m -Xss512k -XX:-UsePerfData "$program" "$file"
run 0 "$@"
cp "$scratch/out" "$scratch/native"
prints 'null checks 360, ends of the stack 18'
prints 'beyond the end: InternalError'

same() {
	rm -f "$file"
	shim 0 "$@"
	diff "$scratch/native" "$scratch/out" >"$scratch/err" || fail "$engine: not the same"
	tracked Java
	cmp "$file" "$memory"/images/file.* >"$scratch/err" 2>&1 || fail "$engine: the durable image is not the file"
	echo "$name $engine: the same, $(jq -s 'map(.traps) | add' "$memory"/stats.*) traps"
}
run_java() {
	same java -Xmx128m -Xss512k -XX:-UsePerfData "$program" "$file"
}
each_engine run_java
passed
