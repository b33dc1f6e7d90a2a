// SPDX-License-Identifier: BSD-3-Clause
// cases_signal.c: signals: the library's traps work whatever the program does with signals, and the program's own
// faults reach it as without the library.
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "conformance.h"

static char *shared;
static sigjmp_buf out;
static volatile sig_atomic_t nr_segv, nr_bus, nr_alarms;
static volatile uintptr_t fault_addr;

static void on_fault(int sig, siginfo_t *info, void *context)
{
	(void)context;
	if (sig == SIGSEGV)
		nr_segv = nr_segv + 1;
	else
		nr_bus = nr_bus + 1;
	fault_addr = (uintptr_t)info->si_addr;
	siglongjmp(out, 1);
}

static void handler_set(int sig, int flags)
{
	struct sigaction act = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | flags};

	CHECK(!sigaction(sig, &act, NULL));
}

static char *no_access(void)
{
	char *addr = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(addr != MAP_FAILED);
	return addr;
}

// The store ends in the program's handler, once.
static void check_store_faults(char *addr)
{
	int before = nr_segv + nr_bus;

	if (!sigsetjmp(out, 1)) {
		*(volatile char *)addr = 'X';
		cell_fail(__FILE__, __LINE__, "the store should not have succeeded");
	}
	CHECK(nr_segv + nr_bus == before + 1 && fault_addr == (uintptr_t)addr);
}

// The program's handlers are not called for stores to closed pages.
static void check_traps_are_hidden(char *map)
{
	int before = nr_segv + nr_bus;
	uint64_t traps;

	sync_all(map, FILE_SIZE);
	traps = nr_traps();
	store_pages(map, NR_PAGES, 't');
	COUNTED(nr_traps() > traps);
	sync_all(map, FILE_SIZE);
	store_pages(map, NR_PAGES, 'u');
	sync_all(map, FILE_SIZE);
	CHECK(nr_segv + nr_bus == before && pages_are(map, NR_PAGES, 'u'));
}

// A handler that was there before the library's first mapping.
static void segv_handler_before_mapping(void)
{
	char *map;

	handler_set(SIGSEGV, 0);
	map = map_closed(file_new(FILE_SIZE));
	check_store_faults(no_access());
	check_traps_are_hidden(map);
	CHECK(!mprotect(map, page, PROT_READ));
	check_store_faults(map + 5);
	CHECK(!mprotect(map, page, PROT_READ | PROT_WRITE));
	check_traps_are_hidden(map);
	check_store_faults(NULL);
}

static void segv_handler_after_mapping(void)
{
	char *map = map_closed(file_new(FILE_SIZE));
	struct sigaction old;

	CHECK(!sigaction(SIGSEGV, NULL, &old) && old.sa_handler == SIG_DFL && !(old.sa_flags & SA_SIGINFO));
	handler_set(SIGSEGV, 0);
	check_store_faults(no_access());
	check_traps_are_hidden(map);
	CHECK(!sigaction(SIGSEGV, NULL, &old) && old.sa_sigaction == on_fault && old.sa_flags & SA_SIGINFO);
	CHECK(!munmap(map, FILE_SIZE));
	check_store_faults(map + page);
}

// SA_RESETHAND: one delivery, then the default action.
static void segv_with_resethand(void)
{
	char *map = map_closed(file_new(FILE_SIZE));
	struct sigaction old;

	handler_set(SIGSEGV, (int)SA_RESETHAND);
	check_traps_are_hidden(map);
	check_store_faults(no_access());
	CHECK(!sigaction(SIGSEGV, NULL, &old) && old.sa_handler == SIG_DFL);
	check_traps_are_hidden(map);
}

static void store_to(void *arg)
{
	*(volatile char *)arg = 'X';
}

static void resethand_then_store_twice(void *arg)
{
	handler_set(SIGSEGV, (int)SA_RESETHAND);
	check_store_faults(arg);
	*(volatile char *)arg = 'X';
}

static void ignore_then_store(void *arg)
{
	signal(SIGSEGV, SIG_IGN);
	*(volatile char *)arg = 'X';
}

static void map_then_store_to(void *arg)
{
	char *map = map_closed(file_new(FILE_SIZE));

	check_traps_are_hidden(map);
	*(volatile char *)arg = 'X';
}

static void map_then_store_beyond_eof(void *arg)
{
	int fd = file_new(page);
	char *map = map_new(fd, 0, 2 * page);

	(void)arg;
	store_pages(map, 1, 'a');
	sync_all(map, page);
	CHECK(!ftruncate(fd, (off_t)page)); // on hugetlbfs a mapping extends its file
	map[page] = 'X';
}

static void map_then_raise(void *arg)
{
	map_closed(file_new(FILE_SIZE));
	raise(*(int *)arg);
}

// The default action kills, with the right signal: in a child made after the first mapping and in one that maps.
static void segv_default_action_kills(void)
{
	char *map, *none = no_access();
	int sig[2] = {SIGSEGV, SIGBUS};

	CHECK(WTERMSIG(in_child(map_then_store_to, none)) == SIGSEGV);
	CHECK(WTERMSIG(in_child(map_then_store_beyond_eof, NULL)) == SIGBUS);
	CHECK(WTERMSIG(in_child(map_then_raise, &sig[0])) == SIGSEGV);
	CHECK(WTERMSIG(in_child(map_then_raise, &sig[1])) == SIGBUS);
	map = map_closed(file_new(FILE_SIZE));
	CHECK(WTERMSIG(in_child(store_to, none)) == SIGSEGV);
	CHECK(WTERMSIG(in_child(resethand_then_store_twice, none)) == SIGSEGV);
	CHECK(WTERMSIG(in_child(ignore_then_store, none)) == SIGSEGV);
	check_traps_are_hidden(map);
}

static volatile sig_atomic_t sent_value, nr_sent;

static void on_sent(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)context;
	nr_sent = nr_sent + 1;
	sent_value = info->si_value.sival_int;
}

// A SIGSEGV or SIGBUS that somebody sends is a signal like any other.
static void sent_segv_reaches_the_handler(void)
{
	struct sigaction act = {.sa_sigaction = on_sent, .sa_flags = SA_SIGINFO};
	char *map = map_closed(file_new(FILE_SIZE));

	CHECK(!sigaction(SIGSEGV, &act, NULL) && !sigaction(SIGBUS, &act, NULL));
	CHECK(!sigqueue(getpid(), SIGSEGV, (union sigval){.sival_int = 11}) && nr_sent == 1 && sent_value == 11);
	CHECK(!sigqueue(getpid(), SIGBUS, (union sigval){.sival_int = 7}) && nr_sent == 2 && sent_value == 7);
	CHECK(signal(SIGSEGV, SIG_IGN) != SIG_ERR);
	CHECK(!raise(SIGSEGV) && nr_sent == 2);
	CHECK(signal(SIGSEGV, SIG_DFL) == SIG_IGN);
	check_traps_are_hidden(map);
}

static void plain_handler(int sig)
{
	nr_bus = nr_bus + (sig == SIGBUS);
	siglongjmp(out, 1);
}

// A handler that the program installs later does not take the traps away, by sigaction or by signal.
static void bus_handler_installed_later_still_traps(void)
{
	int fd = file_new(FILE_SIZE);
	char *map = map_closed(fd);

	handler_set(SIGBUS, 0);
	handler_set(SIGSEGV, 0);
	check_traps_are_hidden(map);
	CHECK(!ftruncate(fd, (off_t)(FILE_SIZE - page)));
	check_store_faults(map + FILE_SIZE - page);
	CHECK(!ftruncate(fd, (off_t)FILE_SIZE));
	CHECK(signal(SIGBUS, plain_handler) != SIG_ERR);
	CHECK(signal(SIGSEGV, plain_handler) != SIG_ERR);
	check_traps_are_hidden(map);
	CHECK(!ftruncate(fd, (off_t)(FILE_SIZE - page)));
	nr_bus = 0;
	if (!sigsetjmp(out, 1))
		map[FILE_SIZE - page] = 'X';
	CHECK(nr_bus == 1);
	CHECK(!ftruncate(fd, (off_t)FILE_SIZE));
	CHECK(signal(SIGBUS, SIG_IGN) != SIG_ERR && signal(SIGSEGV, SIG_IGN) != SIG_ERR);
	nr_bus = nr_segv = 0;
	check_traps_are_hidden(map);
}

// The next alarm; each handler asks for one at its end, so that a slow one does not starve what it interrupts.
static void alarm_soon(void)
{
	struct itimerval soon = {.it_value = {0, 300}};

	CHECK(!setitimer(ITIMER_REAL, &soon, NULL));
}

static void alarms_start(void (*handler)(int), bool block_all)
{
	struct sigaction act = {.sa_handler = handler, .sa_flags = SA_RESTART};

	if (block_all)
		sigfillset(&act.sa_mask);
	CHECK(!sigaction(SIGALRM, &act, NULL));
	alarm_soon();
}

static void alarms_stop(void)
{
	struct itimerval never = {{0, 0}, {0, 0}};

	CHECK(!setitimer(ITIMER_REAL, &never, NULL));
	CHECK(nr_alarms > 0);
}

static void on_alarm_sync(int sig)
{
	int saved = errno;

	(void)sig;
	nr_alarms = nr_alarms + 1;
	CHECK(!msync(shared, FILE_SIZE, MS_SYNC));
	alarm_soon();
	errno = saved;
}

// A sync, or a trap, may be interrupted by a handler that syncs.
static void sync_in_signal_handler(void)
{
	double end = now() + seconds(1.5);
	int round;

	shared = map_closed(file_new(FILE_SIZE));
	alarms_start(on_alarm_sync, false);
	for (round = 0; now() < end || !nr_alarms; round++) {
		store_pages(shared, NR_PAGES, (char)round);
		if (round % 4 == 0)
			sync_all(shared, FILE_SIZE);
	}
	alarms_stop();
	sync_all(shared, FILE_SIZE);
}

static void on_alarm_store(int sig)
{
	(void)sig;
	nr_alarms = nr_alarms + 1;
	store_pages(shared, NR_PAGES, (char)nr_alarms);
	alarm_soon();
}

static void store_in_handler(bool block_all)
{
	double end = now() + seconds(1.5);
	int round;

	shared = map_closed(file_new(FILE_SIZE));
	alarms_start(on_alarm_store, block_all);
	for (round = 0; now() < end || !nr_alarms; round++) {
		shared[page / 2] = (char)round;
		sync_all(shared, FILE_SIZE);
	}
	alarms_stop();
	sync_all(shared, FILE_SIZE);
	CHECK(pages_are(shared, NR_PAGES, (char)nr_alarms));
}

static void store_in_signal_handler(void)
{
	store_in_handler(false);
}

// A handler with all signals in its sa_mask.
static void store_in_handler_that_blocks_all(void)
{
	store_in_handler(true);
}

static void on_alarm_jump(int sig)
{
	(void)sig;
	nr_alarms = nr_alarms + 1;
	alarm_soon();
	siglongjmp(out, 1);
}

// Jumping out of a handler leaves no lock behind and nothing blocked: what it interrupted was either before or after.
static void siglongjmp_out_of_handler(void)
{
	volatile double end = now() + seconds(1.5);
	volatile int round = 0;
	sigset_t mask;

	shared = map_closed(file_new(FILE_SIZE));
	sigsetjmp(out, 1);
	if (!round)
		alarms_start(on_alarm_jump, false);
	while (now() < end || !nr_alarms) {
		round = round + 1;
		store_pages(shared, NR_PAGES, (char)round);
		sync_all(shared, FILE_SIZE);
	}
	alarms_stop();
	CHECK(!sigprocmask(SIG_SETMASK, NULL, &mask) && !sigismember(&mask, SIGALRM) && !sigismember(&mask, SIGUSR1));
	check_traps_are_hidden(shared);
}

static void *block_and_store(void *arg)
{
	sigset_t all;

	sigfillset(&all);
	CHECK(!pthread_sigmask(SIG_SETMASK, &all, NULL));
	check_traps_are_hidden(arg);
	return NULL;
}

static void blocked_signals_still_trap(void)
{
	char *map = map_closed(file_new(FILE_SIZE));
	sigset_t all;

	sigfillset(&all);
	CHECK(!sigprocmask(SIG_BLOCK, &all, NULL));
	check_traps_are_hidden(map);
	CHECK(!sigprocmask(SIG_SETMASK, &all, NULL));
	check_traps_are_hidden(map);
	CHECK(!pthread_sigmask(SIG_SETMASK, &all, NULL));
	check_traps_are_hidden(map);
	thread_start(block_and_store, map);
	threads_join();
}

// Blocked before the library's first mapping, when nothing had to be let through.
static void signals_blocked_before_mapping_still_trap(void)
{
	char *map;
	sigset_t all;

	sigfillset(&all);
	CHECK(!sigprocmask(SIG_BLOCK, &all, NULL));
	map = map_closed(file_new(FILE_SIZE));
	check_traps_are_hidden(map);
	thread_start(block_and_store, map);
	threads_join();
}

static pthread_barrier_t mapped;

static void *block_then_store(void *arg)
{
	sigset_t all;

	(void)arg;
	sigfillset(&all);
	CHECK(!pthread_sigmask(SIG_SETMASK, &all, NULL));
	pthread_barrier_wait(&mapped); // blocked
	pthread_barrier_wait(&mapped); // mapped
	check_traps_are_hidden(shared);
	return NULL;
}

// The same in a thread that is not the one that maps.
static void signals_blocked_by_another_thread_before_mapping(void)
{
	CHECK(!pthread_barrier_init(&mapped, NULL, 2));
	thread_start(block_then_store, NULL);
	pthread_barrier_wait(&mapped);
	shared = map_closed(file_new(FILE_SIZE));
	pthread_barrier_wait(&mapped);
	threads_join();
}

// What the program asks about its mask is what it has set.
static void blocked_signals_are_reported(void)
{
	char *map = map_closed(file_new(FILE_SIZE));
	sigset_t all, mask;

	sigfillset(&all);
	CHECK(!sigprocmask(SIG_BLOCK, &all, NULL));
	CHECK(!sigprocmask(SIG_BLOCK, NULL, &mask));
	CHECK(sigismember(&mask, SIGUSR1) && sigismember(&mask, SIGSEGV) && sigismember(&mask, SIGBUS));
	CHECK(!pthread_sigmask(SIG_UNBLOCK, &all, &mask));
	CHECK(sigismember(&mask, SIGUSR1) && sigismember(&mask, SIGSEGV) && sigismember(&mask, SIGBUS));
	check_traps_are_hidden(map);
}

static void on_alarm_store_once(int sig)
{
	(void)sig;
	nr_alarms = nr_alarms + 1;
	store_pages(shared, NR_PAGES, 'w');
}

// A handler runs with the mask that the interrupted call has set for its time.
static void store_in_handler_that_interrupts_sigsuspend(void)
{
	struct sigaction act = {.sa_handler = on_alarm_store_once};
	struct timespec soon = {.tv_sec = 5};
	sigset_t all_but_alarm, alarm_only;

	shared = map_closed(file_new(FILE_SIZE));
	sigfillset(&all_but_alarm);
	sigdelset(&all_but_alarm, SIGALRM);
	sigemptyset(&alarm_only);
	sigaddset(&alarm_only, SIGALRM);
	CHECK(!sigprocmask(SIG_BLOCK, &alarm_only, NULL)); // until the call waits for it
	CHECK(!sigaction(SIGALRM, &act, NULL));
	alarm_soon();
	CHECK_ERRNO(sigsuspend(&all_but_alarm), EINTR);
	sync_all(shared, FILE_SIZE);
	alarm_soon();
	CHECK_ERRNO(pselect(0, NULL, NULL, NULL, &soon, &all_but_alarm), EINTR);
	sync_all(shared, FILE_SIZE);
	alarm_soon();
	CHECK_ERRNO(ppoll(NULL, 0, &soon, &all_but_alarm), EINTR);
	CHECK(pages_are(shared, NR_PAGES, 'w'));
	sync_all(shared, FILE_SIZE);
}

static void on_usr1_store(int sig)
{
	(void)sig;
	store_pages(shared, NR_PAGES, 'h');
}

static char *stack_new(size_t size)
{
	stack_t stack = {.ss_sp = malloc(size), .ss_size = size};

	CHECK(stack.ss_sp);
	memset(stack.ss_sp, 0x5a, size);
	CHECK(!sigaltstack(&stack, NULL));
	return stack.ss_sp;
}

// Two signal frames have to fit: the program's own, and the trap's where that is one.
static void sigaltstack_small_stack(void)
{
	struct sigaction act = {.sa_handler = on_usr1_store, .sa_flags = SA_ONSTACK};
	size_t size = 2 * (size_t)sysconf(_SC_MINSIGSTKSZ);
	int round;

	shared = map_closed(file_new(FILE_SIZE));
	stack_new(size + 2048);
	CHECK(!sigaction(SIGUSR1, &act, NULL));
	for (round = 0; round < 20; round++) {
		CHECK(!raise(SIGUSR1));
		CHECK(pages_are(shared, NR_PAGES, 'h'));
		store_pages(shared, NR_PAGES, 'm');
		sync_all(shared, FILE_SIZE);
	}
	check_traps_are_hidden(shared);
}

static volatile sig_atomic_t nr_usr1, raised;

static void on_usr1_count(int sig)
{
	(void)sig;
	nr_usr1++;
}

static void *raise_on_mapped_stack(void *arg)
{
	int round;

	(void)arg;
	for (round = 0; round < 200; round++)
		CHECK(!pthread_kill(pthread_self(), SIGUSR1));
	raised = 1;
	return NULL;
}

// Stacks in a mapping: the kernel puts the frames of signals there, also when a sync has just been.
static void stacks_in_a_mapping(void)
{
	struct sigaction act = {.sa_handler = on_usr1_count, .sa_flags = SA_ONSTACK};
	size_t size = FILE_SIZE > 262144 ? FILE_SIZE : 262144;
	int fd = file_new(size), round;
	char *map = map_new(fd, 0, size);
	stack_t stack = {.ss_sp = map, .ss_size = size}, off = {.ss_flags = SS_DISABLE};
	pthread_attr_t attr;
	pthread_t thread;

	memset(map, 's', size);
	sync_all(map, size);
	CHECK(!sigaction(SIGUSR1, &act, NULL) && !sigaltstack(&stack, NULL));
	for (round = 0; round < 20; round++) {
		sync_all(map, size);
		CHECK(!raise(SIGUSR1));
	}
	CHECK(nr_usr1 == 20 && !sigaltstack(&off, NULL));
	CHECK(!pthread_attr_init(&attr) && !pthread_attr_setstack(&attr, map, size));
	CHECK(!pthread_create(&thread, &attr, raise_on_mapped_stack, NULL));
	while (!raised)
		sync_all(map, size);
	CHECK(!pthread_join(thread, NULL));
	CHECK(nr_usr1 == 220);
	sync_all(map, size);
}

static volatile unsigned depth = 1U << 30;

static void overflow(volatile char *above)
{
	volatile char room[4096];

	room[0] = above[0];
	if (--depth)
		overflow(room);
	room[1] = above[1];
}

static void overflow_the_stack(void *arg)
{
	char top[2] = {0};

	map_closed(file_new(FILE_SIZE));
	stack_new(65536);
	handler_set(SIGSEGV, SA_ONSTACK);
	if (!sigsetjmp(out, 1))
		overflow(top);
	CHECK(nr_segv == 1);
	check_traps_are_hidden(map_closed(*(int *)arg));
}

// SA_ONSTACK: a program that survives the overflow of its stack does so under the library.
static void stack_overflow_on_sigaltstack(void)
{
	int fd = file_new(FILE_SIZE);

	CHECK(is_success(in_child(overflow_the_stack, &fd)));
}

static void *store_on_small_stack(void *arg)
{
	check_traps_are_hidden(arg);
	return NULL;
}

// The smallest stack that a thread may have.
static void small_thread_stack(void)
{
	char *map = map_closed(file_new(FILE_SIZE));
	pthread_attr_t attr;
	pthread_t thread;

	CHECK(!pthread_attr_init(&attr));
	CHECK(!pthread_attr_setstacksize(&attr, (size_t)sysconf(_SC_THREAD_STACK_MIN)));
	CHECK(!pthread_create(&thread, &attr, store_on_small_stack, map));
	CHECK(!pthread_join(thread, NULL));
}

const struct test_case cases_signal[] = {
	CASE(segv_handler_before_mapping, ALL),
	CASE(segv_handler_after_mapping, ALL),
	CASE(segv_with_resethand, ALL),
	CASE(segv_default_action_kills, FILES),
	CASE(sent_segv_reaches_the_handler, ALL),
	CASE(bus_handler_installed_later_still_traps, FILES),
	CASE(sync_in_signal_handler, ALL),
	CASE(store_in_signal_handler, ALL),
	CASE(store_in_handler_that_blocks_all, ALL),
	CASE(siglongjmp_out_of_handler, ALL),
	CASE(blocked_signals_still_trap, ALL),
	CASE(signals_blocked_before_mapping_still_trap, ALL),
	CASE(signals_blocked_by_another_thread_before_mapping, NO_HUGETLBFS),
	CASE(blocked_signals_are_reported, NO_HUGETLBFS),
	CASE(store_in_handler_that_interrupts_sigsuspend, NO_HUGETLBFS),
	CASE(sigaltstack_small_stack, ALL),
	CASE(stacks_in_a_mapping, ALL),
	CASE(stack_overflow_on_sigaltstack, SMALL),
	CASE(small_thread_stack, NO_HUGETLBFS),
	END_OF_CASES,
};
