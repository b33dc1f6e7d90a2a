#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# service.sh [BUILD [ENGINE...]]: a program under the filter that systemd sets up for a service, which ends it for any other
# system call (SystemCallFilter=), or answers EPERM (SystemCallErrorNumber=EPERM). From the start, or set up by the program
# itself when its file is tracked already, the program does the same as without the shim.
#
# The story: the library asked mincore, which the set does not have.
set -eu

# shellcheck source=tests/launcher/lib.sh
. "${0%/*}/../launcher/lib.sh"
# shellcheck source=tests/neighbours/lib.sh
. "${0%/*}/lib.sh"
neighbours_begin service "$@"

# The set @system-service without @privileged and @resources, as many units have it (systemd.exec(5); what systemd 252's
# `systemd-analyze syscall-filter` lists, without names that 64-bit machines do not have).
calls='accept accept4 access add_key alarm arch_prctl bind brk capget chdir chmod clock_getres clock_gettime
	clock_nanosleep clone clone3 close close_range connect copy_file_range creat dup dup2 dup3 epoll_create
	epoll_create1 epoll_ctl epoll_pwait epoll_pwait2 epoll_wait eventfd eventfd2 execve execveat exit exit_group
	faccessat faccessat2 fadvise64 fallocate fchdir fchmod fchmodat fchmodat2 fcntl fdatasync fgetxattr flistxattr
	flock fork fremovexattr fsetxattr fstat fstatfs fsync ftruncate futex futex_waitv futimesat get_mempolicy
	get_robust_list get_thread_area getcpu getcwd getdents getdents64 getegid geteuid getgid getgroups getitimer
	getpeername getpgid getpgrp getpid getppid getpriority getrandom getresgid getresuid getrlimit getrusage
	getsockname getsockopt gettid gettimeofday getuid getxattr inotify_add_watch inotify_init inotify_init1
	inotify_rm_watch io_cancel io_destroy io_getevents io_pgetevents io_setup io_submit io_uring_enter
	io_uring_register io_uring_setup ioctl ioprio_get kcmp keyctl kill lgetxattr link linkat listen listxattr
	lremovexattr lseek lsetxattr lstat madvise membarrier memfd_create mkdir mkdirat mknod mknodat mlock mlock2
	mlockall mmap mprotect mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedsend mq_unlink mremap msgctl
	msgget msgrcv msgsnd msync munlock munlockall munmap name_to_handle_at nanosleep newfstatat open openat openat2
	pause personality pidfd_open pidfd_send_signal pipe pipe2 poll ppoll prctl pread64 preadv preadv2 prlimit64
	process_madvise process_vm_readv process_vm_writev pselect6 pwrite64 pwritev pwritev2 read readahead readlink
	readlinkat readv recvfrom recvmmsg recvmsg remap_file_pages removexattr rename renameat renameat2 request_key
	restart_syscall rmdir rseq rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend
	rt_sigtimedwait rt_tgsigqueueinfo sched_get_priority_max sched_get_priority_min sched_getaffinity sched_getattr
	sched_getparam sched_getscheduler sched_rr_get_interval sched_yield select semctl semget semop semtimedop
	sendfile sendmmsg sendmsg sendto set_robust_list set_thread_area set_tid_address setfsgid setgid setitimer setns
	setpgid setregid setresgid setsid setsockopt setxattr shmat shmctl shmdt shmget shutdown sigaltstack signalfd
	signalfd4 socket socketpair splice stat statfs statx symlink symlinkat sync sync_file_range syncfs sysinfo tee
	tgkill time timer_create timer_delete timer_getoverrun timer_gettime timer_settime timerfd_create
	timerfd_gettime timerfd_settime times tkill truncate umask uname unlink unlinkat unshare uretprobe userfaultfd
	utime utimensat utimes vfork vmsplice wait4 waitid write writev
'
for call in $calls; do
	printf '#ifdef SYS_%s\nCALL(%s)\n#endif\n' "$call" "$call"
done >"$scratch/service_calls.h"
service=$scratch/service
compile "$source/tests/neighbours/service.c" "$service" -O2 -I"$scratch"

status=0
"$service" kill -- true >"$scratch/out" 2>"$scratch/err" || status=$?
[ "$status" -ne 77 ] || skip "$(cat "$scratch/err")"
run 159 "$service" kill -- "$service" forbidden # the filter ends a program: SIGSYS
run 0 "$service" errno -- "$service" forbidden
prints 'Operation not permitted'

same() { # WHAT
	diff "$scratch/native" "$scratch/out" >"$scratch/diff" || fail "$1 ($engine): not the same: $(cat "$scratch/diff")"
	! grep -q 'MISSED PAGE' "$scratch/err" || fail "$1 ($engine): a missed page"
}

tracked_with() { # ENGINE
	jq -e -s --arg engine "$1" 'map(.mappings[] | select(.mode == "emulated" and .engine == $engine)) | length > 0' "$memory"/stats.* >/dev/null
}

# The launcher and the program under the filter; then the program alone, with a filter of its own.
filtered() { # FILE
	for action in kill errno; do
		run 0 "$service" none "$1"
		mv "$scratch/out" "$scratch/native"
		for options in --verify --policy=never-close '--verify --policy=never-close'; do
			rm -rf "$1" "$memory"/stats.* "$memory"/images/*
			# shellcheck disable=SC2086 # several words
			run 0 "$service" $action -- "$daxsync" run --emulate --engine="$engine" $options \
				--image-dir="$memory/images" --stats="$memory/stats.%p" -- "$service" none "$1"
			same "$action, $options"
		done
		rm -f "$1"
		shim 0 "$service" "$action" "$1"
		same "$action, set up by the program"
	done
}

on_tmpfs() {
	filtered "$file"
	tracked_with "$engine" || fail "$engine: not tracked: $(cat "$memory"/stats.*)"
	echo "$name $engine: the same"
}
each_engine on_tmpfs

# Where mincore would be needed the kernel keeps the file.
place=$(mktemp -d /var/tmp/daxsync-service.XXXXXX)
trap 'rm -rf "$place"; neighbours_end' EXIT
engine=mprotect
filtered "$place/file"

run 0 "$service" kill -- "$daxsync" check -v
prints '  filter                  mincore ends the process'
equals 'lines about the filter' "$(grep -c '^  filter ' "$scratch/out")" 1
run 0 "$service" errno -- "$daxsync" check -v
prints '  filter                  mincore is refused'
run 0 "$daxsync" check -v
prints '  filter                  none of system calls'

# userfaultfd is in this set, but not in every one. It is not tried under a filter unless it is asked for.
sed -i '/^CALL(userfaultfd)/d' "$scratch/service_calls.h"
compile "$source/tests/neighbours/service.c" "$service" -O2 -I"$scratch"
engine=auto
filtered "$file"
run 1 "$service" kill -- "$daxsync" check -v "$memory"
prints '  filter                  userfaultfd ends the process'
rm -rf "$file" "$memory"/stats.*
run 0 "$service" kill -- "$daxsync" run --emulate --stats="$memory/stats.%p" -- "$service" none "$file"
tracked_with mprotect || fail "not tracked: $(cat "$memory"/stats.*)"
passed
