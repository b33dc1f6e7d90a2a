// SPDX-License-Identifier: BSD-3-Clause
// single.c: one thing at a time: what else knows of masks and actions.
#include <aio.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include "../asleep.h"
#include "table.h"

int __sigpause(int sig_or_mask, int is_sig);

static sigjmp_buf out;

// A handler that tells, and leaves where `leaves`.
static bool leaves;
static volatile sig_atomic_t nr_told;
static bool is_told; // SIGSEGV is

static void told(int sig)
{
	say(" <%d", sig);
	say_mask(" handler");
	say(">");
	nr_told++;
	if (leaves)
		siglongjmp(out, 1);
}

static void tell(int sig, int flags)
{
	struct sigaction act = {.sa_handler = told, .sa_flags = flags};

	MUST(!sigaction(sig, &act, NULL));
	is_told |= sig == SIGSEGV;
}

static sigset_t both(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGSEGV);
	sigaddset(&set, SIGBUS);
	return set;
}

static void block_both(int how)
{
	sigset_t set = both();

	MUST(!sigprocmask(how, &set, NULL));
}

static void store_nowhere(void)
{
	*(volatile char *)(private + PAGE) = 'X';
}

// Every way to change the mask.
static void changes_of_the_mask(const void *arg)
{
	sigset_t set = both();
	int (*mask_get)(void);

	(void)arg;
	*(void **)&mask_get = dlsym(RTLD_DEFAULT, "siggetmask"); // the linker warns of it
	MUST(mask_get);
	memory_make();
	tell(SIGSEGV, 0);
	say(" [%x", (unsigned)sigblock(1 << (SIGSEGV - 1)));
	raise(SIGSEGV);
	say_mask("sigblock");
	say(" %x", (unsigned)mask_get());
	say(" %x", (unsigned)sigsetmask(1 << (SIGBUS - 1)));
	say_mask("sigsetmask");
	MUST(!sighold(SIGSEGV));
	say_mask("sighold");
	raise(SIGSEGV);
	memory_store();
	MUST(!sigrelse(SIGSEGV));
	say_mask("sigrelse");
	say(" sigset %d", sigset(SIGSEGV, SIG_HOLD) == told);
	say_mask("hold");
	say(" sigset %d", sigset(SIGSEGV, SIG_IGN) == SIG_HOLD);
	say_mask("released");
	say_action(SIGSEGV);
	say(" sigset %d", sigset(SIGSEGV, told) == SIG_IGN);
	MUST(!pthread_sigmask(SIG_BLOCK, &set, NULL));
	say_mask("pthread");
	raise(SIGBUS);
	MUST(!sigpending(&set));
	say(" pending=%s", members(&set));
	MUST(!sigignore(SIGBUS));
	block_both(SIG_UNBLOCK);
	say_mask("unblocked");
	errno = 0;
	say(" %d %d", sighold(0), errno);
	errno = 0;
	say(" %d %d", signal(SIGKILL, told) == SIG_ERR, errno);
	errno = 0;
	say(" %d %d", sigset(-1, told) == SIG_ERR, errno);
	errno = 0;
	say(" %d %d", sigprocmask(77, &set, NULL), errno);
	memory_close();
	memory_store();
}

static void interrupts(const void *arg)
{
	(void)arg;
	memory_make();
	MUST(signal(SIGSEGV, told) == SIG_DFL && !siginterrupt(SIGSEGV, 1));
	say_action(SIGSEGV);
	MUST(signal(SIGSEGV, told) == told);
	say_action(SIGSEGV);
	MUST(!siginterrupt(SIGSEGV, 0));
	say_action(SIGSEGV);
	MUST(signal(SIGUSR1, told) == SIG_DFL && !siginterrupt(SIGUSR1, 1));
	say_action(SIGUSR1);
}

static void *send_later(void *arg)
{
	pthread_t to = *(pthread_t *)arg;
	struct timespec delay = {0, 50000000};

	nanosleep(&delay, NULL);
	pthread_kill(to, SIGSEGV);
	return NULL;
}

// SA_RESTART: whether a call that sleeps goes on. The pipe is fed by the handler's sender afterwards.
static void *send_then_write(void *arg)
{
	int *pipes = arg;
	int before = nr_told;

	until_asleep(getpid(), SYS_read, (unsigned long)pipes[0]);
	kill(getpid(), SIGSEGV);
	while (is_told && nr_told == before) // by the first thread, which has left its read for that
		sched_yield();
	MUST(write(pipes[1], "w", 1) == 1);
	return NULL;
}

static void sleeping_call(const void *arg)
{
	pthread_t thread;
	sigset_t set = both(), old;
	int pipes[2];
	char byte;

	memory_make();
	if (*(const int *)arg < 0)
		signal(SIGSEGV, SIG_IGN);
	else
		tell(SIGSEGV, *(const int *)arg);
	MUST(!pipe(pipes) && !pthread_sigmask(SIG_BLOCK, &set, &old));
	MUST(!pthread_create(&thread, NULL, send_then_write, pipes));
	MUST(!pthread_sigmask(SIG_SETMASK, &old, NULL));
	errno = 0;
	say(" read=%zd", read(pipes[0], &byte, 1));
	say(" errno %d", errno);
	pthread_join(thread, NULL);
}

// Calls that sleep with a mask of their own.
static void sleeps_with_mask(const void *arg)
{
	static const struct timespec timeout = {2, 0};
	struct epoll_event event;
	sigset_t none;
	int epoll = epoll_create1(0), which;

	(void)arg;
	memory_make();
	tell(SIGSEGV, 0);
	sigemptyset(&none);
	block_both(SIG_BLOCK);
	for (which = 0; which < 7; which++) {
		int ret = 0;

		raise(SIGSEGV);
		say(" %d:", which);
		errno = 0;
		switch (which) {
		case 0:
			ret = sigsuspend(&none);
			break;
		case 1:
			ret = pselect(0, NULL, NULL, NULL, &timeout, &none);
			break;
		case 2:
			ret = ppoll(NULL, 0, &timeout, &none);
			break;
		case 3:
			ret = epoll_pwait(epoll, &event, 1, 2000, &none);
			break;
		case 4:
			ret = epoll_pwait2(epoll, &event, 1, &timeout, &none);
			break;
		case 5:
			ret = sigpause(SIGSEGV);
			break;
		default:
			ret = __sigpause(1 << (SIGBUS - 1), 0);
		}
		say(" %d,%d", ret, errno);
		say_mask("after");
	}
	memory_store();
	store_nowhere();
}

static void fault_while_asleep(int sig)
{
	(void)sig;
	memory_store();
	say_mask("in");
	store_nowhere();
}

// A handler runs with the mask of the sleep: the fault in it kills.
static void sleeps_blocked(const void *arg)
{
	sigset_t set = both();

	(void)arg;
	memory_make();
	tell(SIGSEGV, 0);
	signal(SIGALRM, fault_while_asleep);
	ualarm(10000, 0);
	sigsuspend(&set);
}

static void waits(const void *arg)
{
	const struct timespec none = {0, 0};
	pthread_t self = pthread_self(), thread;
	sigset_t set = both(), pending;
	siginfo_t info;
	int sig = 0;

	(void)arg;
	memory_make();
	block_both(SIG_BLOCK);
	raise(SIGSEGV);
	sigqueue(getpid(), SIGBUS, (union sigval){.sival_int = 42});
	MUST(!sigpending(&pending));
	say(" pending=%s", members(&pending));
	say(" %d", sigtimedwait(&set, &info, &none));
	say(" code %d value %d", info.si_code, info.si_value.sival_int);
	say(" %d", sigwaitinfo(&set, &info));
	say(" code %d self %d", info.si_code, info.si_pid == getpid());
	errno = 0;
	say(" %d", sigtimedwait(&set, &info, &none));
	say(" errno %d", errno);
	MUST(!sigpending(&pending));
	say(" pending=%s", members(&pending));
	MUST(!pthread_create(&thread, NULL, send_later, &self));
	say(" %d", sigwait(&set, &sig));
	say(" sig %d", sig);
	pthread_join(thread, NULL);
	memory_store();
	raise(SIGSEGV);
	block_both(SIG_UNBLOCK);
}

static void *show_thread(void *arg)
{
	say_mask("thread");
	memory_store();
	if (arg)
		store_nowhere();
	return NULL;
}

// A thread inherits the mask, by birth or by its attributes.
static void threads_inherit(const void *arg)
{
	sigset_t set = both(), none, all;
	pthread_attr_t attr;
	pthread_t thread;

	sigemptyset(&none);
	sigfillset(&all);
	memory_make();
	tell(SIGSEGV, 0);
	MUST(!pthread_create(&thread, NULL, show_thread, NULL) && !pthread_join(thread, NULL));
	memory_close();
	block_both(SIG_BLOCK);
	MUST(!pthread_create(&thread, NULL, show_thread, NULL) && !pthread_join(thread, NULL));
	MUST(!pthread_attr_init(&attr) && !pthread_attr_setsigmask_np(&attr, &none));
	memory_close();
	MUST(!pthread_create(&thread, &attr, show_thread, NULL) && !pthread_join(thread, NULL));
	block_both(SIG_UNBLOCK);
	MUST(!pthread_attr_setsigmask_np(&attr, &all));
	MUST(!pthread_attr_getsigmask_np(&attr, &set));
	say(" attr=%s", members(&set));
	memory_close();
	MUST(!pthread_create(&thread, &attr, show_thread, NULL) && !pthread_join(thread, NULL));
	MUST(!pthread_attr_getsigmask_np(&attr, &set));
	say(" attr=%s", members(&set));
	say_mask("own");
	memory_close();
	MUST(!pthread_create(&thread, &attr, show_thread, (void *)arg) && !pthread_join(thread, NULL));
}

static sem_t notified;

static void notify(union sigval value)
{
	(void)value;
	memory_store();
	sem_post(&notified);
}

static void notify_wait(void)
{
	while (sem_wait(&notified))
		;
	memory_close();
}

// Threads that libc makes for the program's functions.
static void notifications(const void *arg)
{
	struct sigevent event = {.sigev_notify = SIGEV_THREAD, .sigev_notify_function = notify};
	struct itimerspec soon = {.it_value = {0, 1000000}};
	static char byte;
	static struct aiocb aio = {.aio_buf = &byte, .aio_nbytes = 1};
	timer_t timer;

	(void)arg;
	memory_make();
	sem_init(&notified, 0, 0);
	MUST(!timer_create(CLOCK_MONOTONIC, &event, &timer) && !timer_settime(timer, 0, &soon, NULL));
	notify_wait();
	say(" timer");
	aio.aio_fildes = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	aio.aio_sigevent = event;
	MUST(!aio_read(&aio));
	notify_wait();
	say(" aio");
}

static char blocked_line[256];

// The signals that a program blocks and ignores, as it was started.
static char *const show_status[] = {"grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status", NULL};

static void say_output(int fd)
{
	ssize_t len;

	while ((len = read(fd, blocked_line, sizeof(blocked_line) - 1)) > 0) {
		for (ssize_t i = 0; i < len; i++)
			if (blocked_line[i] == '\n' || blocked_line[i] == '\t')
				blocked_line[i] = ' ';
		blocked_line[len] = '\0';
		say("%s", blocked_line);
	}
}

extern char **environ;

static void by_spawn(int to)
{
	posix_spawn_file_actions_t actions;
	pid_t pid;

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, to, 1);
	MUST(!posix_spawnp(&pid, "grep", &actions, NULL, show_status, environ));
	MUST(waitpid(pid, NULL, 0) == pid);
}

static void by_spawn_with_mask(int to)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	sigset_t set;
	pid_t pid;

	sigemptyset(&set);
	sigaddset(&set, SIGSEGV);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK);
	posix_spawnattr_setsigmask(&attr, &set);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, to, 1);
	MUST(!posix_spawnp(&pid, "grep", &actions, &attr, show_status, environ));
	MUST(waitpid(pid, NULL, 0) == pid);
}

static void by_fork(int to)
{
	pid_t pid = fork();

	if (!pid) {
		dup2(to, 1);
		execvp("/nonexistent", show_status);
		execvp("grep", show_status);
		_exit(127);
	}
	MUST(waitpid(pid, NULL, 0) == pid);
}

static void by_vfork(int to)
{
	pid_t pid = vfork();

	if (!pid) {
		struct sigaction act = {.sa_handler = SIG_DFL};
		sigset_t set;

		sigemptyset(&set);
		sigaddset(&set, SIGBUS);
		sigaction(SIGSEGV, &act, NULL);
		signal(SIGBUS, SIG_IGN);
		sigprocmask(SIG_SETMASK, &set, NULL);
		dup2(to, 1);
		execvp("grep", show_status);
		_exit(127);
	}
	MUST(waitpid(pid, NULL, 0) == pid);
}

static void by_execveat(int to)
{
	pid_t pid = fork();

	if (!pid) {
		dup2(to, 1);
		execveat(AT_FDCWD, "/nonexistent", show_status, environ, 0);
		execveat(AT_FDCWD, "/bin/grep", show_status, environ, 0);
		_exit(127);
	}
	MUST(waitpid(pid, NULL, 0) == pid);
}

static void programs_inherit(const void *arg)
{
	void (*start)(int to) = *(void (*const *)(int))arg;

	unsetenv("LD_PRELOAD"); // under the shim a program that is started with them blocked unblocks them at once
	memory_make();
	tell(SIGSEGV, 0);
	if (start == by_fork)
		signal(SIGBUS, SIG_IGN);
	for (int round = 0; round < 2; round++) {
		int pair[2];

		MUST(!pipe2(pair, O_CLOEXEC));
		start(pair[1]);
		close(pair[1]);
		say_output(pair[0]);
		close(pair[0]);
		block_both(SIG_BLOCK);
	}
	block_both(SIG_UNBLOCK);
	say_mask("own");
	say_action(SIGSEGV);
	say_action(SIGBUS);
	memory_close();
	memory_store();
	leaves = true;
	if (!sigsetjmp(out, 1))
		store_nowhere();
}

static void other_handler(int sig)
{
	sigset_t set;

	say(" <%d", sig);
	say_mask(" handler");
	memory_store();
	raise(SIGSEGV);
	raise(SIGBUS);
	MUST(!sigpending(&set));
	say(" pending=%s>", members(&set));
}

static void other_info(int sig, siginfo_t *info, void *context)
{
	say(" code %d saved=%s", info->si_code, members(&((ucontext_t *)context)->uc_sigmask));
	other_handler(sig);
}

// A handler of another signal with ours in its mask.
static void other_signal(const void *arg)
{
	struct sigaction act = {.sa_flags = *(const int *)arg, .sa_handler = other_handler};

	if (act.sa_flags & SA_SIGINFO)
		act.sa_sigaction = other_info;
	act.sa_mask = both();
	MUST(!sigaction(SIGUSR1, &act, NULL));
	say_action(SIGUSR1);
	memory_make();
	tell(SIGSEGV, 0);
	tell(SIGBUS, 0);
	say_action(SIGUSR1);
	raise(SIGUSR1);
	say_mask("after");
	say_action(SIGUSR1);
	signal(SIGUSR1, SIG_IGN);
	raise(SIGUSR1);
	MUST(!sigaction(SIGUSR1, &act, NULL));
	memory_close();
	raise(SIGUSR1);
}

static void other_faults(int sig)
{
	(void)sig;
	memory_store();
	store_nowhere();
}

static void fault_in_other_handler(const void *arg)
{
	struct sigaction act = {.sa_handler = other_faults};

	if (arg)
		act.sa_mask = both();
	memory_make();
	MUST(!sigaction(SIGUSR1, &act, NULL));
	tell(SIGSEGV, 0);
	leaves = true;
	if (!sigsetjmp(out, 1))
		raise(SIGUSR1);
	say_mask("left");
	if (!sigsetjmp(out, 1))
		raise(SIGUSR1);
}

static ucontext_t main_context, other_context;
static char context_stack[65536];

static void in_context(void)
{
	say_mask("context");
	memory_store();
	MUST(!swapcontext(&other_context, &main_context));
	say_mask("again");
	block_both(SIG_UNBLOCK);
}

// Contexts carry a mask.
static void contexts(const void *arg)
{
	(void)arg;
	memory_make();
	tell(SIGSEGV, 0);
	MUST(!getcontext(&other_context));
	other_context.uc_stack = (stack_t){.ss_sp = context_stack, .ss_size = sizeof(context_stack)};
	other_context.uc_link = &main_context;
	sigaddset(&other_context.uc_sigmask, SIGSEGV);
	makecontext(&other_context, in_context, 0);
	MUST(!swapcontext(&main_context, &other_context));
	say_mask("back");
	memory_close();
	block_both(SIG_BLOCK);
	MUST(!swapcontext(&main_context, &other_context));
	say_mask("over");
	memory_close();
	memory_store();
	store_nowhere();
}

static void leave_by_context(int sig, siginfo_t *info, void *context)
{
	static int times;

	(void)sig;
	(void)info;
	(void)context;
	if (times++)
		_exit(9);
	setcontext(&main_context);
}

static void context_out_of_handler(const void *arg)
{
	struct sigaction act = {.sa_sigaction = leave_by_context, .sa_flags = SA_SIGINFO};
	volatile int times = 0;

	(void)arg;
	memory_make();
	MUST(!sigaction(SIGSEGV, &act, NULL) && !getcontext(&main_context));
	say_mask("here");
	if (times++ < 2)
		store_nowhere();
}

static void change_saved_mask(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)info;
	sigaddset(&((ucontext_t *)context)->uc_sigmask, SIGSEGV);
	MUST(!mprotect(private, 2 * PAGE, PROT_READ | PROT_WRITE));
}

// A handler changes the mask that it returns to.
static void saved_mask_changed(const void *arg)
{
	struct sigaction act = {.sa_sigaction = change_saved_mask, .sa_flags = SA_SIGINFO};

	(void)arg;
	memory_make();
	MUST(!sigaction(SIGSEGV, &act, NULL));
	store_nowhere();
	say_mask("after");
	memory_store();
	MUST(!mprotect(private, 2 * PAGE, PROT_NONE));
	store_nowhere();
}

static void thread_ends(int sig)
{
	(void)sig;
	pthread_exit((void *)5);
}

static void *fault_in_thread(void *arg)
{
	(void)arg;
	store_nowhere();
	return NULL;
}

static void thread_ends_in_handler(const void *arg)
{
	pthread_t thread;
	void *ret;

	(void)arg;
	memory_make();
	signal(SIGSEGV, thread_ends);
	MUST(!pthread_create(&thread, NULL, fault_in_thread, NULL) && !pthread_join(thread, &ret));
	say(" %d", (int)(intptr_t)ret);
	memory_store();
}

static volatile unsigned depth;

static void overflow(volatile char *above)
{
	volatile char room[4096];

	room[0] = above[0];
	if (++depth < 1U << 30)
		overflow(room);
	room[1] = above[1];
}

// The stack overflows: only a handler on another stack can be called.
static void stack_overflow(const void *arg)
{
	stack_t stack = {.ss_sp = context_stack, .ss_size = sizeof(context_stack)};
	char top[2] = {0};

	memory_make();
	MUST(!sigaltstack(&stack, NULL));
	tell(SIGSEGV, *(const int *)arg);
	leaves = true;
	if (!sigsetjmp(out, 1))
		overflow(top);
	say(" survived");
	memory_close();
	memory_store();
}

static void fix_page(int sig, siginfo_t *info, void *context)
{
	char *at = (char *)((uintptr_t)info->si_addr & ~(PAGE - 1));

	(void)sig;
	(void)context;
	depth++;
	MUST(!mprotect(at, PAGE, PROT_READ | PROT_WRITE));
}

// A collector's write barrier on memory of its own and on the mapping, over and over.
static void write_barrier(const void *arg)
{
	struct sigaction act = {.sa_sigaction = fix_page, .sa_flags = SA_SIGINFO};
	int round;

	(void)arg;
	memory_make();
	MUST(!sigaction(SIGSEGV, &act, NULL));
	for (round = 0; round < 50; round++) {
		MUST(!mprotect(private, 2 * PAGE, PROT_READ));
		MUST(!mprotect(map, 3 * PAGE, PROT_READ));
		private[round % 2 * (int)PAGE] = 'b';
		memory_store();
		if (round % 3 == 0)
			memory_close();
		memory_store();
		if (round % 3 == 1)
			memory_close();
	}
	say(" %u", depth);
}

static void descriptor(const void *arg)
{
	struct signalfd_siginfo info;
	sigset_t set = both();
	int fd;

	(void)arg;
	memory_make();
	sigaddset(&set, SIGUSR1);
	MUST(!sigprocmask(SIG_BLOCK, &set, NULL));
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	raise(SIGUSR1);
	say(" %zd", read(fd, &info, sizeof(info)));
	say(" %u", info.ssi_signo);
	memory_store();
}

void rows_single(void)
{
	static const int none, info = SA_SIGINFO, reset = (int)SA_RESETHAND, onstack = SA_ONSTACK, restart = SA_RESTART,
			       ignored = -1;
	static void (*const ways[])(int) = {by_spawn, by_spawn_with_mask, by_fork, by_vfork, by_execveat};

	row("mask/changes", changes_of_the_mask, NULL);
	row("mask/siginterrupt", interrupts, NULL);
	row("mask/read", sleeping_call, &none);
	row("mask/read,restart", sleeping_call, &restart);
	row("mask/read,ignored", sleeping_call, &ignored);
	row("mask/sleeps", sleeps_with_mask, NULL);
	row("mask/sleeps-blocked", sleeps_blocked, NULL);
	row("mask/waits", waits, NULL);
	row("mask/signalfd", descriptor, NULL);
	row("inherit/threads", threads_inherit, NULL);
	row("inherit/threads-fault", threads_inherit, &info);
	row("inherit/notifications", notifications, NULL);
	row("inherit/spawn", programs_inherit, &ways[0]);
	row("inherit/spawn-mask", programs_inherit, &ways[1]);
	row("inherit/fork", programs_inherit, &ways[2]);
	row("inherit/vfork", programs_inherit, &ways[3]);
	row("inherit/execveat", programs_inherit, &ways[4]);
	row("other/handler", other_signal, &none);
	row("other/handler,info", other_signal, &info);
	row("other/handler,resethand", other_signal, &reset);
	row("other/fault", fault_in_other_handler, NULL);
	row("other/fault,blocked", fault_in_other_handler, &info);
	row("context/swap", contexts, NULL);
	row("context/set", context_out_of_handler, NULL);
	row("context/saved", saved_mask_changed, NULL);
	row("stack/thread-exit", thread_ends_in_handler, NULL);
	row("stack/overflow", stack_overflow, &none);
	row("stack/overflow,onstack", stack_overflow, &onstack);
	row("barrier", write_barrier, NULL);
}
