#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# slapd.sh [BUILD [ENGINE...]]: OpenLDAP's server on LMDB with writemap, several
# processes on one file: clients that load it, readers and a writer in Python
# beside it, a kill and power cuts in the middle of a load. Every change that a
# client was told of is there afterwards, read without the shim.
# SLAPD_CUTS: how many power cuts for each engine (2); SLAPD_SEED.
set -eu

# shellcheck source=tests/clients/lib.sh
. "${0%/*}/lib.sh"
PATH=$PATH:/usr/sbin:/sbin
client_begin slapd "$@"
need slapd slapd
need ldapmodify ldap-utils
need mdb_copy lmdb-utils
find_python lmdb python3-lmdb
module=$(find /usr/lib/ldap /usr/lib/openldap -name back_mdb.so 2>/dev/null | head -n 1)
need_file "${module:=/usr/lib/ldap/back_mdb.so}" slapd
need_file /etc/ldap/schema/inetorgperson.schema slapd
cuts=${SLAPD_CUTS:-2}
seed=${SLAPD_SEED:-$(date +%s)}
# A test that fails leaves no server behind.
slapd_end() {
	[ ! -s "$scratch/pid" ] || kill -KILL "$(cat "$scratch/pid")" 2>/dev/null || true
	scratch_end
}
trap slapd_end EXIT
url=ldapi://$(echo "$scratch/socket" | sed 's|/|%2F|g')

cat >"$scratch/ldif.py" <<'PYTHON'
"""What a client asks for: additions, changes of some of what it has added, deletions."""
import sys

client, count = sys.argv[1], int(sys.argv[2])
for i in range(count):
    print(f"dn: uid={client}-{i},dc=example,dc=org\nchangetype: add\nobjectClass: inetOrgPerson")
    print(f"uid: {client}-{i}\ncn: {i}\nsn: {client}\ndescription: {str(i) * (i % 50 + 1)}\n")
    if i % 5 == 4:
        print(f"dn: uid={client}-{i - 4},dc=example,dc=org\nchangetype: modify\nreplace: sn\nsn: changed {i}\n")
    if i % 5 == 3:
        print(f"dn: uid={client}-{i - 2},dc=example,dc=org\nchangetype: delete\n")
PYTHON
cat >"$scratch/check.py" <<'PYTHON'
"""Compares what slapcat has printed with what clients were told: ENTRIES CLIENT=LDIF:CHANGES..."""
import re
import sys

KEYS = ("uid", "cn", "sn", "description")


def blocks(path):
    with open(path, encoding="ascii") as file:
        texts = file.read().strip().split("\n\n")
    return [dict(line.split(": ", 1) for line in text.split("\n")) for text in texts]


def apply(entries, change):
    if change["changetype"] == "add":
        entries[change["dn"]] = {key: change[key] for key in KEYS}
    elif change["changetype"] == "modify":
        entries[change["dn"]]["sn"] = change["sn"]
    else:
        del entries[change["dn"]]


found = {}
for entry in blocks(sys.argv[1]):
    if "uid" in entry:
        client = entry["uid"].split("-")[0]
        found.setdefault(client, {})[entry["dn"]] = {key: entry[key] for key in KEYS}
total = 0
for arg in sys.argv[2:]:
    client, ldif, told = re.fullmatch("(.*)=(.*):(.*)", arg).groups()
    changes, wanted, got = blocks(ldif), {}, found.pop(client, {})
    for change in changes[:int(told)]:
        apply(wanted, change)
    if got != wanted and int(told) < len(changes):
        apply(wanted, changes[int(told)])  # the one under way may be there or not
    if got != wanted:
        wrong = [dn for dn in got.keys() | wanted.keys() if got.get(dn) != wanted.get(dn)]
        sys.exit(f"client {client}: {told} changes were acknowledged, wrong are {sorted(wrong)[:5]}")
    total += int(told)
if found:
    sys.exit(f"entries that nobody has asked for: {sorted(found)}")
print(total)
PYTHON
cat >"$scratch/neighbour.py" <<'PYTHON'
"""Another program, with a database of its own in the same environment: DIR UNTIL, or DIR check."""
import sys
import lmdb

path, is_check = sys.argv[1], sys.argv[2] == "check"
env = lmdb.open(path, map_size=16 << 20, max_dbs=100, writemap=not is_check, readonly=is_check, lock=not is_check)
db = env.open_db(b"neighbour", create=not is_check)
with env.begin() as txn:
    done = int(txn.get(b"count", b"0", db=db))
    if not all(txn.get(b"%d" % i, db=db) == b"%d" % i * (i % 200 + 1) for i in range(done)):
        sys.exit("the neighbour's records are not what it has written")
for i in range(done, done if is_check else int(sys.argv[2])):
    with env.begin(write=True) as txn:
        txn.put(b"%d" % i, b"%d" % i * (i % 200 + 1), db=db)
        txn.put(b"count", b"%d" % (i + 1), db=db)
    done = i + 1
print(done)
PYTHON

configuration() { # DIRECTORY
	cat <<CONF
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath ${module%/*}
moduleload back_mdb
pidfile $scratch/pid
threads 4
database mdb
suffix dc=example,dc=org
rootdn cn=admin,dc=example,dc=org
rootpw secret
directory $1
maxsize 16777216
envflags writemap
index objectClass,uid eq
CONF
}
configuration "$scratch/work/db" >"$scratch/slapd.conf"
configuration "$scratch/work/survived" >"$scratch/survived.conf"
for i in 1 2 3 4 5 6; do
	"$python" "$scratch/ldif.py" "$i" 2000 >"$scratch/ldif.$i"
done

# All processes run with the verifier on and have one image.
served() { # COMMAND...
	# shellcheck disable=SC2086 # several words
	"$daxsync" run --emulate --verify --engine="$engine" --stats="$scratch/stats/%p.json" \
		--image-dir="$scratch/images" $shim_options -- "$@"
}

server_begin() {
	rm -f "$scratch/pid" "$scratch/socket"
	served slapd -d 0 -f "$scratch/slapd.conf" -h "$url" >"$scratch/out" 2>"$scratch/err" &
	server=$!
	until [ -s "$scratch/pid" ] && ldapwhoami -x -H "$url" >/dev/null 2>&1; do
		kill -0 "$server" 2>/dev/null || return 0 # a power cut may come as early as this
		sleep 0.1
	done
}

server_end() { # STATUS
	status=0
	wait "$server" || status=$?
	rm -f "$scratch/pid"
	[ "$status" -eq "$1" ] || fail "slapd has ended with $status instead of $1"
	! grep -q '^daxsync: MISSED PAGE' "$scratch/err" || fail 'a missed page'
}

# A server that is killed writes none.
server_stats() {
	pid=$(cat "$scratch/pid")
	"$daxsync" stat "$pid" >"$scratch/stats/$pid.json" || fail 'no statistics of the running server'
}

client() { # [NUMBER]: standard input is what it asks for; what it is told comes line by line
	stdbuf -oL ldapmodify -v -x -H "$url" -D cn=admin,dc=example,dc=org -w secret \
		>>"$scratch/client.$1" 2>>"$scratch/client.$1.err"
}

told() { # NUMBER: how many changes were acknowledged to the client
	grep -Ec '^(modify|delete) complete' "$scratch/client.$1" 2>/dev/null || true
}

# Each client goes on in its list, up to the change with the number COUNT.
clients_begin() { # COUNT
	loading=
	for i in $clients; do
		awk -v from="$(told "$i")" -v to="$1" 'BEGIN { RS = ""; ORS = "\n\n" } NR > from && NR <= to' \
			"$scratch/ldif.$i" | client "$i" &
		loading="$loading $!"
	done
}

clients_end() { # served, or killed: the server has gone
	for process in $loading; do
		wait "$process" || [ "$1" = killed ] || fail "a client has failed: $(cat "$scratch"/client.*.err)"
	done
}

clients_wait() { # COUNT: until each client was told so many
	for i in $clients; do
		until [ "$(told "$i")" -ge "$1" ]; do
			kill -0 "$server" 2>/dev/null || fail 'slapd has gone'
			sleep 0.05
		done
	done
}

root_add() {
	printf 'dn: dc=example,dc=org\nchangetype: add\nobjectClass: domain\ndc: example\n' | client 0
}

expect_entries() { # CONFIGURATION: of all clients; sets $nr_changes
	plain slapcat -o ldif-wrap=no -f "$1"
	mv "$scratch/out" "$scratch/entries"
	set --
	for i in 1 2 3 4 5 6; do
		[ ! -f "$scratch/client.$i" ] || set -- "$@" "$i=$scratch/ldif.$i:$(told "$i")"
	done
	plain "$python" "$scratch/check.py" "$scratch/entries" "$@"
	nr_changes=$(cat "$scratch/out")
}

# The durable image in the place of the file.
survived() {
	rm -rf "$work/survived"
	mkdir "$work/survived"
	find_image data.mdb
	cp --sparse=always "$image" "$work/survived/data.mdb"
}

beside() { # COMMAND...
	status=0
	served "$@" >"$scratch/beside" 2>"$scratch/beside.err" || status=$?
	[ "$status" -ne 121 ] || status=0 # some only read
	[ "$status" -eq 0 ] || fail "beside slapd: exit status $status of $*: $(tail -n 3 "$scratch/beside.err")"
}

# Readers and a writer come and go while clients load, and slapd is alone again after that.
load_in_company() {
	clients='1 2 3'
	root_add || fail "the first entry: $(cat "$scratch/client.0.err")"
	clients_begin 60
	beside "$python" -B "$scratch/neighbour.py" "$work/db" 30
	for copy in 1 2 3; do
		beside mdb_stat -ea "$work/db"
		mkdir "$work/copy.$copy"
		beside mdb_copy "$work/db" "$work/copy.$copy"
		plain mdb_stat -ea "$work/copy.$copy"
	done
	clients_end served
	beside "$python" -B "$scratch/neighbour.py" "$work/db" 50
	clients_begin 90
	clients_end served
}

kill_while_loading() {
	clients_begin 10000
	clients_wait 110
	server_stats
	jq -e '.from_kernel > 0' "$scratch/stats/$pid.json" >/dev/null || fail 'slapd has not come back from mode kernel'
	kill -KILL "$pid"
	clients_end killed
	server_end 137
}

# The next server goes on with the file that the killed one has left, beside the same neighbour.
recover() {
	server_begin
	clients='4 5 6'
	clients_begin 40
	beside "$python" -B "$scratch/neighbour.py" "$work/db" 70
	clients_end served
	kill -TERM "$(cat "$scratch/pid")"
	server_end 0
}

expect_all() {
	expect_entries "$scratch/slapd.conf"
	plain "$python" -B "$scratch/neighbour.py" "$work/db" check
	[ "$(cat "$scratch/out")" -eq "$1" ] || fail "the neighbour has $(cat "$scratch/out") records, not $1"
	survived
	expect_entries "$scratch/survived.conf"
	plain "$python" -B "$scratch/neighbour.py" "$work/survived" check
	[ "$(cat "$scratch/out")" -eq "$1" ] || fail "the neighbour's durable records are $(cat "$scratch/out"), not $1"
}

begin_anew() {
	rm -rf "$scratch"/client.* "$work" "$scratch/images"
	mkdir "$work" "$work/db" "$scratch/images"
}

# One server, cut at a fence of its load.
cut() { # FENCE SEED
	begin_anew
	shim_options=--powercut=$1:$2
	server_begin
	shim_options=
	clients='1 2 3'
	loading=
	! root_add || clients_begin 10000
	clients_end killed
	server_end 137
	survived
	expect_entries "$scratch/survived.conf"
	echo "slapd $engine: power cut $1:$2, $nr_changes changes were acknowledged and are there"
}

run() {
	begin_anew
	server_begin
	load_in_company
	kill_while_loading
	expect_all 50
	recover
	expect_all 70
	expected_modes='emulated kernel' expect_served data.mdb
	figures "$nr_changes changes"
	for number in $(seq "$cuts"); do
		cut $(((seed + number * 7919) % 400 + 20)) $((seed + number))
	done
}
each_engine run
