#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# packages.sh [--list] build|package|quickstart|test|bench: installs the Debian packages that
# are needed for it and not there yet (Debian 12 and later). Needs root or sudo
# only if something is missing. --list prints the names and installs nothing.
set -eu

list=
[ "${1:-}" != --list ] || {
	list=1
	shift
}

build='gcc libc6-dev cmake make pkg-config libpmem2-dev libunwind-dev libjemalloc-dev'
package="$build dpkg-dev file"
quickstart="$build liblmdb-dev lmdb-utils unicode-data jq"

# libclang-rt-dev and gcc's own dependencies bring the sanitizers.
test="$quickstart $package g++ clang libclang-rt-dev clang-tidy clang-format cppcheck shellcheck
	libcriterion-dev spin
	python3 python3-lmdb kyotocabinet-utils libkyotocabinet-dev tkrzw-utils libtkrzw-dev fio slapd ldap-utils postgresql
	libeatmydata1 libgoogle-perftools-dev default-jre-headless libpmem-dev libpmemobj-dev
	git strace gdb time procps
	lintian mandoc zsh
	gnuplot-nox
	gcc-aarch64-linux-gnu libc6-dev-arm64-cross
	patch qemu-system-x86 busybox-static ndctl e2fsprogs xfsprogs kmod xz-utils"

# for tests/bench/plot.sh and clients.sh, which no test runs
bench="$quickstart gnuplot-nox python3 python3-lmdb kyotocabinet-utils tkrzw-utils rocksdb-tools fio
	libpmem-dev libpmemobj-dev"

case ${1:-} in
build) wanted=$build ;;
package) wanted=$package ;;
quickstart) wanted=$quickstart ;;
test) wanted=$test ;;
bench) wanted=$bench ;;
*)
	echo 'usage: packages.sh [--list] build|package|quickstart|test|bench' >&2
	exit 2
	;;
esac

if [ -n "$list" ]; then
	# shellcheck disable=SC2086 # one name a line
	printf '%s\n' $wanted
	exit 0
fi

fail() {
	echo "packages.sh: $*" >&2
	exit 1
}

command -v dpkg-query >/dev/null 2>&1 ||
	fail "this is no Debian; packages like these are needed: $(echo "$wanted" | tr -s '\n\t' ' ')"
missing=
for package in $wanted; do
	case $(dpkg-query -W -f='${db:Status-Abbrev}' "$package" 2>/dev/null || true) in
	?i*) ;;
	*) missing="$missing $package" ;;
	esac
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" -eq 0 ]; then
	as_root='env'
elif command -v sudo >/dev/null 2>&1; then
	as_root='sudo env'
	# nobody to ask for a password
	[ -t 0 ] || as_root='sudo -n env'
else
	fail "neither root nor sudo: install as root:$missing"
fi

log=$(mktemp)
policy=
# shellcheck disable=SC2086 # several words
clean_up() {
	rm -f "$log"
	[ -z "$policy" ] || $as_root rm -f "$policy"
}
trap clean_up EXIT
apt() {
	# shellcheck disable=SC2086 # several words
	$as_root DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300 "$@" >"$log" 2>&1 || {
		tail -n 10 "$log" >&2
		fail "could not install:$missing"
	}
}

# Servers among the packages are not started: tests start their own.
# shellcheck disable=SC2086 # several words
services_hold() {
	[ ! -e /usr/sbin/policy-rc.d ] || return 0
	policy=/usr/sbin/policy-rc.d
	printf '#!/bin/sh\nexit 101\n' | $as_root tee "$policy" >/dev/null
	$as_root chmod 755 "$policy"
}

echo "packages.sh: installing$missing"
apt update
services_hold
# shellcheck disable=SC2086 # several names
apt install -y --no-install-recommends $missing
