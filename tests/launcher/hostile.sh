#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# hostile.sh [BUILD]: the launcher where little is as it should be: no standard descriptors, no name, no environment, small
# limits, long words. It does what it is for, or says in one line why not; it never writes anywhere else.
set -eu

# shellcheck source=tests/launcher/lib.sh
. "${0%/*}/lib.sh"
launcher_begin hostile "$@"
compile "$source/tests/launcher/mapper.c" "$scratch/mapper"
long=$(head -c 5000 /dev/zero | tr '\0' x)

# Without standard output the next file to be opened, a place's, would be it. What is printed is more than stdio keeps back.
echo 'data of the user' >"$scratch/data"
cp "$scratch/data" "$scratch/before"
set --
while [ $# -lt 100 ]; do
	set -- "$@" "$scratch/data"
done
status=0
"$daxsync" check -v --emulate "$@" >&- 2>"$scratch/err" || status=$?
equals 'the status without standard output' "$status" 125
says 'the output cannot be written'
cmp "$scratch/data" "$scratch/before" || fail 'what was printed went into a file'
status=0
"$daxsync" check -v --emulate "$@" >&- 2>&- <&- || status=$?
equals 'the status without descriptors' "$status" 125
cmp "$scratch/data" "$scratch/before" || fail 'what was printed went into a file'
# The program has them as little.
compile - "$scratch/descriptors" <<'C'
#include <fcntl.h>
#include <stdio.h>

int main(int argc, char **argv)
{
	int i, there[3];
	FILE *file;

	for (i = 0; i < 3; i++)
		there[i] = fcntl(i, F_GETFD) >= 0;
	file = fopen(argv[argc - 1], "w");
	return !file || fprintf(file, "%d%d%d", there[0], there[1], there[2]) != 3 || fclose(file);
}
C
for options in '' '--emulate --verify'; do
	# shellcheck disable=SC2086 # several words
	"$daxsync" run $options -- "$scratch/descriptors" "$scratch/there" <&- >&- 2>&- || [ $? -eq 121 ]
	equals 'the standard descriptors of the program' "$(cat "$scratch/there")" 000
done

# No arguments, not even a name; no environment.
compile - "$scratch/nameless" <<'C'
#include <unistd.h>

int main(int argc, char **argv)
{
	execve(argv[argc - 1], (char *[]){NULL}, (char *[]){NULL});
	return 99;
}
C
run 125 "$scratch/nameless" "$daxsync"
grep -q '^Usage: ' "$scratch/err" || fail 'no usage'
run 0 env -i "$daxsync" run --emulate --stats="$scratch/stats" -- "$scratch/mapper" "$scratch/mapped"
grep -q '"mode":"emulated"' "$scratch/stats" || fail 'not served without an environment'

# Small limits.
for limit in 1 8; do # blocks of 512 bytes; what is printed goes through a pipe, which has no limit
	# shellcheck disable=SC2016 # the inner shell's variables
	run 0 sh -c '(ulimit -f "$0" && exec "$@") | cat' "$limit" "$daxsync" check -v --emulate "$scratch"
	prints 'no file in memory can be made to try it: File too large'
done
# shellcheck disable=SC2016 # the inner shell's variables
run 0 sh -c 'ulimit -s 64 && exec "$@"' sh "$daxsync" run --emulate --verify -- "$scratch/mapper" "$scratch/mapped"
# shellcheck disable=SC2016 # the inner shell's variables
run 121 sh -c 'ulimit -f 200 && exec "$@"' sh "$daxsync" run --emulate --verify -- "$scratch/mapper" "$scratch/mapped"
grep -q 'no room for daxsync.run in DAXSYNC_IMAGE_DIR' "$scratch/err" || fail 'another cause is named'
! grep -q 'not of this version' "$scratch/err" || fail 'a cause is named that is none'

# Long words do not push out what is said about them.
run 125 "$daxsync" run --stats="$long" true
says '...: longer than 4095 bytes'
run 125 "$daxsync" run --emulate --image-dir="/$long" true
says '...: '
run 126 "$daxsync" run "/$long"
says '... cannot be executed: File name too long'
run 1 "$daxsync" check -v "/$long"
prints 'out of reach: File name too long'
run 125 "$daxsync" "$long"
says '..." is no command of daxsync'

# What would do something to a terminal is not shown as it is: escapes, C1 controls, what turns the direction.
controls=$(printf 'a\033[1m\302\233b\342\200\256c\nd')
shown='a?[1m?b?c?d'
: >"$scratch/$controls"
run 1 "$daxsync" check -v "$scratch/$controls"
prints "$scratch/$shown"
equals 'what is not plain in the output' "$(LC_ALL=C tr -d '\040-\176\n' <"$scratch/out" | wc -c)" 0
run 127 "$daxsync" run "$scratch/none$controls"
says "$scratch/none$shown cannot be executed"
run 125 "$daxsync" "$controls"
says "\"$shown\" is no command of daxsync"
run 125 "$daxsync" stat "$controls"
says "\"$shown\" is no process id"
equals 'what is not plain in the message' "$(LC_ALL=C tr -d '\040-\176\n' <"$scratch/err" | wc -c)" 0

# A directory that is gone.
mkdir "$scratch/gone"
cd "$scratch/gone"
rmdir "$scratch/gone"
run 125 "$daxsync" run --stats=x true
says 'relative, and the current directory is not known'
run 0 "$daxsync" run true
says_nothing
run 127 "$daxsync" run ./true
says 'cannot be executed: No such file or directory'
passed
