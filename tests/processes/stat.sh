#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# stat.sh [BUILD]: `daxsync stat`: the statistics of a process that runs, and of processes that have none.
set -eu

# shellcheck source=tests/launcher/lib.sh
. "${0%/*}/../launcher/lib.sh"
launcher_begin stat "$@"
need jq jq
processes=$build/bin/tests/processes
[ -x "$processes" ] || processes=$source/build/release/bin/tests/processes
mkdir "$scratch/registry"
export DAXSYNC_REGISTRY="$scratch/registry"

hold_case() { # CASE: a process that waits for the end of its input
	hold '^mapped: served' "$daxsync" run --emulate -- "$processes" "$1" "$scratch/file"
	pid=$held
}

is_true() { # WHAT FILTER: of the statistics printed last
	jq -e "$2" "$scratch/out" >/dev/null || fail "$1: not so: $2"
}

hold_case hold
run 0 "$daxsync" stat "$pid"
says_nothing
is_true 'a process that has mapped a file' ".pid == $pid and .program == \"processes\" and .syncs == 0"
is_true 'its mapping' '.mappings | length == 1'
is_true 'its mapping' ".mappings[0] | .path == \"$scratch/file\" and .mode == \"emulated\" and .count == 1"
keys=$(jq -cS keys "$scratch/out")
run 0 "$daxsync" stat "$pid" "$pid"
equals 'the number of objects' "$(jq -s length "$scratch/out")" 2
if [ "$(id -u)" -eq 0 ] && command -v setpriv >/dev/null 2>&1; then
	run 125 setpriv --reuid=65534 --regid=65534 --clear-groups -- "$daxsync" stat "$pid"
	says "the statistics of process $pid cannot be read: Permission denied"
fi
let_go
run 125 "$daxsync" stat "$pid"
says "there is no process $pid"

# The same keys as at exit.
"$daxsync" run --emulate --stats="$scratch/stats" -- "$processes" mode "$scratch/file" >/dev/null 2>&1
equals 'the keys' "$(jq -cS keys "$scratch/stats")" "$keys"

# A forked child counts for itself, from nothing; so does the parent go on.
hold_case fork_and_hold
child=$(sed -n 's/^child: //p' "$scratch/held")
run 0 "$daxsync" stat "$pid"
is_true 'the parent' ".pid == $pid and .syncs == 3"
run 0 "$daxsync" stat "$child"
is_true 'the child' ".pid == $child and .syncs == 2"
let_go

# Processes that have none.
run 1 "$daxsync" stat $$
says "process $$ has no statistics"
"$daxsync" run --emulate -- sleep 100 2>/dev/null &
pid=$!
eventually grep -q daxsync "/proc/$pid/maps"
run 1 "$daxsync" stat "$pid"
kill "$pid"

# What only bears the name of the statistics: a FIFO (which hung), a file, a memfd whose size can change under the reader;
# and what a hostile process puts there: texts without an end, texts and a name that would do something to a terminal. A file shows that name at the root of a file system of the process's own.
compile - "$scratch/named" -I"$source/include" <<'C'
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/config.h"
#include "report/stats.h"

#define CONTROLS "\033[1m\n\302\233\342\200\256" // C0, C1, and one that turns the direction
#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)
#define NAME "memfd:" DXS_STATS_NAME

struct dxs_stats dxs_stats;

static int memfd(int seals, const char *text)
{
	int fd = memfd_create(DXS_STATS_NAME, MFD_ALLOW_SEALING);

	memset(&dxs_stats, 'x', sizeof(dxs_stats));
	for (int i = 0; text && i < DXS_STATS_SLOTS; i++) {
		strcpy(dxs_stats.slot[i].key.path, text);
		strcpy(dxs_stats.slot[i].key.mode, text);
	}
	dxs_stats.size = sizeof(dxs_stats);
	strcpy(dxs_stats.version, DXS_VERSION);
	for (int i = 0; i < DXS_STATS_SLOTS; i++)
		dxs_stats.slot[i].state = 2;
	for (int i = 0; text && i < DXS_SITES; i++) {
		strcpy(dxs_stats.site[DXS_SITE_SYNC][i].path, i % 2 ? text : "/proc/self/fd/0");
		dxs_stats.site[DXS_SITE_SYNC][i].addr = i;
	}
	if (write(fd, &dxs_stats, sizeof(dxs_stats)) != sizeof(dxs_stats) || (seals && fcntl(fd, F_ADD_SEALS, seals)))
		return -1;
	return fd;
}

int main(int argc, char **argv)
{
	int fd = -1;

	if (argc != 2)
		return 2;
	if (!strcmp(argv[1], "fifo") && !mkfifo(NAME, 0600))
		fd = open(NAME, O_RDWR);
	if (!strcmp(argv[1], "file"))
		fd = open(NAME, O_RDWR | O_CREAT, 0600);
	if (fd >= 0 && unlink(NAME))
		return 2;
	if (!strcmp(argv[1], "unsealed"))
		fd = memfd(0, NULL);
	if (!strcmp(argv[1], "endless"))
		fd = memfd(SEALS, NULL);
	if (!strcmp(argv[1], "controls") && !prctl(PR_SET_NAME, CONTROLS))
		fd = memfd(SEALS, CONTROLS);
	if (fd < 0)
		return 2;
	puts("named");
	fflush(stdout);
	return getchar() != EOF;
}
C
named() { # STATUS COMMAND...
	wanted=$1
	shift
	hold named "$@"
	run "$wanted" timeout 10 "$daxsync" stat "$held"
	let_go
}
named 1 "$scratch/named" unsealed
says 'has no statistics'
named 0 "$scratch/named" endless
jq -e '.mappings[0].path | length == 255' "$scratch/out" >/dev/null || fail 'a text without an end was read on'
named 0 "$scratch/named" controls
equals 'what is not plain in the output' "$(LC_ALL=C tr -d '\040-\176\n' <"$scratch/out" | wc -c)" 0
equals 'the lines of the output' "$(wc -l <"$scratch/out")" 1
controls='"\u001b[1m\n\u009b\u202e"'
is_true 'a name with control characters' ".program == $controls and .mappings[0].path == $controls"

# top: a hostile process. Its call sites name a FIFO, and their counts are what they like.
named_top() { # KIND
	hold named "$scratch/named" "$1"
	: >"$scratch/screen"
	"$daxsync" top "$held" >"$scratch/screen" 2>"$scratch/err" 3>&- &
	top=$!
	eventually grep -q '^where it syncs' "$scratch/screen"
	let_go
	wait "$top" || fail "the status of top is $? when the process has ended"
	equals 'what is not plain on the screen' "$(LC_ALL=C tr -d '\040-\176\n' <"$scratch/screen" | wc -c)" 0
}
named_top endless
named_top controls
grep -q '^  ?\[1m???\{0,1\}$' "$scratch/screen" || fail 'the path is not shown'

# keeper: what others send. The launcher takes no memory that can change its size, and none of another user's; what has no
# keeper is written by its process.
compile - "$scratch/sends" -I"$source/include" <<'C'
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int main(void)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} control = {.header = {CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS}};
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct iovec iov = {"x", 1};
	const char *name = getenv("_DAXSYNC_KEEPER");
	struct msghdr message = {&address, 3 + (name ? strlen(name) : 0), &iov, 1, &control, sizeof(control), 0};
	int sock = socket(AF_UNIX, SOCK_DGRAM, 0), fd = memfd_create("daxsync-stats", MFD_ALLOW_SEALING);

	if (!name || sock < 0 || ftruncate(fd, 1 << 20))
		return 2;
	strncpy(address.sun_path + 1, name, sizeof(address.sun_path) - 2);
	memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
	if (sendmsg(sock, &message, 0) != 1)
		return 3;
	fd = 0; // something else than memory, and nothing at all
	memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
	if (sendmsg(sock, &message, 0) != 1)
		return 4;
	message.msg_controllen = 0;
	message.msg_control = NULL;
	return sendmsg(sock, &message, 0) != 1;
}
C
run 0 "$daxsync" run --emulate --stats="$scratch/sent" -- "$scratch/sends" </dev/null
jq -e '.program == "sends" and .mappings == []' "$scratch/sent" >/dev/null || fail "not its own: $(cat "$scratch/sent")"
if [ "$(id -u)" -eq 0 ] && command -v setpriv >/dev/null 2>&1; then
	chmod 711 "$scratch"
	mkdir -m 777 "$scratch/others"
	mkdir -m 700 "$scratch/their-registry"
	chown 65534:65534 "$scratch/their-registry"
	: >"$scratch/others/file"
	chmod 666 "$scratch/others/file"
	run 0 "$daxsync" run --emulate --stats="$scratch/others/stats.%p" -- env DAXSYNC_REGISTRY="$scratch/their-registry" \
		setpriv --reuid=65534 --regid=65534 --clear-groups -- "$processes" mode "$scratch/others/file"
	found=$(find "$scratch/others" -name 'stats.*' -user 65534 | wc -l)
	equals 'the statistics that the other user has written' "$found" 1
fi

mkdir "$scratch/root"
own_root="mount -t tmpfs tmpfs '$scratch/root' && cd '$scratch/root' && exec '$scratch/named'"
if unshare -rm true 2>/dev/null; then
	for kind in fifo file; do
		named 1 unshare -rm sh -c "$own_root $kind"
		says 'has no statistics'
	done
else
	echo "$name: left out: files with the name of the statistics (no user namespaces)"
fi

# Every key is explained, and no other.
run 0 "$daxsync" stat --keys
awk '{ print $1 }' "$scratch/out" | LC_ALL=C sort >"$scratch/explained"
jq -r 'paths | map(select(type == "string")) | join(".")' "$scratch/stats" | LC_ALL=C sort -u >"$scratch/there"
diff "$scratch/explained" "$scratch/there" >"$scratch/out" || fail 'the keys that are explained are not those of the report'

# Wrong use.
run 0 "$daxsync" stat --help
prints 'Usage: daxsync stat'
run 125 "$daxsync" stat
says 'no process is given'
for arg in x 1x '' -1 0 99999999999999999999; do
	run 125 "$daxsync" stat "$arg"
	says "\"$arg\" is no process id"
done
passed
