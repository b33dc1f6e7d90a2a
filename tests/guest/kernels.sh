#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# kernels.sh BUILD KERNEL: downloads a Debian kernel and unpacks it into
# BUILD/guest/KERNEL: `vmlinuz`, and its modules below `root`. Nothing is
# installed. Packages of another suite than the machine's own are found with an
# apt configuration of its own, on the mirror that the machine's sources name,
# so these stay as they are. What was unpacked once is kept.
# Exit status: 0; 77 if the kernel cannot be had.
set -eu
# shellcheck source=tests/guest/lib.sh
. "${0%/*}/lib.sh"
# shellcheck source=tests/apt.sh
. "${0%/*}/../apt.sh"
guest_begin "$@"
guest_lock
[ ! -f "$guest/version" ] || exit 0

work=$guest/work
rm -rf "$work"
mkdir -p "$work/root"
log=$guest/kernels.log
: >"$log"
apt_begin "$work" "$log"

# Debian 12 offers the kernel of Debian 13 itself, in a much smaller list.
case $kernel in
6.1) suites=bookworm ;;
6.12) suites=trixie && [ "$release" != bookworm ] || suites='bookworm-backports trixie' ;;
*) suites=$kernel ;;
esac

# What a package needs of the kernel's own packages: linux-image-amd64 names the
# package that has the kernel, and that may name one for its modules.
kernel_depends() { # PACKAGE
	apt-cache show --no-all-versions "$1" 2>>"$log" | sed -n 's/^Depends: //p' | tr ',' '\n' | tr -d ' ' |
		sed -n 's/[(:].*//; /^linux-\(image\|modules\|binary\)-[0-9]/p' | sort -u
}

download() { # SUITE
	apt_suite "$1" || return 1
	packages=
	todo=$(kernel_depends linux-image-amd64)
	while [ -n "$todo" ]; do
		packages="$packages $todo"
		next=
		for package in $todo; do
			next="$next $(kernel_depends "$package")"
		done
		todo=$(echo "$next" | tr -s ' \n' ' ' | sed 's/^ *//; s/ *$//')
	done
	[ -n "$packages" ] || return 1
	# shellcheck disable=SC2086 # several names
	apt_download $packages
}

found=
for suite in $suites; do
	if download "$suite"; then
		found=$suite
		break
	fi
done
[ -n "$found" ] || skip "linux-image-amd64 of $suites cannot be downloaded from $mirror (see $log)"

# No guest has hardware for these, and they are most of the files.
for deb in "$work"/debs/*.deb; do
	dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$work/root" --exclude='*/drivers/gpu' --exclude='*/drivers/media' \
		--exclude='*/drivers/net' --exclude='*/kernel/sound'
done
[ -d "$work/root/lib/modules" ] || { [ -d "$work/root/usr/lib/modules" ] && ln -s usr/lib "$work/root/lib"; } ||
	fail "no modules in $packages"
version=$(ls "$work/root/lib/modules")
# Debian keeps the kernel with its modules from Linux 7 on.
vmlinuz=$work/root/boot/vmlinuz-$version
[ -f "$vmlinuz" ] || vmlinuz=$work/root/lib/modules/$version/vmlinuz
[ -f "$vmlinuz" ] || fail "no kernel $version in $packages"
depmod -b "$work/root" "$version" 2>>"$log" || fail "depmod failed (see $log)"
rm -rf "$guest/root" "$guest/vmlinuz"
mv "$vmlinuz" "$guest/vmlinuz"
mv "$work/root" "$guest/root"
rm -rf "$work"
echo "$version" >"$guest/version"
echo "kernels.sh: $version from $found"
