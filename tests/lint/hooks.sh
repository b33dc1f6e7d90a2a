#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# hooks.sh [BUILD]: every function that the shim stands for has rows in the conformance suite's tables: one for each
# pointer by which the kernel stores (cases_results.c), or one for each way to change a file (cases_change.c). What does
# neither is listed here.
set -eu

# shellcheck source=tests/lint/lib.sh
. "${0%/*}/lib.sh"
lint_begin hooks "$@"
need nm binutils
preload=$build/lib/libdaxsync-preload.so
[ -f "$preload" ] || skip "$preload was not built"
results=tests/conformance/cases_results.c changes=tests/conformance/cases_change.c

neither() {
	cat <<-'END'
		mmap mmap64 munmap mremap mprotect pkey_mprotect mseal remap_file_pages shmat
		msync fsync fdatasync sync syncfs sync_file_range
		fclose pclose closedir tmpfile tmpfile64 close __close close_range closefrom dup dup2 __dup2 dup3
		pidfd_getfd fanotify_init unshare
		signal bsd_signal ssignal sysv_signal __sysv_signal sigset sigignore siginterrupt
		sigblock sigsetmask siggetmask sighold sigrelse sigsuspend __sigsuspend sigpause __sigpause __xpg_sigpause
		setjmp __sigsetjmp longjmp _longjmp siglongjmp __longjmp_chk setcontext
		timer_delete
		execve execv execvp execvpe execl execlp execle fexecve execveat _exit _Exit _Fork
	END
}

# Where the kernel stores at an address of the program's and the shim cannot help (doc/limits.md), or there is none.
not_followed() {
	echo 'clone' # addresses of thread ids
}

rows() { # FILE: "function argument" of each row X(function, argument, ...)
	sed -n 's/^\t*X(\([A-Za-z0-9_]*\), *\([a-z0-9_]*\), .*/\1 \2/p' "$1"
}

nm -D --defined-only "$preload" | sed 's/.* //; s/@.*//' | sort -u >"$scratch/hooks"
rows "$results" | sort -u >"$scratch/results"
rows "$changes" | sort -u >"$scratch/changes"
[ "$(wc -l <"$scratch/hooks")" -gt 200 ] || complain "few hooks in $preload"
[ "$(wc -l <"$scratch/results")" -gt 150 ] || complain "few rows in $results"
[ "$(wc -l <"$scratch/changes")" -gt 50 ] || complain "few rows in $changes"
{
	cut -d ' ' -f 1 "$scratch/results" "$scratch/changes"
	{
		neither
		not_followed
	} | tr ' ' '\n'
} | sort -u >"$scratch/known"
comm -23 "$scratch/hooks" "$scratch/known" >"$scratch/missing"
while read -r name; do
	complain "the hook $name has a row neither in $results nor in $changes, and ${0##*/} does not list it"
done <"$scratch/missing"
{
	neither
	not_followed
} | tr ' ' '\n' | sort -u | comm -23 - "$scratch/hooks" >"$scratch/gone"
while read -r name; do
	complain "${0##*/} lists $name, which is no hook"
done <"$scratch/gone"

# Every pointer that a row of preload/results.c pins, by the name of its parameter: "function argument".
pinned() {
	awk '/define RESULTS\(X\)/ { on = 1; next } /clang-format on/ { on = 0 } on { gsub(/\\$/, ""); printf "%s", $0 }
		END { print "" }' preload/results.c |
		awk '{ nr = split($0, row, /[ \t]X\(/); for (i = 2; i <= nr; i++) {
			split(row[i], word, /, */)
			rest = row[i]
			while (match(rest, /[ ,)]P(_ONE|_SOCKET)?\([a-z_]+(, [a-z_]+\))?/)) {
				pin = substr(rest, RSTART + 1, RLENGTH - 1)
				rest = substr(rest, RSTART + RLENGTH)
				is_pair = pin ~ /^P_SOCKET/
				sub(/^P[A-Z_]*\(/, "", pin)
				gsub(/[),]/, "", pin)
				nr_args = split(pin, arg, / /)
				for (j = 1; j <= (is_pair ? nr_args : 1); j++)
					print word[2], arg[j]
			}
		} }' | sort -u
}
pinned >"$scratch/pinned"
[ "$(wc -l <"$scratch/pinned")" -gt 100 ] || complain 'few pins found in preload/results.c'
comm -23 "$scratch/pinned" "$scratch/results" >"$scratch/missing"
while read -r name argument; do
	complain "$name: what it stores at '$argument' has no row in $results"
done <"$scratch/missing"
lint_end "$(wc -l <"$scratch/hooks") hooks, $(wc -l <"$scratch/pinned") pinned arguments"
