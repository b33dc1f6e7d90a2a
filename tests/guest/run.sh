#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# run.sh [OPTION...] BUILD KERNEL JOB [ARGUMENT...]: boots a guest with
# persistent memory, runs the shell script JOB in it, and powers it off. What
# the job says comes out here as it says it.
#
#   -i DIR      keep the NVDIMMs' images in DIR, and use those that are there
#               (otherwise they are new, and gone afterwards)
#   -n          make the file systems, but do not mount them
#   -e          the CPU's caches are saved too when the power goes (eADR)
#   -a          a virtio-pmem device besides, for which the guest has to ask the
#               host to write back what was stored (asynchronous)
#   -t SECONDS  end a guest that hangs (300); times GUEST_PATIENCE, where the
#               machine has much else to do
#   -d          one CPU, and a clock that counts its instructions, a nanosecond
#               each: what is measured does not depend on what else runs here
#   -c SECONDS  cut the power, so many seconds after the job has written "ready"
#               to /dev/ttyS2
#   -m COMMAND  with -c: before the power is cut, the guest stands still while
#               COMMAND runs here, and goes on for so many seconds if that ends
#               with 0, and so on
#   -f FILE     copy a file into the job's directory (may be repeated)
#   -p PROGRAM  copy a program of this machine, with its libraries (repeated)
#   -w          the CPU's caches are simulated (cache/cache.c): beside each image
#               stands its durable copy, IMAGE.durable, and in `pending` what was
#               written back and not fenced. After a cut, cache/cut.c takes what
#               is not durable away. Needs QEMU 10, which is unpacked if it is
#               not installed
#   -k WORDS    more for the kernel's command line
#   -q          do not show the console of a guest that failed
#
# In the guest there are /mnt/ext4, /mnt/xfs and /mnt/ext2, each mounted with
# dax on an NVDIMM of its own, /dev/dax (device DAX), the build and the tests'
# sources at the same paths as here ($BUILD and $SOURCES), and busybox, ndctl,
# strace, fsck and the like. The job's directory is the working directory.
#
# Exit status: the job's; 77 if there can be no guest; 124 timed out; 125 the
# guest did not come to the job, or died; 137 the power was cut.
set -eu
# shellcheck source=tests/guest/lib.sh
. "${0%/*}/lib.sh"

# One thread for both CPUs: with one each, QEMU may translate the breakpoint that the kernel puts over an instruction which
# it is changing, and keep it for good: a boot of a few hundred panics with "Oops: int3" (seen here with 7.2, and with 10.0
# in spite of its commit cb62bd15e14e, "Always lock pages before translation").
simulated='' moment='' images='' timeout=300 cut='' files='' programs='' words='' quiet='' unmounted=''
persistence=mem-ctrl asynchronous='' cpus='-accel tcg,thread=single -smp 2'
while getopts i:neawdt:c:m:f:p:k:q option; do
	case $option in
	i) images=$OPTARG ;;
	n) unmounted=1 ;;
	e) persistence=cpu ;;
	a) asynchronous=1 ;;
	w) simulated=1 ;;
	d) cpus='-accel tcg,thread=single -smp 1 -icount shift=0,sleep=off' ;;
	t) timeout=$OPTARG ;;
	c) cut=$OPTARG ;;
	m) moment=$OPTARG ;;
	f) files="$files $OPTARG" ;;
	p) programs="$programs $OPTARG" ;;
	k) words=$OPTARG ;;
	q) quiet=1 ;;
	*) exit 2 ;;
	esac
done
shift $((OPTIND - 1))
[ $# -ge 3 ] || fail 'usage: run.sh [OPTION...] BUILD KERNEL JOB [ARGUMENT...]'
guest_begin "$1" "$2"
job=$3
shift 3
[ -f "$job" ] || fail "no such file: $job"

need qemu-system-x86_64 qemu-system-x86
qemu_program='qemu-system-x86_64'
if [ -n "$simulated" ]; then
	sh "$here/cache/qemu.sh" "$build" >&2 || skip_or_fail $?
	qemu_program=$build/guest/qemu/run
	cpus='-accel tcg,thread=multi -smp 2' # the plugin knows a CPU by its thread
	words="$words maxcpus=1"              # while the kernel changes its code; init starts the other
fi
sh "$here/kernels.sh" "$build" "$kernel" >&2 || skip_or_fail $?
sh "$here/initramfs.sh" "$build" "$kernel" || skip_or_fail $?

work=$(mktemp -d "$guest/run.XXXXXX")
qemu=
trap '[ -z "$qemu" ] || kill -9 "$qemu" 2>/dev/null || true; rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# The build and the sources of the tests, and the job.
root=$work/root
mkdir -p "$root/job/files" "$root$build/bin" "$root$build/lib" "$root$sources"
cp -P "$build"/lib/*.so* "$root$build/lib/"
[ ! -d "$build/lib/broken" ] || cp -r "$build/lib/broken" "$root$build/lib/"
cp -r "$build/bin/." "$root$build/bin/"
rm -f "$root$build"/bin/tests/test_* "$root$build"/bin/tests/*_tsan
cp -r "$sources/tests" "$root$sources/"
for file in $files; do
	[ -r "$file" ] || skip "$file is missing"
	cp "$file" "$root/job/files/"
done
mkdir -p "$root/usr/bin" "$root/usr/lib" "$root/usr/lib64"
ln -s usr/lib "$root/lib"
ln -s usr/lib64 "$root/lib64"
for program in $programs; do
	path=$(command -v "$program") || skip "$program is missing"
	add_program "$root" "$path"
done
cp "$job" "$root/job/job"
quoted() {
	for word; do
		printf " '%s'" "$(printf %s "$word" | sed "s/'/'\\\\''/g")"
	done
}
echo "export BUILD='$build' SOURCES='$sources' KERNEL='$kernel'" >"$root/job/environment"
echo "exec sh /job/job$(quoted "$@")" >"$root/job/script"
echo 'ext4 xfs ext2 dax' >"$root/job/images"
[ -z "$unmounted" ] || : >"$root/job/unmounted"
pack "$root" "$work/build.cpio"
cat "$guest/system.cpio" "$work/build.cpio" >"$work/initrd"
rm -rf "$root" "$work/build.cpio"

[ -n "$images" ] || images=$work/images
mkdir -p "$images"
set --
nr=0
plugin=$build/lib/guest_cache.so,ram=$work/ram,pending=$images/pending
for image in ext4 xfs ext2 dax; do
	file=$images/$image.img
	# Behind the memory, which ends at 2 GiB.
	addr=$((0x100000000 + nr * 0x20000000))
	[ -f "$file" ] || truncate -s 512M "$file"
	[ -z "$simulated" ] || [ -f "$file.durable" ] || cp --sparse=always "$file" "$file.durable"
	set -- "$@" -object "memory-backend-file,id=memory$nr,share=on,mem-path=$file,size=512M" \
		-device "nvdimm,id=nvdimm$nr,memdev=memory$nr,addr=$addr"
	plugin=$plugin,nvdimm=$addr:$((0x20000000)):$file
	nr=$((nr + 1))
done
machine=pc,nvdimm=on,nvdimm-persistence=$persistence
if [ -n "$simulated" ]; then
	set -- "$@" -object "memory-backend-file,id=ram,share=on,mem-path=$work/ram,size=2G" -plugin "$plugin"
	machine=$machine,memory-backend=ram
fi
if [ -n "$asynchronous" ]; then
	truncate -s 128M "$work/virtio.img"
	set -- "$@" -object "memory-backend-file,id=virtio,share=on,mem-path=$work/virtio.img,size=128M" \
		-device virtio-pmem-pci,id=asynchronous,memdev=virtio
fi

# What costs time under emulation, and is not what is tested. Programs that start at another address each time cost most,
# because QEMU translates their code again, and then the string instructions, which it runs byte by byte.
faster='norandmaps clearcpuid=rep_good mitigations=off init_on_alloc=0 kfence.sample_interval=0 apparmor=0'
faster="$faster audit=0 tsc=reliable no_timer_check"
cpu=max,erms=off,fsrm=off,la57=off,smap=off

: >"$work/status"
# shellcheck disable=SC2086 # several words
"$qemu_program" $cpus -cpu "$cpu" -machine "$machine" \
	-m 2G,slots=4,maxmem=8G -nodefaults -no-user-config -display none -no-reboot \
	-kernel "$guest/vmlinuz" -initrd "$work/initrd" \
	-append "console=ttyS0 panic=-1 loglevel=4 random.trust_cpu=on $faster $words" \
	-chardev "file,id=console,path=$work/console" -serial chardev:console \
	-chardev stdio,id=job,signal=off -serial chardev:job \
	-chardev "file,id=status,path=$work/status" -serial chardev:status \
	"$@" </dev/null 2>"$work/qemu.err" &
qemu=$!

# Lets the guest stand still while the command runs. False: it does not go on.
went_on() {
	[ -n "$moment" ] && kill -STOP "$qemu" && $moment && kill -CONT "$qemu"
}

# Looks from time to time; the guest's end is the end of its QEMU.
end=$(($(date +%s) + timeout * ${GUEST_PATIENCE:-1})) verdict=''
while kill -0 "$qemu" 2>/dev/null; do
	if [ "$(date +%s)" -ge "$end" ]; then
		verdict=124
		break
	fi
	if [ -n "$cut" ] && grep -q ready "$work/status"; then
		sleep "$cut"
		went_on || {
			verdict=137
			break
		}
	else
		sleep 0.1
	fi
done
[ -z "$verdict" ] || kill -9 "$qemu" 2>/dev/null || true
wait "$qemu" 2>/dev/null || true
qemu=

[ -n "$verdict" ] || verdict=$(sed -n 's/^status \([0-9]*\)$/\1/p' "$work/status")
case $verdict in
124) echo "run.sh: still running when the time was up" >&2 ;;
'')
	echo 'run.sh: the guest died' >&2
	verdict=125
	;;
esac
[ -z "$simulated" ] || grep '^promises: ' "$work/qemu.err" || true
case $verdict in
0 | 77 | 137) ;;
*) [ -n "$quiet" ] || {
	cat "$work/qemu.err"
	echo 'run.sh: the end of the console:'
	tail -n 60 "$work/console" | sed 's/^/    /'
} >&2 ;;
esac
[ -z "${GUEST_CONSOLE:-}" ] || cp "$work/console" "$GUEST_CONSOLE"
exit "$verdict"
