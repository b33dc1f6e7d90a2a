# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=sh
#
# lib.sh: what the launcher's tests share. A test reads it with
#
#     . "${0%/*}/lib.sh"
#     launcher_begin NAME "$@"      arguments of every test: [BUILD]
#
# `run STATUS COMMAND...` runs a command, keeps what it says in $scratch/out and
# $scratch/err, and fails unless it exits with that status (`0|121`: with one of
# these). Then `says`,
# `says_nothing`, `prints` judge what it said.
#
# Exit status: 0 passed, 1 failed, 77 something is missing (named).

# shellcheck source=tests/lib.sh
. "${tests_dir:-${0%/*}/..}/lib.sh"

# Some tests start the launcher as another user, who may not be able to reach the build directory: then a copy is used.
place_for_others() {
	[ "$(id -u)" -eq 0 ] && command -v setpriv >/dev/null 2>&1 || return 0
	! setpriv --reuid=65534 --regid=65534 --clear-groups -- test -x "$daxsync" || return 0
	chmod 711 "$scratch"
	mkdir -p "$scratch/place/bin" "$scratch/place/lib"
	cp "$build/bin/daxsync" "$scratch/place/bin/"
	cp -P "$build"/lib/libdaxsync* "$scratch/place/lib/"
	build=$scratch/place
	daxsync=$build/bin/daxsync
}

launcher_begin() { # NAME [BUILD]
	name=$1
	build=${2:-${0%/*}/../../build/release}
	[ -x "$build/bin/daxsync" ] || skip "$build/bin/daxsync was not built"
	! grep -Eq 'lib(asan|tsan|ubsan)\.so' "$build/lib/libdaxsync-preload.so" 2>/dev/null ||
		skip 'a library with a sanitizer cannot be preloaded into other programs'
	# shellcheck disable=SC2034 # for those who read this file
	source=$(cd "${0%/*}/../.." && pwd)
	build=$(cd "$build" && pwd)
	# shellcheck disable=SC2034 # for those who read this file
	daxsync=$build/bin/daxsync
	scratch_begin "${TMPDIR:-/tmp}"
	export TMPDIR="$scratch" # for temporary image directories: a launcher killed by a test leaves one
	place_for_others
	settings_clear
}

# Compiles one C file of this directory, or standard input as "-".
compile() { # SOURCE OUTPUT OPTION...
	need "${CC:-cc}" gcc
	input=$1
	output=$2
	shift 2
	"${CC:-cc}" -std=gnu11 -D_GNU_SOURCE -Wall -Wextra -I"$source/lib" -x c "$input" -o "$output" "$@" \
		2>"$scratch/err" || fail "cannot compile $input"
}

run() { # STATUS COMMAND...
	expected=$1
	shift
	status=0
	"$@" >"$scratch/out" 2>"$scratch/err" || status=$?
	case "|$expected|" in
	*"|$status|"*) ;;
	*) fail "exit status $status instead of $expected: $*" ;;
	esac
}

says_nothing() {
	[ ! -s "$scratch/err" ] || fail 'it should have said nothing'
}

# One line on standard error that begins with "daxsync: " and holds the text.
says() { # TEXT
	[ "$(wc -l <"$scratch/err")" -eq 1 ] || fail "one line was expected, with: $1; and there is: $(cat "$scratch/err")"
	grep -q '^daxsync: ' "$scratch/err" || fail 'the line does not begin with "daxsync: "'
	grep -qF -- "$1" "$scratch/err" || fail "the line does not say: $1"
}

prints() { # TEXT
	grep -qF -- "$1" "$scratch/out" || fail "the output does not hold: $1"
}

equals() { # WHAT VALUE EXPECTED
	[ "$2" = "$3" ] || fail "$1 is \"$2\" instead of \"$3\""
}

# Waits, up to ten seconds, for a condition.
eventually() { # COMMAND...
	tries=0
	until "$@" >/dev/null 2>&1; do
		tries=$((tries + 1))
		[ "$tries" -lt 200 ] || fail "does not come true: $*"
		sleep 0.05
	done
}

# Starts a program that goes on until its input ends, and waits for what it says when it is ready. What an earlier one has
# said is removed first: the new one's file is only made once its input is open.
hold() { # PATTERN COMMAND...
	ready=$1
	shift
	[ -p "$scratch/input" ] || mkfifo "$scratch/input"
	rm -f "$scratch/held"
	"$@" <"$scratch/input" >"$scratch/held" 2>"$scratch/err" &
	held=$!
	exec 3>"$scratch/input"
	eventually grep -q "$ready" "$scratch/held"
}

let_go() { # its status is the program's
	exec 3>&-
	wait "$held"
}
