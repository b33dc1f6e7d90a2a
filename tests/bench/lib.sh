# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=sh
#
# lib.sh: what the benchmarks of this machine and of the guest share. $bench is this directory.
# shellcheck disable=SC2154 # that is set by those who read this file

# shellcheck source=tests/lib.sh
. "$bench/../lib.sh"

rows() { # FUNCTION-OF-BENCH.JQ FILE
	jq -r -L "$bench" "include \"bench\"; $1" "$2"
}

table() { # FUNCTION-OF-BENCH.JQ FILE
	rows=$(rows "$@") || exit
	echo "$rows" | awk -F '\t' '
		{
			for (i = 1; i <= NF; i++) {
				cell[NR, i] = $i
				if (length($i) > width[i])
					width[i] = length($i)
			}
			fields = NF
		}
		END {
			for (row = 1; row <= NR; row++) {
				line = ""
				for (i = 1; i <= fields; i++)
					line = line sprintf(i == 1 ? "%-*s" : "  %*s", width[i], cell[row, i])
				sub(/ +$/, "", line)
				print line
			}
		}'
}

# The same, in Markdown.
markdown() { # FUNCTION-OF-BENCH.JQ FILE
	rows=$(rows "$@") || exit
	echo "$rows" | awk -F '\t' '
		{
			rule = "|"
			for (i = 1; i <= NF; i++)
				rule = rule "---|"
			gsub(/\t/, " | ")
			print "| " $0 " |"
			if (NR == 1)
				print rule
		}'
}

# What was measured, where and when, as JSON.
about() { # DAXSYNC
	jq -n --arg cpu "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)" --arg cores "$(nproc)" \
		--arg machine "$(uname -m)" --arg kernel "$(uname -r)" --arg date "$(date -u +%Y-%m-%dT%H:%M:%SZ)" \
		--arg load "$(cut -d ' ' -f 1-3 /proc/loadavg)" --arg daxsync "$("$1" --version)" \
		--arg commit "$(git -C "$bench" describe --always --dirty 2>/dev/null || echo unknown)" \
		--arg pmem2 "$(pkg-config --modversion libpmem2 2>/dev/null || echo unknown)" '
		{machine: {arch: $machine, cpu: $cpu, cores: ($cores | tonumber), load: $load}, kernel: $kernel, date: $date,
		versions: {daxsync: $daxsync, commit: $commit, libpmem2: $pmem2}}'
}
