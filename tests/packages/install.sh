#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# install.sh [BUILD]: the packages are installed by dpkg in a small root that has what they depend on and no compiler, do the
# quickstart's job there, and are purged. Nothing of them is left.
#
# The root is made of the files of packages that are installed on this machine, in a mount namespace: nothing of the machine
# changes.
set -eu

# shellcheck source=tests/packages/lib.sh
. "${0%/*}/lib.sh"
if [ "${1:-}" != --inside ]; then
	packages_begin install "$@"
	need unshare util-linux
	# In a chroot, whose root is no mount, what is mounted would be seen outside if the mount that it is in is shared.
	private=private
	unshare -m true 2>"$scratch/err" || private=unchanged
	unshare -m --propagation $private true 2>"$scratch/err" || skip "no mount namespace, be root: $(cat "$scratch/err")"
	status=0
	unshare -m --propagation $private sh "$0" --inside "$build" || status=$?
	exit "$status"
fi
shift
packages_begin install "$@"
need jq jq
program=$build/bin/examples/lmdb_unicode
table=/usr/share/unicode/UnicodeData.txt
[ -x "$program" ] || skip "$program was not built (package liblmdb-dev)"
[ -r "$table" ] || skip "$table is missing (package unicode-data)"
for package in liblmdb0 libpmem2; do
	dpkg-query -W "$package" >/dev/null 2>&1 || skip "the package $package is missing"
done
root=$scratch/root
mkdir "$root"
trap 'umount -l -R "$root" 2>/dev/null; rm -rf --one-file-system "$scratch"' EXIT
mount -t tmpfs -o mode=755 tmpfs "$root" 2>"$scratch/err" || skip "nothing can be mounted: $(cat "$scratch/err")"

# The names of packages and of all that they depend on. Of alternatives the first that is here is taken, and of virtual
# packages what provides them.
closure() { # PACKAGE...
	dpkg-query -W -f='${db:Status-Abbrev}\t${Package}\t${Pre-Depends}, ${Depends}\t${Provides}\n' | awk -F '\t' -v wanted="$*" '
		function bare(text) {
			gsub(/\([^)]*\)|:[a-z0-9]+|[ \t]/, "", text)
			return text
		}
		$1 ~ /^.i/ {
			needs[$2] = bare($3)
			nr = split(bare($4), name, ",")
			for (i = 1; i <= nr; i++)
				if (!(name[i] in provider))
					provider[name[i]] = $2
		}
		function add(name, list, choice, nr, nr_choices, i, j) {
			if (!(name in needs))
				name = provider[name]
			if (name == "" || name in done)
				return
			done[name] = 1
			print name
			nr = split(needs[name], list, ",")
			for (i = 1; i <= nr; i++) {
				nr_choices = split(list[i], choice, "|")
				for (j = 1; j <= nr_choices; j++)
					if (choice[j] in needs || choice[j] in provider) {
						add(choice[j])
						break
					}
			}
		}
		END {
			nr_wanted = split(wanted, first, " ")
			for (k = 1; k <= nr_wanted; k++)
				add(first[k])
		}'
}

# dpkg and what its scripts call, and what the packages depend on.
closure dpkg dash coreutils sed grep tar findutils diffutils libc-bin debconf liblmdb0 libpmem2 | sort -u >"$scratch/packages"
mkdir -p "$root/usr/bin" "$root/usr/sbin" "$root/usr/lib" "$root/usr/lib64" "$root/var/lib/dpkg/info" \
	"$root/var/lib/dpkg/updates" "$root/var/log" "$root/proc" "$root/dev" "$root/tmp" "$root/run" "$root/job"
for dir in bin sbin lib lib64; do # as on the machine itself since Debian 12
	ln -s "usr/$dir" "$root/$dir"
done
xargs dpkg-query -L <"$scratch/packages" | grep '^/.' | grep -v '^/usr/share/\(doc\|man\|locale\|info\)/' |
	sed -E 's,^/(bin|sbin|lib|lib64)(/|$),/usr/\1\2,' | sort -u | while read -r file; do
	[ ! -e "$file" ] || echo "${file#/}"
done >"$scratch/list"
tar -C / --no-recursion -cf - -T "$scratch/list" | tar -C "$root" --keep-directory-symlink -xf -
while read -r package; do
	for file in "/var/lib/dpkg/info/$package".* "/var/lib/dpkg/info/$package":*; do
		[ ! -f "$file" ] || cp "$file" "$root/var/lib/dpkg/info/"
	done
done <"$scratch/packages"
cp /var/lib/dpkg/info/format "$root/var/lib/dpkg/info/"
awk -v RS= -v ORS='\n\n' 'NR == FNR { split($0, names, "\n"); for (i in names) wanted["Package: " names[i]]; next }
	{ split($0, line, "\n") } line[1] in wanted' "$scratch/packages" /var/lib/dpkg/status >"$root/var/lib/dpkg/status"
cp /etc/passwd /etc/group "$root/etc/"
mount --bind /proc "$root/proc"
mkdir "$root/dev/shm"
for device in null zero; do
	: >"$root/dev/$device"
	mount --bind "/dev/$device" "$root/dev/$device"
done
cp "$program" "$table" "$tree"/*.deb "$root/job/"

inside() { # COMMAND...
	chroot "$root" env -i PATH=/usr/sbin:/usr/bin HOME=/job DEBIAN_FRONTEND=noninteractive "$@"
}
quietly() { # COMMAND...
	inside "$@" >"$scratch/out" 2>&1 || fail "$*: $(cat "$scratch/out")"
}
# What dpkg and ldconfig keep for themselves is not compared.
content() {
	(cd "$root" && find . -xdev \( -path ./var/lib/dpkg -o -path ./var/log -o -path ./job -o -path ./var/cache/ldconfig \
		-o -path ./etc/ld.so.cache \) -prune -o -printf '%p %M %u %g %l\n' | sort)
}

quietly ldconfig
content >"$scratch/before"
! inside cc --version >/dev/null 2>&1 || fail 'there is a compiler in the root'

# In one go, as a user would, and in the order of their dependencies by dpkg itself.
quietly sh -c 'dpkg -i /job/*.deb'
for package in libdaxsync0 libdaxsync-dev daxsync; do
	# shellcheck disable=SC2016 # a field of dpkg-query's
	[ "$(inside dpkg-query -W -f='${db:Status-Status}' "$package")" = installed ] || fail "$package is not installed"
done
quietly ldconfig -p
grep -q 'libdaxsync\.so\.0 ' "$scratch/out" || fail 'ldconfig was not triggered'

# The quickstart's job: LMDB stores Unicode's table, verified; then the power fails half-way, and LMDB opens what is left.
mkdir "$root/job/verified" "$root/job/cut" "$root/job/survived" "$root/job/images"
load() { # NAME OPTION...
	directory=$1
	shift
	inside daxsync run --emulate --stats="/job/$directory.json" "$@" -- /job/lmdb_unicode load "/job/$directory" \
		/job/UnicodeData.txt >"$scratch/out" 2>"$scratch/err"
}
load verified --verify || fail "the load: status $?, $(cat "$scratch/err")"
jq -e '.syncs > 100 and .kernel_syncs == 0 and .verified_pages > 1000 and .missed_pages == 0' "$root/job/verified.json" \
	>/dev/null || fail "the load: $(cat "$root/job/verified.json")"
quietly /job/lmdb_unicode check /job/verified /job/UnicodeData.txt "$(wc -l <"$table")"
status=0
load cut --powercut="$(jq '.fences / 2 | floor' "$root/job/verified.json"):1" --image-dir=/job/images || status=$?
[ "$status" -eq 137 ] || fail "the power cut: status $status, $(cat "$scratch/err")"
acknowledged=$(sed -n 's/^committed //p' "$scratch/out" | tail -n 1)
mv "$root"/job/images/data.mdb.* "$root/job/survived/data.mdb"
quietly /job/lmdb_unicode check /job/survived /job/UnicodeData.txt "$acknowledged"
quietly daxsync check --emulate /job

quietly dpkg --purge daxsync libdaxsync-dev libdaxsync0
# Root's registry of writers, with a page for a file whose last writer was killed (doc/limits.md). All of /run is gone with the
# next boot.
find "$root/run/daxsync" -mindepth 1 ! -name 'daxsync-writers.*' >"$scratch/left"
[ ! -s "$scratch/left" ] || fail "left: $(cat "$scratch/left")"
rm -r "$root/run/daxsync"
content >"$scratch/after"
diff "$scratch/before" "$scratch/after" || fail 'this is left, or gone, when the packages have been purged'
! inside ldconfig -p | grep -q daxsync || fail 'ldconfig still knows the library'
saw "$(wc -l <"$scratch/packages") packages in the root, $acknowledged lines survived the power cut"
