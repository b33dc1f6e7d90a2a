#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# next_library.sh BUILD ENGINE PROGRAM FILE: makes a library with every function that the shim has, each of which counts and
# goes on to the next one; puts it behind the shim, and behind nothing; and compares what came to it.
set -eu
build=$1 engine=$2 program=$3 file=$4
scratch=$(mktemp -d "${TMPDIR:-/tmp}/next-library.XXXXXX")
trap 'rm -rf "$scratch"' EXIT
[ "$(uname -m)" = x86_64 ] || {
	echo 'SKIP: next_library: the counting library is written for x86-64'
	exit 77
}
preload=$build/lib/libdaxsync-preload.so
nm -D --defined-only "$preload" | sed -n 's/^[0-9a-f]* [TWi] //p' | sort >"$scratch/hooked"
"$program" --names | sort -u >"$scratch/rows"
without=$(comm -23 "$scratch/hooked" "$scratch/rows")
[ -z "$without" ] || {
	echo "hooked functions without a row in next_library.c: $without"
	exit 1
}
"$program" --absent | sort -u | comm -23 "$scratch/hooked" - >"$scratch/names"
{
	echo '.text'
	i=0
	while read -r name; do
		cat <<S
.globl $name
.type $name, @function
$name:
	movq behind_count(%rip), %r11
	lock incq $((8 * i))(%r11)
	movq next+$((8 * i))(%rip), %r11
	jmp *%r11
.size $name, .-$name
S
		i=$((i + 1))
	done <"$scratch/names"
	echo '.section .note.GNU-stack, "", @progbits'
} >"$scratch/behind.s"
{
	echo '#define _GNU_SOURCE'
	echo '#include <dlfcn.h>'
	echo '#include <string.h>'
	echo '#include <sys/mman.h>'
	echo '#include <sys/syscall.h>'
	echo '#include <unistd.h>'
	echo 'static const char *const names[] = {'
	sed 's/.*/"&",/' "$scratch/names"
	cat <<'C'
};
#define NR (sizeof(names) / sizeof(names[0]))
const char *const *behind_names = names;
unsigned long behind_nr = NR;
long *behind_count;
__attribute__((visibility("hidden"))) void *next[NR];
static void nothing(void) {} // a sync of the whole machine takes long
__attribute__((constructor(101))) static void begin(void)
{
	unsigned i;

	behind_count = (long *)syscall(SYS_mmap, 0L, 65536L, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0L);
	for (i = 0; i < NR; i++)
		next[i] = strcmp(names[i], "sync") ? dlsym(RTLD_NEXT, names[i]) : (void *)nothing;
}
C
} >"$scratch/behind.c"
"${CC:-cc}" -O1 -fPIC -shared -Wl,-Bsymbolic -o "$scratch/libbehind.so" "$scratch/behind.c" "$scratch/behind.s"

# What is not passed on one by one: the older functions of signals and masks are made of sigaction and sigprocmask, what has
# a list of arguments of its own kinds goes on as the function that takes a va_list, and libc asks the kernel by itself.
made_of_others='signal|bsd_signal|ssignal|sysv_signal|__sysv_signal|sigset|sigignore|siginterrupt|__sigaction'
made_of_others="$made_of_others|sigblock|sigsetmask|siggetmask|sighold|sigrelse|sigpending|sigpause|__sigpause"
made_of_others="$made_of_others|__xpg_sigpause|__sigsuspend|sigwait|sigwaitinfo|dprintf|__dprintf_chk"
compared() { # SIDE
	grep -Ev "^($made_of_others):" "$scratch/$1"
}
LD_PRELOAD="$scratch/libbehind.so" "$program" "$file" >"$scratch/native"
LD_PRELOAD="$preload:$scratch/libbehind.so" "$program" "$file" >"$scratch/pass"
DAXSYNC_EMULATE=1 DAXSYNC_ENGINE=$engine LD_PRELOAD="$preload:$scratch/libbehind.so" "$program" "$file" \
	>"$scratch/tracked"
status=0
[ "$(wc -l <"$scratch/native")" -eq "$(wc -l <"$scratch/tracked")" ] || status=1
compared native >"$scratch/expected"
for side in pass tracked; do
	compared $side | diff "$scratch/expected" - || status=1
done
exit $status
