#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# top.sh [BUILD]: `daxsync top`: a running process, on a terminal and elsewhere.
set -eu

# shellcheck source=tests/launcher/lib.sh
. "${0%/*}/lib.sh"
launcher_begin top "$@"
compile "$source/tests/launcher/sites.c" "$scratch/sites"

hold "done" "$daxsync" run --emulate -- "$scratch/sites" "$scratch/file" hold
pid=$held
trap 'kill -KILL "$pid" 2>/dev/null || true; scratch_end' EXIT

# Into a pipe or a file: one screen after the other, until a signal comes or the process ends.
"$daxsync" top "$pid" >"$scratch/screens" 3>&- &
top=$!
eventually grep -q '^daxsync: sites' "$scratch/screens"
"$daxsync" top "$pid" >"$scratch/second" 3>&- &
second=$!
eventually grep -q 'mode emulated' "$scratch/second"
kill -TERM "$second"
wait "$second" || fail "the status after SIGTERM is $?"

# On a terminal: q, and ^C; it is left as it was.
if command -v python3 >/dev/null 2>&1; then
	python3 - "$daxsync" "$pid" <<'PYTHON' || fail 'on a terminal'
import os
import pty
import signal
import sys
import termios

daxsync, pid = sys.argv[1:]
for key in b"q", b"\x03":
    child, terminal = pty.fork()
    if not child:
        before = termios.tcgetattr(0)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # ^C is for all that are in front
        top = os.fork()
        if not top:
            os.execv(daxsync, [daxsync, "top", pid])
        status = os.waitpid(top, 0)[1]
        os._exit(status or (termios.tcgetattr(0) != before and 9))
    seen = b""
    while b"q ends this" not in seen:
        seen += os.read(terminal, 4096)
    if b"\x1b[H\x1b[J" not in seen or b"mode emulated" not in seen:
        sys.exit(f"not a screen: {seen}")
    os.write(terminal, key)
    while True:
        try:
            if not os.read(terminal, 4096):
                break
        except OSError:
            break
    status = os.waitpid(child, 0)[1]
    if status:
        sys.exit(f"status {status} after {key}")
PYTHON
else
	echo "$name: left out: a terminal (python3 is missing)"
fi

exec 3>&-
wait "$pid" || fail 'the program has failed'
wait "$top" || fail "the status is $? when the process has ended"
run 125 "$daxsync" top "$pid"
says "there is no process $pid"
run 1 "$daxsync" top $$
says "process $$ has no statistics"
run 125 "$daxsync" top
says 'one process is to be given'
run 125 "$daxsync" top x
says '"x" is no process id'
run 0 "$daxsync" top --help
prints 'Usage: daxsync top'
passed
