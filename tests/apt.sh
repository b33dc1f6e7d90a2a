# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=sh
#
# apt.sh: packages that are unpacked and not installed. Who reads it has `skip` and `need`.

# apt with a configuration of its own below WORK, on the mirror that the machine's sources name for its own release: for
# packages of other suites, which are unpacked and not installed. The machine's sources stay as they are.
apt_begin() { # WORK LOG [ARCHITECTURE]
	need apt-get apt
	need dpkg-deb dpkg
	apt_work=$1 apt_log=$2 apt_arch=${3:-$(dpkg --print-architecture)}
	release=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release 2>/dev/null || true)
	[ -n "$release" ] || skip 'this is no Debian release, and its packages are needed'
	# shellcheck disable=SC2016 # apt's variables
	lists='$(RELEASE)|$(CODENAME)|$(COMPONENT)|$(REPO_URI)'
	mirror=$(apt-get indextargets --format "$lists" 'Created-By: Packages' 2>/dev/null |
		awk -F '|' -v name="$release" '$3 == "main" && ($1 == name || $2 == name) { print $4; exit }')
	[ -n "$mirror" ] || skip "apt's sources name no mirror of $release"
	mkdir -p "$apt_work/keys" "$apt_work/lists/partial" "$apt_work/cache/archives/partial" "$apt_work/state" \
		"$apt_work/debs"
	for key in /etc/apt/trusted.gpg.d/* /usr/share/keyrings/debian-archive-keyring.gpg; do
		[ ! -f "$key" ] || ln -sf "$key" "$apt_work/keys/"
	done
	# apt's own configuration (a proxy, say) stays in force; only files are others. Its user for downloads may not be
	# able to enter the build directory.
	cat >"$apt_work/apt.conf" <<CONF
Dir::Etc::sourcelist "$apt_work/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
Dir::Etc::trustedparts "$apt_work/keys";
Dir::State "$apt_work/state";
Dir::State::lists "$apt_work/lists";
Dir::Cache "$apt_work/cache";
Acquire::Languages "none";
Acquire::Retries "3";
APT::Sandbox::User "root";
APT::Architecture "$apt_arch";
APT::Architectures { "$apt_arch"; };
CONF
	APT_CONFIG=$apt_work/apt.conf
	export APT_CONFIG
}

# Reads a suite's list of packages.
apt_suite() { # SUITE
	echo "deb [arch=$apt_arch] $mirror $1 main" >"$apt_work/sources.list"
	apt-get -q update >>"$apt_log" 2>&1
}

apt_download() { # PACKAGE...: into WORK/debs
	(cd "$apt_work/debs" && apt-get -q download "$@") >>"$apt_log" 2>&1
}
