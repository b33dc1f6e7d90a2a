#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# terminal.sh [BUILD]: a program under the verifier, started by an interactive
# shell on a terminal: ^C and ^\ reach it once, ^Z stops the job, fg resumes it.
set -eu

# shellcheck source=tests/launcher/lib.sh
. "${0%/*}/lib.sh"
launcher_begin terminal "$@"
need python3 python3
compile "$source/tests/launcher/signals.c" "$scratch/signals"

python3 - "$daxsync" "$scratch" >"$scratch/out" 2>"$scratch/err" <<'PYTHON' || fail 'see above'
import os
import pty
import select
import signal
import sys
import time

daxsync, scratch = sys.argv[1:]
seen = b""


def read_terminal(timeout):
    global seen
    ready, _, _ = select.select([terminal], [], [], timeout)
    if ready:
        seen += os.read(terminal, 65536)


def wait_for(what, condition):
    end = time.monotonic() + 10
    while not condition():
        if time.monotonic() > end:
            print(seen.decode(errors="replace"))
            os.kill(shell, signal.SIGKILL)
            sys.exit(f"does not come true: {what}")
        read_terminal(0.05)


def type_in(text):
    os.write(terminal, text)


def got(name):
    with open(f"{scratch}/got") as file:
        return file.read().split().count(name)


def state(pid):
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rpartition(")")[2].split()[0]


def parent(pid):
    with open(f"/proc/{pid}/stat") as file:
        return int(file.read().rpartition(")")[2].split()[1])


shell, terminal = pty.fork()
if not shell:
    os.environ["PS1"] = "ready> "
    os.execvp("sh", ["sh", "-i"])
wait_for("the shell's prompt", lambda: b"ready> " in seen)
type_in(f"{daxsync} run --emulate --verify -- {scratch}/signals {scratch}/pid {scratch}/got\n".encode())
wait_for("the program's start", lambda: os.path.exists(f"{scratch}/pid") and os.path.getsize(f"{scratch}/pid"))
with open(f"{scratch}/pid") as file:
    program = int(file.read())
launcher = parent(program)

type_in(b"\x03")
wait_for("^C", lambda: got("INT"))
type_in(b"\x1c")
wait_for("^\\", lambda: got("QUIT"))

seen = b""
type_in(b"\x1a")
wait_for("^Z stops the program", lambda: state(program) == "T")
wait_for("^Z stops the launcher", lambda: state(launcher) == "T")
wait_for("the shell's prompt after ^Z", lambda: b"ready> " in seen)
type_in(b"fg\n")
wait_for("fg resumes the program", lambda: state(program) != "T")
wait_for("fg resumes the launcher", lambda: state(launcher) != "T")
type_in(b"\x03")
wait_for("^C after fg", lambda: got("INT") > 1)

os.kill(launcher, signal.SIGTERM)
seen = b""
wait_for("the shell's prompt at the end", lambda: b"ready> " in seen)
type_in(b"echo status=$?\n")
wait_for("the exit status", lambda: b"status=42" in seen)
type_in(b"exit\n")
os.waitpid(shell, 0)
counts = {name: got(name) for name in ("INT", "QUIT", "TERM")}
if counts != {"INT": 2, "QUIT": 1, "TERM": 1}:
    sys.exit(f"signals arrived as {counts}")
PYTHON
passed
