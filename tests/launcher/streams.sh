#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# streams.sh [BUILD]: streams of a program whose library is there before the
# shim: one that it opens in its constructor, and one in a fork handler, which
# runs inside the fork. The one crashed, the other hung, while streams were
# listed in memory of the allocator's and under a lock.
set -eu

# shellcheck source=tests/launcher/lib.sh
. "${0%/*}/lib.sh"
launcher_begin streams "$@"

compile - "$scratch/libearly.so" -shared -fPIC <<'C'
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

FILE *early;

static void in_child(void)
{
	FILE *stream = fopen(getenv("CHILD_FILE"), "w");

	fputs("in the child\n", stream);
	fclose(stream);
}

__attribute__((constructor)) static void begin(void)
{
	early = fopen(getenv("EARLY_FILE"), "w");
	pthread_atfork(NULL, NULL, in_child);
}
C
compile - "$scratch/program" -Wl,--no-as-needed -L"$scratch" -learly -Wl,-rpath,"$scratch" <<'C'
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

extern FILE *early;

int main(void)
{
	int i, status;

	fputs("before main\n", early);
	if (fclose(early))
		return 2;
	for (i = 0; i < 20; i++) {
		if (!fork())
			_exit(0);
		wait(&status);
		if (status)
			return 1;
	}
	return 0;
}
C
export EARLY_FILE="$scratch/early" CHILD_FILE="$scratch/child"
for shim in '' "$daxsync run --emulate --"; do
	rm -f "$EARLY_FILE" "$CHILD_FILE"
	# shellcheck disable=SC2086 # none or several words
	run 0 timeout -s KILL 30 $shim "$scratch/program"
	says_nothing
	equals 'the early file' "$(cat "$EARLY_FILE")" 'before main'
	equals "the child's file" "$(cat "$CHILD_FILE")" 'in the child'
done
passed
