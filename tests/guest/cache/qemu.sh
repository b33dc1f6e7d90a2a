#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# qemu.sh BUILD: a QEMU whose plugins can read registers (10 or newer) at BUILD/guest/qemu/run: the machine's own, or one
# that is unpacked from Debian's packages. Nothing is installed.
# Exit status: 0; 77 if it cannot be had.
set -eu
tests_dir=${0%/*}/../..
# shellcheck source=tests/guest/lib.sh
. "${0%/*}/../lib.sh"
# shellcheck source=tests/apt.sh
. "${0%/*}/../../apt.sh"
guest_begin "$1" qemu
guest_lock
[ ! -x "$guest/run" ] || exit 0

version=$(qemu-system-x86_64 --version 2>/dev/null | sed -n 's/^QEMU emulator version \([0-9]*\).*/\1/p')
if [ "${version:-0}" -ge 10 ]; then
	ln -sf "$(command -v qemu-system-x86_64)" "$guest/run"
	exit 0
fi
work=$guest/work
rm -rf "$work" "$guest/root"
mkdir -p "$guest/root"
: >"$guest/qemu.log"
apt_begin "$work" "$guest/qemu.log"
if ! apt_suite "$release-backports" || ! apt_download qemu-system-x86 qemu-system-common qemu-system-data; then
	skip "QEMU 10 of $release-backports cannot be downloaded from $mirror (see $guest/qemu.log)"
fi
for deb in "$work"/debs/*.deb; do
	dpkg-deb -x "$deb" "$guest/root"
done
rm -rf "$work"
missing=$(ldd "$guest/root/usr/bin/qemu-system-x86_64" | sed -n 's/ => not found//p')
[ -z "$missing" ] || skip "QEMU of $release-backports lacks: $missing"
# Its firmware is that of the machine's own QEMU.
cat >"$guest/run.new" <<RUN
#!/bin/sh
exec '$guest/root/usr/bin/qemu-system-x86_64' -L '$guest/root/usr/share/qemu' -L /usr/share/seabios -L /usr/share/qemu "\$@"
RUN
chmod +x "$guest/run.new"
mv "$guest/run.new" "$guest/run"
echo "qemu.sh: $("$guest/run" --version | head -n 1)"
