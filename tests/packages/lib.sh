# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=sh
#
# lib.sh: what the tests of the Debian packages share. A test reads it with
#
#     . "${0%/*}/lib.sh"
#     packages_begin NAME "$@"      arguments of every test: [BUILD]
#
# build.sh builds the packages in $tree, which lies in the build directory of the tests.
#
# Exit status: 0 passed, 1 failed, 77 something is missing (named).

# shellcheck source=tests/lib.sh
. "${tests_dir:-${0%/*}/..}/lib.sh"

packages_begin() { # NAME [BUILD]
	name=packages.$1
	source=$(cd "${0%/*}/../.." && pwd)
	build=${2:-$source/build/release}
	build=$(cd "$build" && pwd)
	tree=$build/packages
	need dpkg-deb dpkg
	if [ "$name" != packages.build ] && [ ! -f "$tree/done" ]; then
		skip 'the packages were not built (packages.build)'
	fi
	scratch_begin "${TMPDIR:-/tmp}"
	settings_clear
}

# Builds the packages of a source tree, to lie in BUILD. CPack's own archive has the modes of its parts, by the umask.
make_packages() { # SOURCE BUILD
	{
		(cd "$1" && cmake --preset package -B "$2") &&
			cmake --build "$2" --parallel "${CMAKE_BUILD_PARALLEL_LEVEL:-$(nproc)}" &&
			(cd "$2" && umask 022 && cpack)
	} >"$scratch/log" 2>&1 || {
		tail -n 40 "$scratch/log"
		fail "the packages of $1 were not built"
	}
}

deb_of() { # PACKAGE [DIRECTORY]
	for deb in "${2:-$tree}/$1"_*.deb; do
		[ -f "$deb" ] || fail "there is no package $1 in ${2:-$tree}"
		echo "$deb"
	done
}

unpack() { # DIRECTORY PACKAGE...
	directory=$1
	shift
	for package; do
		dpkg-deb -x "$(deb_of "$package")" "$directory"
	done
}

saw() { # WHAT: the test has passed
	echo "$name: passed ($*)"
}
