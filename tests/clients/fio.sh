#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# fio.sh [BUILD [ENGINE...]]: fio's mmap engine writes blocks with checksums in
# random order and syncs every few of them, as a thread and as two processes.
# fio verifies what it wrote, then a second fio without the shim verifies the
# file and its durable image through read(2).
set -eu

# shellcheck source=tests/clients/lib.sh
. "${0%/*}/lib.sh"
client_begin fio "$@"
need fio fio

size=4M
common="--size=$size --verify=crc32c --verify_fatal=1 --verify_state_save=0 --output-format=terse"

write() { # OPTIONS...
	# shellcheck disable=SC2086 # several words
	shim fio $common --ioengine=mmap --do_verify=1 --end_fsync=1 --randseed=20240731 "$@"
}

# One reading job for each file and image, all in one fio.
verify() { # BLOCK_SIZE FILE...: adds to $jobs
	bs=$1
	shift
	for file in "$@"; do
		expect_served "$file"
		find_image "$file"
		jobs="$jobs --name=file-$file --filename=$work/$file --bs=$bs --rw=read"
		jobs="$jobs --name=image-$file --filename=$image --bs=$bs --rw=read"
	done
}

run() {
	write --thread --directory="$work" \
		--name=random --filename=random.f --rw=randwrite --bs=4k --fsync=8 \
		--name=data --filename=data.f --rw=randwrite --bs=16k --fdatasync=4 \
		--name=sequential --filename=sequential.f --rw=write --bs=64k --fsync=4
	write --directory="$work" --name=process --numjobs=2 --rw=randwrite --bs=4k --fsync=16

	jobs=
	verify 4k random.f process.0.0 process.1.0
	verify 16k data.f
	verify 64k sequential.f
	# shellcheck disable=SC2086 # several words
	plain fio $common --ioengine=psync $jobs
	! grep -q 'verify failed' "$scratch/err" || fail 'wrong blocks'
	figures '5 files'
}
each_engine run
