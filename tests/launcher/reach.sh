#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# reach.sh [BUILD]: programs that no preloaded library reaches are recognised,
# by `daxsync check` and, with one line, by `daxsync run`, which starts them all
# the same.
set -eu

# shellcheck source=tests/launcher/lib.sh
. "${0%/*}/lib.sh"
launcher_begin reach "$@"

printf 'int main(void) { return 3; }\n' >"$scratch/main.c"
compile "$scratch/main.c" "$scratch/dynamic"

# check and run judge alike. The program ends with 3 or, a script, with 4; what cannot be executed with 126.
reachable() { # PROGRAM KIND
	run 0 "$daxsync" check -v "$1"
	prints "  program                 $2"
	prints '  conclusion              can be served'
	started "$1"
	says_nothing
}
partly_reachable() { # PROGRAM KIND REASON
	run 0 "$daxsync" check -v "$1"
	prints "  program                 $2"
	prints "  conclusion              can be served: $3"
	started "$1"
	says "is served in part: $3"
}
unreachable() { # PROGRAM KIND REASON
	run 1 "$daxsync" check -v "$1"
	prints "  program                 $2"
	prints "  conclusion              out of reach: $3"
	started "$1"
	sed -i '/^daxsync: .* cannot be executed: /d' "$scratch/err"
	says "is out of reach of daxsync: $3"
}
started() { # PROGRAM
	status=0
	timeout 20 "$daxsync" run "$1" --version </dev/null >"$scratch/out" 2>"$scratch/err" || status=$?
	case $status in
	0 | 3 | 4) ;;
	126 | 127) grep -q '^daxsync: .* cannot be executed: ' "$scratch/err" || fail "status $status without a word" ;;
	*) fail "exit status $status of $1" ;;
	esac
}
starts() { # STATUS PROGRAM
	run "$1" "$daxsync" run "$2"
	says_nothing
}
starts_with_warning() { # STATUS PROGRAM REASON
	run "$1" "$daxsync" run "$2"
	says "is out of reach of daxsync: $3"
}

elf='dynamically linked ELF program'
reachable "$scratch/dynamic" "$elf"
starts 3 "$scratch/dynamic"
reachable cat "$elf"
reachable "$daxsync" "$elf"
compile "$scratch/main.c" "$scratch/no-pie" -no-pie
reachable "$scratch/no-pie" "$elf"

# Static programs, with fixed and with any address.
static='statically linked ELF program'
for how in -static -static-pie; do
	compile "$scratch/main.c" "$scratch/static" "$how"
	unreachable "$scratch/static" "$static" 'statically linked'
	starts_with_warning 3 "$scratch/static" 'statically linked'
done
(PATH=$scratch:$PATH && starts_with_warning 3 static 'statically linked')

# Scripts are judged by their interpreter, also behind env.
script() { # FIRST-LINE
	printf '%s\nexit 4\n' "$1" >"$scratch/script"
	chmod 755 "$scratch/script"
}
script '#!/bin/sh'
reachable "$scratch/script" 'script, run by /bin/sh'
starts 4 "$scratch/script"
script '#! /bin/sh -e'
reachable "$scratch/script" 'script, run by /bin/sh'
script '#!/usr/bin/env sh'
reachable "$scratch/script" "script, run by $(command -v sh)"
starts 4 "$scratch/script"
script '#!/usr/bin/env -S A=b sh -e'
reachable "$scratch/script" "script, run by $(command -v sh)"
script "#!$scratch/static"
unreachable "$scratch/script" "script, run by $scratch/static" 'statically linked'
starts_with_warning 3 "$scratch/script" 'statically linked'
script "#!$scratch/no/interpreter"
unreachable "$scratch/script" 'script' "$scratch/no/interpreter: No such file or directory"
script "#!$scratch/script"
unreachable "$scratch/script" 'script' "$scratch/script: Too many levels of symbolic links"

# Go: the section that its linker makes, or the note in a stripped program.
cat >"$scratch/section.c" <<'C'
__attribute__((section(".go.buildinfo"), used)) static char info[32] = "\xff Go buildinf:";
int main(void) { return 3; }
C
cat >"$scratch/note.c" <<'C'
__asm__(".pushsection .note.go.buildid, \"a\", %note\n.long 4, 4, 4\n.ascii \"Go\\0\\0\"\n.ascii \"id!!\"\n.popsection\n");
int main(void) { return 3; }
C
for source_of_go in section note; do
	compile "$scratch/$source_of_go.c" "$scratch/go" -static -s
	unreachable "$scratch/go" 'Go program' 'Go programs call the kernel without libc'
	# With C code in it (cgo) it is linked with libc, and what that code maps is served.
	compile "$scratch/$source_of_go.c" "$scratch/go" -s
	partly_reachable "$scratch/go" 'Go program, linked with libc' 'written in Go: only what its C code maps and syncs'
done
cp "$source/tests/launcher/mapper.c" "$scratch/cgo.c"
sed -n '/^__a/p' "$scratch/note.c" >>"$scratch/cgo.c"
compile "$scratch/cgo.c" "$scratch/go"
run 0 "$daxsync" run --emulate --verify --stats="$scratch/stats" -- "$scratch/go" "$scratch/data"
sed -i '/^daxsync: emulated persistent memory /d' "$scratch/err"
says 'is served in part'
grep -q '"mode":"emulated"' "$scratch/stats" || fail "what C code maps is not served: $(cat "$scratch/stats")"

# Another C library.
compile "$scratch/main.c" "$scratch/musl" -Wl,--dynamic-linker=/lib/ld-musl-x86_64.so.1
unreachable "$scratch/musl" "$elf" 'linked with musl'

# Another machine, in both byte orders, and broken headers: e_machine is the
# 16-bit number at offset 18, EI_DATA the byte at 5, e_phnum the number at 56.
patched() { # OFFSET BYTES
	cp "$scratch/dynamic" "$scratch/patched"
	# shellcheck disable=SC2059 # escapes for printf
	printf "$2" | dd of="$scratch/patched" bs=1 seek="$1" conv=notrunc 2>/dev/null
}
patched 18 '\050\000'
unreachable "$scratch/patched" 'ELF file for 32-bit Arm' 'built for another architecture'
patched 18 '\025\000'
unreachable "$scratch/patched" 'ELF file for ppc64' 'built for another architecture'
patched 18 '\000\026'
printf '\002' | dd of="$scratch/patched" bs=1 seek=5 conv=notrunc 2>/dev/null
unreachable "$scratch/patched" 'ELF file for s390' 'built for another architecture'
for size in 0 3 4 20 63 64 100 200 600; do
	head -c "$size" "$scratch/dynamic" >"$scratch/patched"
	status=0
	"$daxsync" check -v "$scratch/patched" >"$scratch/out" 2>"$scratch/err" || status=$?
	[ "$status" -le 1 ] || fail "exit status $status for an ELF file cut to $size bytes"
done
for offset in 32 40 54 56 58 60 62; do
	patched "$offset" '\377\377'
	status=0
	"$daxsync" check -v "$scratch/patched" >"$scratch/out" 2>"$scratch/err" || status=$?
	[ "$status" -le 1 ] || fail "exit status $status for an ELF file with a wrong number at $offset"
done

# Privileges: whoever gains some by starting the program has no preloading. Its owner gains none, and nobody does where
# the kernel gives none.
as_nobody='setpriv --reuid=65534 --regid=65534 --clear-groups --'
privileged() { # REASON
	run 0 "$daxsync" check -v "$scratch/privileged"
	prints "  conclusion              can be served: $1: not for other users"
	starts 3 "$scratch/privileged"
	[ "$(id -u)" -eq 0 ] || return 0
	# shellcheck disable=SC2086 # several words
	run 3 $as_nobody "$daxsync" run "$scratch/privileged"
	says "is out of reach of daxsync: $1"
	# shellcheck disable=SC2086 # several words
	run 1 $as_nobody "$daxsync" check -v "$scratch/privileged"
	prints "  conclusion              out of reach: $1"
	# shellcheck disable=SC2086 # several words
	run 0 setpriv --no-new-privs $as_nobody "$daxsync" check -v "$scratch/privileged"
	# shellcheck disable=SC2086 # several words
	run 3 setpriv --no-new-privs $as_nobody "$daxsync" run "$scratch/privileged"
	says_nothing
	if unshare -m true 2>/dev/null; then
		# shellcheck disable=SC2016,SC2086 # the inner shell's variables; several words
		run 3 unshare -m sh -c 'mount --bind "$0" "$0" && mount -o remount,bind,nosuid "$0" && cd / && exec "$@"' \
			"$scratch" $as_nobody "$daxsync" run "$scratch/privileged"
	else # in a chroot, whose root is no mount
		mount --bind "$scratch" "$scratch"
		mount -o remount,bind,nosuid "$scratch"
		# shellcheck disable=SC2086 # several words
		run 3 $as_nobody "$daxsync" run "$scratch/privileged"
		umount -l "$scratch"
	fi
	says_nothing
}
chmod 755 "$scratch"
cp "$scratch/dynamic" "$scratch/privileged"
chmod 4755 "$scratch/privileged"
privileged set-uid
chmod 2755 "$scratch/privileged"
privileged set-gid
chmod 2745 "$scratch/privileged" # without x for the group it means something else
reachable "$scratch/privileged" "$elf"
chmod 755 "$scratch/privileged"
if command -v setcap >/dev/null 2>&1 && setcap cap_net_raw+ep "$scratch/privileged" 2>/dev/null; then
	privileged 'has file capabilities'
else
	echo "$name: left out: file capabilities (no setcap, or no permission)"
fi
passed
