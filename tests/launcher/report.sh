#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# report.sh [BUILD]: `daxsync run --report` says what became of files and syncs, whatever ends the program.
set -eu

# shellcheck source=tests/launcher/lib.sh
. "${0%/*}/lib.sh"
launcher_begin report "$@"
# shellcheck disable=SC3045 # every sh of ours has it
ulimit -c 0
compile "$source/tests/launcher/sites.c" "$scratch/sites" -g -O1
compile "$source/tests/launcher/endings.c" "$scratch/endings"
report=$scratch/report

reports() { # EXPRESSION: a line that matches all of it
	grep -Eqx "$1" "$report" || fail "no line \"$1\" in: $(cat "$report")"
}
reports_not() { # TEXT
	! grep -qF "$1" "$report" || fail "\"$1\" in: $(cat "$report")"
}

for engine in mprotect auto; do
	rm -f "$scratch/file" "$report"
	run 0 "$daxsync" run --emulate --engine=$engine --report="$report" -- "$scratch/sites" "$scratch/file"
	reports 'daxsync: sites, process [0-9]+, which has ended'
	reports "  $scratch/file"
	reports '    mode emulated: emulation was asked for'
	reports '    NOT durable: persistent memory is emulated; mapped 1 time, 64 pages, stores noticed by (mprotect|uffd)'
	# 24 of the program's own, one before ftruncate and one at the end.
	reports ' +2[4-6]  msync, fsync and the like, of files that daxsync serves'
	reports ' +[1-9]  of them went to the kernel as well, because of'
	reports ' +1  fsync or fdatasync, which the kernel always ends'
	reports ' +1  write\(2\) or a call like it had changed the file'
	reports ' +1  ftruncate, fallocate or a call like it had changed the file'
	reports_not 'another process'
	reports ' +4[0-9]  write faults, which made [0-9]+ pages writable'
	reports 'how long syncs took, from ... on \(2[4-6] timed\): half up to [0-9]+ [num]?s, 99 of 100 up to .*, the longest .*'
	reports ' +[0-9]+ [num]?s  #+ +[0-9]+'
	pages=$(sed -n 's/^ *\([0-9]*\)  flushed, .*/\1/p' "$report")
	reports " +$pages  flushed, each time counted \($((pages * 4)) KiB\), with [0-9]+ fences"
	# The durations from which on bars count are powers of two, of nanoseconds, in the first unit that leaves 4 digits.
	bars=$(sed -n 's/^ *\([0-9]* [num]*s\)  #.*/\1/p' "$report")
	steps='(1|2|4|8|16|32|64|128|256|512|1024|2048|4096|8192) ns|(16|32|65|131|262|524|1048|2097|4194|8388) us'
	equals 'a duration that begins no bar' "$(echo "$bars" | grep -Evx "$steps|(16|33|67|134|268|536) ms|[0-9]+ m?s")" ''
	reports 'where it syncs'
	reports 'where its stores make pages dirty'
	if command -v addr2line >/dev/null 2>&1; then
		reports ' +23  sync_here at sites\.c:[0-9]+ \(sites\)'
		reports ' +1  main at sites\.c:[0-9]+ \(sites\)'
		reports ' +20  store_here at sites\.c:[0-9]+ \(sites\)'
		reports ' +20  copy_here at sites\.c:[0-9]+ \(sites\)'
	else
		reports " +23  $scratch/sites\\+0x[0-9a-f]+"
	fi
done
[ -n "$(command -v addr2line)" ] || echo "$name: left out: names of functions (addr2line is missing, package binutils)"

# Each cause has its own count.
compile - "$scratch/causes" <<'C'
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	int fd = open(argv[argc - 1], O_RDWR | O_CREAT | O_TRUNC, 0644);
	char *map;

	if (ftruncate(fd, 8192) || fsync(fd))
		return 1;
	map = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	map[0] = 1;
	if (msync(map, 4096, MS_SYNC)) // the first after a new mapping
		return 1;
	for (int i = 0; i < 3; i++)
		if (pwrite(fd, "x", 1, 100) != 1 || msync(map, 8192, MS_SYNC))
			return 1;
	for (int i = 0; i < 2; i++)
		if (ftruncate(fd, 16384 + i) || msync(map, 8192, MS_SYNC))
			return 1;
	return 0;
}
C
run 0 "$daxsync" run --emulate --report="$report" -- "$scratch/causes" "$scratch/file"
reports ' +3  write\(2\) or a call like it had changed the file'
reports ' +2  ftruncate, fallocate or a call like it had changed the file'

# Where addr2line is not there, file and offset.
mkdir "$scratch/empty"
PATH=$scratch/empty "$daxsync" run --emulate --report="$report" -- "$scratch/sites" "$scratch/file" 2>/dev/null
reports " +23  $scratch/sites\\+0x[0-9a-f]+"

# Killed, on standard error, behind what the program says.
run 137 "$daxsync" run --emulate --report -- "$scratch/sites" "$scratch/file" 9
cp "$scratch/err" "$report"
reports 'daxsync: sites, process [0-9]+, which has ended'
reports ' +1  fsync or fdatasync, which the kernel always ends'

# What is not served is said so.
run 0 "$daxsync" run --report="$report" -- "$scratch/sites" "$scratch/file"
reports '    mode pass: not on persistent memory'
reports "    the kernel's alone, as without daxsync; mapped 1 time, 64 pages, stores noticed by nothing"
run 0 "$daxsync" run --report="$report" -- true
equals 'the report on a program that maps nothing' "$(cat "$report")" \
	'daxsync: no process of the run has mapped a file shared and writable'
compile - "$scratch/stream" <<'C'
#include <stdio.h>
#include <sys/mman.h>

int main(int argc, char **argv)
{
	FILE *stream = fopen(argv[argc - 1], "r+");
	char *map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fileno(stream), 0);

	map[0] = 1;
	return msync(map, 4096, MS_SYNC);
}
C
run 0 "$daxsync" run --emulate --report="$report" -- "$scratch/stream" "$scratch/file"
reports '    mode kernel: also written through a stdio stream'
reports ' +1  a stdio stream or asynchronous I/O writes the file'

# Without a report, one line at the end, where somebody has asked for daxsync by its launcher.
run 0 "$daxsync" run -- "$scratch/sites" "$scratch/file"
says "$scratch/file was synced by the kernel: not on persistent memory (\"daxsync run --report\" tells of all files)"
run 0 "$daxsync" run --emulate -- "$scratch/stream" "$scratch/file"
says "$scratch/file was synced by the kernel: also written through a stdio stream"
for options in --log=error "--exclude=$scratch/*" '--include=/nonexistent/*'; do
	run 0 "$daxsync" run "$options" -- "$scratch/sites" "$scratch/file"
	says_nothing
done
run 0 env LD_PRELOAD="$build/lib/libdaxsync-preload.so" "$scratch/sites" "$scratch/file"
says_nothing
# Not of a file that is served, and not of one that is never synced.
run 0 "$daxsync" run --emulate -- "$scratch/sites" "$scratch/file"
says 'nothing is made durable'
compile - "$scratch/unsynced" <<'C'
#include <fcntl.h>
#include <sys/mman.h>

int main(int argc, char **argv)
{
	int fd = open(argv[argc - 1], O_RDWR);
	char *map = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	char *other = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return map == MAP_FAILED || msync(other, 4096, MS_SYNC) || msync(map, 4096, MS_ASYNC);
}
C
run 0 "$daxsync" run -- "$scratch/unsynced" "$scratch/file"
says_nothing

# Several processes, one after the other; with statistics as well.
run 0 "$daxsync" run --emulate --report="$report" --stats="$scratch/stats" -- "$scratch/endings" "$scratch/file" forks
equals 'the number of processes' "$(grep -c '^daxsync: endings, process' "$report")" 3
reports ' +[1-9][0-9]*  mode kernel, for the reason above'
[ -s "$scratch/stats" ] || fail 'no statistics beside the report'

# Foreign text does nothing to a terminal.
controls=$(printf 'a\033[1m\302\233b\342\200\256c')
run 0 "$daxsync" run --emulate --report="$report" -- "$scratch/endings" "$scratch/$controls" exit
reports "  $scratch/a\\?\\[1m\\?b\\?c"
equals 'what is not plain in the report' "$(LC_ALL=C tr -d '\040-\176\n' <"$report" | wc -c)" 0

# Wrong use. Without a report nothing is timed for it.
run 125 "$daxsync" run --report= -- touch "$scratch/started"
says '--report= is no option'
run 125 "$daxsync" run --report=/nonexistent/report -- touch "$scratch/started"
says 'the report cannot be written to /nonexistent/report: No such file or directory'
[ ! -e "$scratch/started" ] || fail 'the program was started all the same'
run 0 "$daxsync" run --help
prints '  --report[=FILE]'
passed
