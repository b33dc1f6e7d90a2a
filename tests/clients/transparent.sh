#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# transparent.sh [BUILD]: programs that have nothing to do with persistent
# memory do not notice the shim. Each command runs natively, under the shim, and
# under the shim with emulation asked for: standard output, standard error, exit
# status and the files it writes must be the same, byte for byte. At the end the
# start-up cost is measured, for information: timing decides nothing here.
set -eu

# shellcheck source=tests/clients/lib.sh
. "${0%/*}/lib.sh"
client_begin transparent "$@"
find_python sys python3
need git git

export GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null LC_ALL=C TZ=UTC
export GIT_AUTHOR_NAME=nobody GIT_AUTHOR_EMAIL=nobody@example.org GIT_AUTHOR_DATE='2024-01-02T03:04:05Z'
export GIT_COMMITTER_NAME=nobody GIT_COMMITTER_EMAIL=nobody@example.org GIT_COMMITTER_DATE='2024-01-02T03:04:05Z'

# The same small tree for every run: a repository, a C file, some lines to sort.
template=$scratch/template
mkdir "$template"
(
	cd "$template"
	git init -q -b main .
	printf '#include <stdio.h>\nint main(void) { return printf("%%d\\n", 6 * 7) < 0; }\n' >hello.c
	seq 2000 | sed 's/.*/&7919 line &/' >lines
	git add hello.c lines
	git commit -q -m 'the first commit'
	git repack -q -a -d
	echo changed >>lines
	echo new >untracked
)

# Runs $command in a copy of the tree at always the same path, and keeps
# everything that it left behind in $scratch/$1.
record() { # VARIANT PREFIX...
	kept=$scratch/$1
	shift
	rm -rf "$kept" "$scratch/tree"
	mkdir "$kept"
	cp -a "$template" "$scratch/tree"
	(
		cd "$scratch/tree"
		status=0
		"$@" sh -c "$command" >"$kept/stdout" 2>"$kept/stderr" || status=$?
		echo "$status" >"$kept/status"
	)
	# Left out: this shell's own word on a program that a signal killed, and the
	# one line that says that emulation is not durable, or that a mapping was synced
	# by the kernel.
	case $kept in
	*/emulated) said_more='^daxsync: ' ;;
	*) said_more='^daxsync: .* was synced by the kernel: not on persistent memory' ;;
	esac
	sed "/^Terminated\$/d; /^Segmentation fault\$/d; /$said_more/d" "$kept/stderr" >"$scratch/stderr"
	mv "$scratch/stderr" "$kept/stderr"
	rm -f "$scratch/tree/.git/index" # holds times
	mv "$scratch/tree" "$kept/tree"
}

expect_same() { # VARIANT
	diff -r "$scratch/native" "$scratch/$1" >"$scratch/out" 2>&1 || fail "not the same ($1): $command"
}

nr_commands=0
compare() { # COMMAND
	command=$1
	record native env
	record shim "$daxsync" run --
	expect_same shim
	record emulated "$daxsync" run --emulate --
	expect_same emulated
	nr_commands=$((nr_commands + 1))
}

compare 'git status'
compare 'git log --stat'
compare 'git diff'
compare 'git -c core.fsync=all commit -q -a -m second && git rev-parse HEAD && git fsck --strict'
compare 'ls -l'
compare 'ls /nonexistent'
compare 'exec true'
compare 'echo $$ >/dev/null; false'
compare 'exit 3'
compare 'kill -TERM $$'
compare 'kill -SEGV $$'
compare 'sort -n lines | md5sum; wc lines <lines'
compare 'cp lines copy && dd if=lines of=copy conv=notrunc,fsync bs=512 count=3 status=none && sync copy && md5sum copy'
compare 'tar cf - hello.c lines | md5sum'
compare "exec $python -c pass"
compare "$python -c 'import mmap, sys
with open(\"mapped\", \"wb+\") as file:
    file.truncate(10000)
    with mmap.mmap(file.fileno(), 0) as view:
        view[5000:5005] = b\"hello\"
        view.flush()
        print(view.find(b\"hello\"), file=sys.stderr)
'"
if command -v gcc >/dev/null 2>&1; then
	compare 'gcc -O2 -c hello.c && gcc -o hello hello.o && ./hello'
	compare 'echo "int f(void) { return x; }" >wrong.c; gcc -c wrong.c'
fi

# The shim's own failures leave the shell's exit statuses.
for program in /nonexistent/program /dev/null; do
	status=0
	"$daxsync" run -- "$program" >"$scratch/out" 2>"$scratch/err" || status=$?
	case $program:$status in
	/nonexistent/program:127 | /dev/null:126) ;;
	*) fail "exit status $status for the program $program" ;;
	esac
done

# shellcheck disable=SC2016 # the inner shell's variable
preload=$("$daxsync" run -- sh -c 'echo "${LD_PRELOAD:-}"')
cost=$("$python" - "$preload" <<'PYTHON'
import os
import statistics
import sys
import time

plain = {"PATH": os.environ["PATH"]}
preloaded = dict(plain, LD_PRELOAD=sys.argv[1])


def run(env):
    start = time.perf_counter_ns()
    os.waitpid(os.posix_spawn("/bin/true", ["true"], env), 0)
    return (time.perf_counter_ns() - start) / 1000


times = [(run(plain), run(preloaded)) for _ in range(200)]
native, shim = (statistics.median(column) for column in zip(*times))
print(f"/bin/true takes {native:.0f} us, {shim - native:+.0f} us with the shim (medians of {len(times)})")
PYTHON
)
echo "transparent: $nr_commands commands the same, natively, with the shim and emulated; $cost"
