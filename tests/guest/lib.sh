# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=sh
#
# lib.sh: what the scripts of this directory share. Each of them is called with
# BUILD and KERNEL, and keeps what it makes in BUILD/guest/KERNEL.
#
# KERNEL is 6.1 or 6.12, Debian's own kernels of these series, or the name of a
# Debian suite (trixie-backports), whose kernel is taken.
# shellcheck disable=SC2034 # for those who read this file
#
# Exit status: 77 with a line "SKIP: ..." if something is missing.

# shellcheck source=tests/lib.sh
. "${tests_dir:-${0%/*}/..}/lib.sh"
name=guest.${0##*/}

guest_begin() { # BUILD KERNEL
	PATH=$PATH:/usr/sbin:/sbin
	export PATH
	here=$(cd "${0%/*}" && pwd)
	sources=$(cd "$here/../.." && pwd)
	build=$(cd "$1" && pwd)
	kernel=$2
	guest=$build/guest/$kernel
	[ "$(uname -m)" = x86_64 ] || skip 'this machine is no x86-64, and the guest is'
	mkdir -p "$guest"
}

# One at a time makes what is kept in the directory.
guest_lock() {
	need flock util-linux
	exec 9>"$guest/lock"
	flock 9
}

guest_unlock() {
	exec 9>&-
}

# What another script has ended with.
skip_or_fail() { # STATUS
	[ "$1" -eq 77 ] || echo "${0##*/}: exit status $1" >&2
	exit "$1"
}

# What goes into a guest, below ROOT: a file to the same place; the libraries of
# a program; a program, to where the guest's PATH is.
add() { # ROOT PATH
	[ -e "$1$2" ] || {
		mkdir -p "$1${2%/*}"
		cp -L "$2" "$1$2"
	}
}

add_libraries() { # ROOT PATH
	for library in $(ldd "$2" 2>/dev/null | sed -n 's/.*=> \(\/[^ ]*\).*/\1/p; s/^[[:space:]]*\(\/[^ ]*\) (.*/\1/p'); do
		add "$1" "$library"
	done
}

add_program() { # ROOT PATH
	rm -f "$1/usr/bin/${2##*/}"
	cp -L "$2" "$1/usr/bin/"
	add_libraries "$1" "$2"
}

# Packs the directory's contents, all of root's.
pack() { # ROOT FILE
	(cd "$1" && find . | busybox cpio -o -H newc -R 0:0 2>/dev/null) >"$2.new"
	mv "$2.new" "$2"
}
