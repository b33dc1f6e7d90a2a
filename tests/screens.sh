#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# screens.sh BUILD [DIRECTORY]: runs programs under daxsync, on emulated persistent memory, and writes what it shows of them:
# screens.md and screens/*.svg (in doc). Needs gnuplot, LMDB's example and Unicode's table (sh tests/packages.sh test).
set -eu
here=$(cd "${0%/*}/.." && pwd)
[ $# -ge 1 ] || {
	echo 'usage: screens.sh BUILD [DIRECTORY]' >&2
	exit 2
}
build=$(cd "$1" && pwd)
to=${2:-$here/doc}
table=/usr/share/unicode/UnicodeData.txt
for needed in "$build/bin/examples/lmdb_unicode" "$table"; do
	[ -e "$needed" ] || {
		echo "screens.sh: $needed is missing" >&2
		exit 77
	}
done

# A name that is the same each time, as the screens show it.
work=/dev/shm/daxsync-screens
mkdir "$work"
pids=
clean_up() {
	# shellcheck disable=SC2086 # several words
	[ -z "$pids" ] || kill $pids 2>/dev/null || true
	rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
PATH=$build/bin:$build/bin/examples:$build/bin/examples/crashtest:$PATH
mkdir -p "$to/screens" "$work/db" "$work/files"
cd "$work"

# A command as it is typed, and what it prints.
show() { # STATUS COMMAND
	status=0
	sh -c "$2" >"$work/shown" 2>&1 || status=$?
	[ "$status" -eq "$1" ] || {
		cat "$work/shown" >&2
		echo "screens.sh: status $status: $2" >&2
		exit 1
	}
	printf '```console\n$ %s\n' "$(echo "$2" | sed 's/ -- / -- \\\n      /')"
	cat "$work/shown"
	printf '```\n'
}

# What `daxsync top` shows at one moment of a program that goes on.
show_top() {
	daxsync run --emulate --report=/dev/null -- lmdb_unicode churn db "$table" 100000 >/dev/null 2>&1 &
	launcher=$!
	pids=$launcher
	until program=$(pgrep -P "$launcher" lmdb_unicode) &&
		daxsync stat "$program" 2>/dev/null | grep -q '"syncs":[0-9]\{4\}'; do
		kill -0 "$launcher"
		sleep 0.1
	done
	pids="$pids $program"
	printf '```console\n$ daxsync top %s\n' "$program"
	# Each screen ends with an empty line, where the output is no terminal.
	daxsync top "$program" | sed '/^$/q' | sed '/^$/d'
	printf '```\n'
	kill "$program"
	wait "$launcher" || true
	pids=
}

plot() { # NAME TEXT: of NAME.json
	daxsync plot "$1.json" -o "$to/screens/$1.svg"
	[ "$(wc -c <"$to/screens/$1.svg")" -lt 40960 ] || {
		echo "screens.sh: $1.svg is too large" >&2
		exit 1
	}
	# shellcheck disable=SC2016 # no command of this shell
	printf '```console\n$ daxsync plot %s.json\n```\n\n![%s](screens/%s.svg)\n' "$1" "$2" "$1"
}

{
	cat <<-END
		# What daxsync shows

		Screens and pictures of real runs, made by \`sh tests/screens.sh BUILD\` with emulated persistent memory, on a machine
		with $(nproc) CPUs that had other work to do. So the durations are examples, and say nothing of persistent
		memory ([measurements.md](measurements.md) does).

		## The report

		At the end of a run (\`man daxsync-run\`); with \`--verify\` the durations include the verifier's work:

	END
	show 0 "daxsync run --emulate --verify --stats=load.json --report=report -- lmdb_unicode load db $table >/dev/null; cat report"
	cat <<-END

		The file that \`--stats\` names, drawn (\`man daxsync-plot\`):

	END
	plot load 'what became of the syncs, the pages and the files of an LMDB load, and how long the syncs took'
	cat <<-END

		## A running program

		The same of a program that goes on, once a second (\`man daxsync-top\`); here it stores to all of its
		database again and again:

	END
	rm -rf db
	mkdir db
	show_top
	cat <<-END

		## A crash test

		\`log_mistake\` forgets to sync a length ([crashtest.md](crashtest.md)):

	END
	# shellcheck disable=SC2016 # for the shell that runs it
	show 1 'daxsync crashtest --dir=files --keep=kept --model=disk --json=broke.json --check='\''log log.data $(tail -n 1 %o)'\'' -- log_mistake files/log.data add 20'
	echo
	plot broke 'at most moments the check fails in one or two of three draws'
	cat <<-END

		Without the mistake, and with lines of 64 bytes as what arrives:

	END
	rm -rf files kept
	mkdir files
	# shellcheck disable=SC2016 # for the shell that runs it
	show 0 'daxsync crashtest --dir=files --model=pmem --json=survived.json --check='\''log log.data $(tail -n 1 %o)'\'' -- log files/log.data add 15'
	echo
	plot survived 'no check fails'
} >"$work/screens.md"
mv "$work/screens.md" "$to/screens.md"
