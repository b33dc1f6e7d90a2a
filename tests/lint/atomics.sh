#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# atomics.sh [BUILD]: whoever declares an atomic object of the libraries or the shim says what orders it, in a comment: one
# of the words relaxed, acquire, release and seq_cst, then a colon on the same line, then the reason and the partner.
#
#     // seq_cst: set before the epoch turns; partner: trap_store
#     // relaxed, all: statistics
#
# The comment is on the line of the declaration, or it stands alone above a group of them: it then covers what follows, up
# to the next empty line, brace or comment that stands alone. What only names an object has none of its own: extern,
# parameters, local pointers to a word that is declared elsewhere.
set -eu

# shellcheck source=tests/lint/lib.sh
. "${0%/*}/lib.sh"
lint_begin atomics "$@"

# Lines "FILE:LINE: DECLARATION" for those without a comment, then "NUMBER declarations".
look() { # FILE...
	awk '
		function says(text) { return text ~ /(^|[^a-z_])(relaxed|acquire|release|seq_cst)([^a-z_].*)?:/ }
		FNR == 1 { covered = alone = 0 }
		{
			code = $0
			sub(/^[ \t]+/, "", code)
			at = index(code, "//")
			comment = at ? substr(code, at + 2) : ""
			if (at)
				code = substr(code, 1, at - 1)
			sub(/[ \t]+$/, "", code)
		}
		code == "" {
			if (!at)
				covered = 0
			else
				covered = says(comment) || (alone && covered) # of several lines, any
			alone = at
			next
		}
		{ alone = 0 }
		code ~ /^[^(]*(_Atomic|(^|[ \t])atomic_[a-z0-9_]+[ \t]+[a-z])/ && code !~ /^(extern|typedef|#)/ &&
		code ~ /[;,={]$/ && code !~ /\*[ \t]*[a-z_0-9]+(\(| = )/ {
			nr++
			if (!covered && !says(comment))
				print FILENAME ":" FNR ": " code
		}
		code ~ /[{}]/ && code !~ /=/ { covered = 0 }
		END { print nr + 0, "declarations" }' "$@"
}

# What has to be found, and nothing else: the numbers of the lines are the answer.
cat >"$scratch/sample.c" <<'EOF'
static _Atomic int bare; // a number
// acquire and release: a lock
static _Atomic int covered, covered_too;
static struct node *_Atomic also_covered;

static _Atomic(void *) bare_again;
// released by its owner: no order
static atomic_flag not_covered = ATOMIC_FLAG_INIT;
struct pair {
	// seq_cst: one before the other;
	// partner: walk
	_Atomic int one, other;
	// of people
	_Atomic bool alone;
	_Atomic uint32_t word; // relaxed: a statistic
};
extern _Atomic bool elsewhere;
static void set(_Atomic uint64_t *word, uint64_t value);
static _Atomic uint64_t *find(int key)
{
	_Atomic uint64_t *word = &words[key];
	static _Atomic int answer;
}
EOF
look "$scratch/sample.c" | sed -n 's/^[^:]*:\([0-9]*\):.*/\1/p' | tr '\n' ' ' >"$scratch/found"
[ "$(cat "$scratch/found")" = '1 6 8 14 22 ' ] || complain "finds lines $(cat "$scratch/found")of its own sample"

c_sources | grep '^\(lib\|preload\)/' >"$scratch/files"
# shellcheck disable=SC2046 # several words
look $(cat "$scratch/files") >"$scratch/all"
sed '$d' "$scratch/all" >"$scratch/wrong"
while read -r line; do
	complain "$line: no comment says its memory order"
done <"$scratch/wrong"
lint_end "$(sed -n '$p' "$scratch/all")"
