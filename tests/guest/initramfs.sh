#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# initramfs.sh BUILD KERNEL: packs what a guest needs besides the kernel into
# BUILD/guest/KERNEL/system.cpio: the kernel's modules for persistent memory
# and its file systems, and Debian's programs with their libraries. It is made
# again when this script or `init` is newer, or the kernel is another one.
# Exit status: 0; 77 if a program is missing.
set -eu
# shellcheck source=tests/guest/lib.sh
. "${0%/*}/lib.sh"
guest_begin "$@"

# What must be there, and of which package; the second list is taken if there.
required='busybox:busybox-static dash:dash ndctl:ndctl mke2fs:e2fsprogs e2fsck:e2fsprogs
	mkfs.xfs:xfsprogs xfs_repair:xfsprogs modprobe:kmod xz:xz-utils'
wanted='strace mdb_stat mdb_dump mdb_load mdb_copy filefrag xfs_io dumpe2fs debugfs stdbuf'
# The library loads these, and libc the last one, only when they are needed.
dynamic='libpmem2.so.1 libunwind.so.8 libgcc_s.so.1'
modules='nfit nd_pmem nd_btt dax_pmem device_dax crc32c_generic ext2 ext4 xfs virtio_pci virtio_pmem'

for program in $required; do
	need "${program%:*}" "${program#*:}"
done
guest_lock
version=$(cat "$guest/version")
[ ! -f "$guest/system.cpio" ] ||
	[ -n "$(find "$here/init" "$here/lib.sh" "$0" "$guest/version" -newer "$guest/system.cpio")" ] || exit 0

root=$guest/system
rm -rf "$root"
for dir in usr/bin usr/lib usr/lib64 proc sys dev etc tmp run root mnt modules; do
	mkdir -p "$root/$dir"
done
ln -s usr/bin "$root/bin"
ln -s usr/bin "$root/sbin"
ln -s bin "$root/usr/sbin"
ln -s usr/lib "$root/lib"
ln -s usr/lib64 "$root/lib64"
echo 'root:x:0:0::/root:/bin/sh' >"$root/etc/passwd"
ln -s /proc/self/mounts "$root/etc/mtab"

cp -L "$(command -v busybox)" "$root/usr/bin/busybox"
for applet in $(busybox --list); do
	[ "$applet" = busybox ] || ln -s busybox "$root/usr/bin/$applet"
done
for program in $required $wanted; do
	path=$(command -v "${program%:*}") || continue
	[ "${program%:*}" != busybox ] || continue
	add_program "$root" "$path"
done
for library in $dynamic; do
	path=$(PATH=$PATH:/sbin ldconfig -p | awk -v name="$library" '$1 == name && /x86-64/ { print $NF; exit }')
	[ -n "$path" ] || skip "$library is missing"
	add "$root" "$path"
	add_libraries "$root" "$path"
done
# busybox's own shell would run its applets in place of the programs.
ln -sf dash "$root/usr/bin/sh"
# stdbuf's other half
for library in /usr/libexec/coreutils/libstdbuf.so /usr/lib/x86_64-linux-gnu/coreutils/libstdbuf.so; do
	[ ! -f "$library" ] || add "$root" "$library"
done
# mkfs.xfs makes by default what the oldest kernel may not know yet, and comes with a list of what that
# does. (The one of xfsprogs 6.1 is refused by its own mkfs.xfs, which needs none.)
config=/usr/share/xfsprogs/mkfs/lts_6.1.conf
truncate -s 512M "$guest/xfs.img"
! mkfs.xfs -N -c "options=$config" "$guest/xfs.img" >/dev/null 2>&1 || cp "$config" "$root/etc/mkfs.xfs.conf"
rm "$guest/xfs.img"

# The modules in the order in which they have to be loaded.
for module in $modules; do
	modprobe -C /dev/null -d "$guest/root" -S "$version" --show-depends "$module" 2>/dev/null || true
done | awk '$1 == "insmod" && !seen[$2]++ { print $2 }' >"$guest/modules"
grep -q nd_pmem "$guest/modules" || fail "kernel $version has no module nd_pmem"
while read -r path; do
	name=${path##*/}
	case $name in
	*.xz) xz -dc "$path" >"$root/modules/${name%.xz}" ;;
	*.zst) zstd -qdc "$path" >"$root/modules/${name%.zst}" ;;
	*) cp "$path" "$root/modules/$name" ;;
	esac
	echo "${name%%.ko*}.ko" >>"$root/modules/order"
done <"$guest/modules"

cp "$here/init" "$root/init"
chmod 755 "$root/init"
pack "$root" "$guest/system.cpio"
rm -rf "$root"
