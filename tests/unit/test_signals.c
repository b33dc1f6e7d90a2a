// SPDX-License-Identifier: BSD-3-Clause
// test_signals.c: what the application's own SIGSEGV and SIGBUS actions see with our handlers in front.
//
// Each scene runs in a child, which ends in _exit(0) where all was as the kernel alone would have done it, or dies.
#include <criterion/criterion.h>
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "flush/flush.h"
#include "report/stats.h"
#include "signal/signals.h"

#define SCENE_TIMEOUT 20

// In a child: ends it with the line number as far as a status can tell.
#define CHECK(condition)                                                                                               \
	do {                                                                                                           \
		if (!(condition)) {                                                                                    \
			fprintf(stderr, "line %d: %s\n", __LINE__, #condition);                                        \
			_exit(1);                                                                                      \
		}                                                                                                      \
	} while (0)

static char *closed; // a page that nobody may touch
static volatile sig_atomic_t nr_signals;
static sigjmp_buf back;

static void application(int sig, const struct sigaction *act)
{
	CHECK(!sigaction(sig, act, NULL));
}

static void child_setup(void)
{
	struct rlimit none = {0, 0};
	struct sigaction dfl = {.sa_handler = SIG_DFL};
	sigset_t empty;

	alarm(SCENE_TIMEOUT);
	setrlimit(RLIMIT_CORE, &none);
	sigemptyset(&empty);
	sigprocmask(SIG_SETMASK, &empty, NULL);
	application(SIGSEGV, &dfl);
	application(SIGBUS, &dfl);
	closed = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(closed != MAP_FAILED);
}

static int status_of(void (*scene)(void))
{
	pid_t pid = fork();
	int status = -1;

	if (!pid) {
		child_setup();
		scene();
		_exit(0);
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	return status;
}

static void expect_good(void (*scene)(void))
{
	int status = status_of(scene);

	cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %x", (unsigned)status);
}

static void expect_killed(void (*scene)(void), int sig)
{
	int status = status_of(scene);

	cr_expect(WIFSIGNALED(status) && WTERMSIG(status) == sig, "status %x", (unsigned)status);
}

static void store(char *addr)
{
	*(volatile char *)addr = 1;
}

// An action as the application sets it before the library comes.
static void set(int sig, void (*handler)(int, siginfo_t *, void *), int flags)
{
	struct sigaction act = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | flags};

	application(sig, &act);
}

static void install(void)
{
	CHECK(!dxs_signals_install(0));
}

static void details(int sig, siginfo_t *info, void *context)
{
	CHECK(context != NULL);

	CHECK(sig == SIGSEGV && info->si_signo == SIGSEGV);
	CHECK(info->si_addr == closed + 5);
	CHECK(info->si_code == SEGV_ACCERR);
	_exit(0);
}

static void scene_details(void)
{
	set(SIGSEGV, details, 0);
	install();
	store(closed + 5);
	_exit(1);
}

Test(signals, a_siginfo_handler_gets_the_address_of_the_fault)
{
	expect_good(scene_details);
}

static void plain(int sig)
{
	_exit(sig == SIGSEGV ? 0 : 1);
}

static void scene_plain(void)
{
	struct sigaction act = {.sa_handler = plain};

	application(SIGSEGV, &act);
	install();
	store(closed);
	_exit(1);
}

Test(signals, a_plain_handler_gets_the_number)
{
	expect_good(scene_plain);
}

static void repair(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)info;
	(void)context;
	nr_signals++;
	errno = EBADMSG;
	mprotect(closed, 4096, PROT_READ | PROT_WRITE);
	errno = EBADMSG;
}

static void scene_repair(void)
{
	sigset_t before, after;

	set(SIGSEGV, repair, 0);
	install();
	sigprocmask(SIG_SETMASK, NULL, &before);
	store(closed + 9);
	sigprocmask(SIG_SETMASK, NULL, &after);
	CHECK(nr_signals == 1 && closed[9] == 1);
	CHECK(!memcmp(&before, &after, 8)); // the kernel's part of it
	CHECK(dxs_counter_get(DXS_traps_foreign) == 1);
}

Test(signals, a_handler_that_repairs_the_cause_lets_the_store_go_on)
{
	expect_good(scene_repair);
}

static void leave(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)info;
	(void)context;
	siglongjmp(back, ++nr_signals);
}

static void scene_leave(void)
{
	set(SIGSEGV, leave, 0);
	install();
	if (sigsetjmp(back, 1) < 3)
		store(closed);
	CHECK(nr_signals == 3);
}

Test(signals, a_handler_may_leave_by_siglongjmp_again_and_again)
{
	expect_good(scene_leave);
}

// The signals that are blocked inside the handler.
static sigset_t inside;

static void note_mask(int sig, siginfo_t *info, void *context)
{
	sigprocmask(SIG_SETMASK, NULL, &inside);
	repair(sig, info, context);
}

static void mask_scene(int flags)
{
	struct sigaction act = {.sa_sigaction = note_mask, .sa_flags = SA_SIGINFO | flags};
	sigset_t before;

	sigaddset(&act.sa_mask, SIGUSR1);
	application(SIGSEGV, &act);
	install();
	sigemptyset(&before);
	sigaddset(&before, SIGHUP);
	sigprocmask(SIG_BLOCK, &before, NULL);
	store(closed);
	CHECK(nr_signals == 1);
	CHECK(sigismember(&inside, SIGUSR1) == 1);
	CHECK(sigismember(&inside, SIGHUP) == 1); // was blocked before
	CHECK(sigismember(&inside, SIGUSR2) == 0);
	CHECK(sigismember(&inside, SIGBUS) == 0);
	CHECK(sigismember(&inside, SIGSEGV) == !(flags & SA_NODEFER));
}

static void scene_mask(void)
{
	mask_scene(0);
}

Test(signals, the_handler_runs_with_the_mask_that_it_asked_for)
{
	expect_good(scene_mask);
}

static void scene_nodefer(void)
{
	mask_scene(SA_NODEFER);
}

Test(signals, with_nodefer_the_signal_itself_is_not_blocked)
{
	expect_good(scene_nodefer);
}

static void nested(int sig, siginfo_t *info, void *context)
{
	if (++nr_signals == 1)
		store(closed); // once more, inside
	repair(sig, info, context);
}

static void scene_nested(void)
{
	set(SIGSEGV, nested, SA_NODEFER);
	install();
	store(closed);
	CHECK(nr_signals == 4); // two entered, two repaired
}

Test(signals, with_nodefer_a_handler_may_fault_itself)
{
	expect_good(scene_nested);
}

static void scene_nested_deferred(void)
{
	set(SIGSEGV, nested, 0);
	install();
	store(closed);
}

Test(signals, without_nodefer_a_handler_that_faults_dies)
{
	expect_killed(scene_nested_deferred, SIGSEGV);
}

static void once(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)info;
	(void)context;
	if (++nr_signals > 1)
		_exit(1);
}

static void scene_resethand(void)
{
	set(SIGSEGV, once, (int)SA_RESETHAND);
	install();
	store(closed); // the handler returns, the store faults again
	_exit(2);
}

Test(signals, with_resethand_the_second_fault_is_the_default)
{
	expect_killed(scene_resethand, SIGSEGV);
}

static void scene_default(void)
{
	install();
	store(closed);
}

Test(signals, without_a_handler_a_fault_kills)
{
	expect_killed(scene_default, SIGSEGV);
}

static void scene_ignored_fault(void)
{
	struct sigaction act = {.sa_handler = SIG_IGN};

	application(SIGSEGV, &act);
	install();
	store(closed);
}

Test(signals, a_fault_cannot_be_ignored)
{
	expect_killed(scene_ignored_fault, SIGSEGV);
}

static void scene_ignored_sent(void)
{
	struct sigaction act = {.sa_handler = SIG_IGN};

	application(SIGSEGV, &act);
	application(SIGBUS, &act);
	install();
	raise(SIGSEGV);
	kill(getpid(), SIGBUS);
}

Test(signals, a_signal_that_somebody_sent_can_be_ignored)
{
	expect_good(scene_ignored_sent);
}

static void scene_default_sent(void)
{
	install();
	kill(getpid(), SIGBUS);
	pause();
}

Test(signals, a_signal_that_somebody_sent_kills_by_default)
{
	expect_killed(scene_default_sent, SIGBUS);
}

static void sent(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)context;
	CHECK(info->si_code == SI_QUEUE && info->si_pid == getpid() && info->si_value.sival_int == 4711);
	nr_signals++;
}

static void scene_queued(void)
{
	set(SIGSEGV, sent, 0);
	install();
	CHECK(!sigqueue(getpid(), SIGSEGV, (union sigval){.sival_int = 4711}));
	CHECK(nr_signals == 1);
}

Test(signals, a_queued_signal_keeps_its_sender_and_value)
{
	expect_good(scene_queued);
}

static void bus(int sig, siginfo_t *info, void *context)
{
	(void)context;
	CHECK(sig == SIGBUS && info->si_code == BUS_ADRERR);
	_exit(0);
}

static void store_beyond_end(void)
{
	int fd = memfd_create("bus", MFD_CLOEXEC);
	char *addr = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	CHECK(addr != MAP_FAILED);
	store(addr);
}

static void scene_bus(void)
{
	set(SIGBUS, bus, 0);
	install();
	store_beyond_end();
	_exit(1);
}

Test(signals, a_store_beyond_the_end_of_a_file_is_the_applications)
{
	expect_good(scene_bus);
}

static void scene_bus_traps(void)
{
	set(SIGBUS, bus, 0);
	CHECK(!dxs_signals_install(DXS_TRAP_BUS | DXS_TRAP_SEGV));
	store_beyond_end();
	_exit(1);
}

Test(signals, it_is_so_too_where_traps_come_as_signals)
{
	expect_good(scene_bus_traps);
}

static void scene_details_traps(void)
{
	set(SIGSEGV, details, 0);
	CHECK(!dxs_signals_install(DXS_TRAP_BUS | DXS_TRAP_SEGV));
	store(closed + 5);
	_exit(1);
}

Test(signals, a_fault_of_the_application_is_no_trap)
{
	expect_good(scene_details_traps);
}

static void scene_later(void)
{
	struct sigaction act = {.sa_sigaction = repair, .sa_flags = SA_SIGINFO}, old;

	CHECK(!dxs_signals_own(SIGSEGV));
	set(SIGSEGV, once, SA_NODEFER);
	install();
	CHECK(dxs_signals_own(SIGSEGV) && dxs_signals_own(SIGBUS) && !dxs_signals_own(SIGUSR1));
	dxs_signals_app_action(SIGSEGV, &act, &old);
	CHECK(old.sa_sigaction == once && old.sa_flags & SA_NODEFER);
	dxs_signals_app_action(SIGBUS, NULL, &old);
	CHECK(old.sa_handler == SIG_DFL);
	install(); // again: nothing changes
	dxs_signals_app_action(SIGSEGV, NULL, &old);
	CHECK(old.sa_sigaction == repair);
	store(closed);
	CHECK(nr_signals == 1);
}

Test(signals, an_action_set_later_is_kept_told_and_used)
{
	expect_good(scene_later);
}

static void touch(void *arg)
{
	store(arg);
}

static void scene_guard(void)
{
	struct dxs_fault_at fault = {0};
	static char writable[8];

	set(SIGSEGV, once, 0);
	install();
	CHECK(dxs_flush_guard(touch, writable, &fault) == 0 && writable[0] == 1);
	for (int i = 0; i < 3; i++) {
		CHECK(dxs_flush_guard(touch, closed + 7, &fault) == -1);
		CHECK(fault.addr == (uintptr_t)closed + 7 && fault.err == -EFAULT);
	}
	CHECK(nr_signals == 0);
	CHECK(dxs_counter_get(DXS_traps_foreign) == 0);
}

Test(signals, a_fault_of_the_library_itself_is_not_told_to_the_application)
{
	expect_good(scene_guard);
}

static void scene_guard_over(void)
{
	struct dxs_fault_at fault;

	install();
	dxs_flush_guard(touch, closed, &fault);
	store(closed);
}

Test(signals, behind_the_guard_faults_are_the_applications_again)
{
	expect_killed(scene_guard_over, SIGSEGV);
}
