// SPDX-License-Identifier: BSD-3-Clause
// product.c: what makes the signal, times how the action was set, times what the handler does.
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "table.h"

enum cause {
	STORE_NULL,
	LOAD_NULL,
	STORE_NONE,
	STORE_RO,
	STORE_RO_SHARED, // the program's own protection of the tracked mapping
	BEYOND_EOF,
	NON_CANONICAL,
	MISALIGNED,
	EXECUTE,
	BY_RAISE,
	BY_KILL,
	BY_SIGQUEUE,
	BUS_BY_RAISE,
	NR_CAUSES
};
static const char *const cause_name[] = {"store-null", "load-null",     "store-none", "store-ro", "store-ro-shared",
					 "beyond-eof", "non-canonical", "misaligned", "execute",  "raise",
					 "kill",       "sigqueue",      "raise-bus"};

enum api {
	BY_SIGACTION,
	BY_SIGNAL,
	BY_BSD,
	BY_SSIGNAL,
	BY_SYSV,
	BY_SIGSET,
	TO_IGNORE,
	BY_SIGIGNORE,
	TO_DEFAULT,
	NR_APIS
};
static const char *const api_name[] = {"sigaction", "signal",  "bsd_signal", "ssignal", "sysv_signal",
				       "sigset",    "ignored", "sigignore",  "default"};

enum act { RETURN_MENDED, JUMP, JUMP_WITHOUT_MASK, FAULT_AGAIN, STORE_CLOSED, SYNC, LEAVE_MENDED_LATER, NR_ACTS };
static const char *const act_name[] = {"mends", "jumps", "jumps-no-mask", "faults", "stores", "syncs", "returns"};

enum masks { NONE, OURS, ALL_SIGNALS, NR_MASKS };
static const char *const mask_name[] = {"none", "own", "all"};

struct row {
	enum cause cause;
	enum api api;
	int flags; // of sigaction
	enum act act;
	enum masks mask, blocked; // sa_mask; what is blocked at the fault
	bool before;              // the action is set before the first mapping
	bool altstack;
};

sighandler_t bsd_signal(int sig, sighandler_t handler);

static const struct row *now;
static sigjmp_buf out_of_handler;
static volatile sig_atomic_t nr_calls;
static char altstack[65536];

static int signal_of(enum cause cause)
{
	return cause == BEYOND_EOF || cause == BUS_BY_RAISE ? SIGBUS : SIGSEGV;
}

static bool is_sent(enum cause cause)
{
	return cause >= BY_RAISE;
}

static void mend(void)
{
	switch (now->cause) {
	case STORE_NONE:
	case STORE_RO:
		MUST(!mprotect(private, 2 * PAGE, PROT_READ | PROT_WRITE));
		break;
	case STORE_RO_SHARED:
		MUST(!mprotect(map, PAGE, PROT_READ | PROT_WRITE));
		break;
	default:
		if (!is_sent(now->cause) && nr_calls > 2) // cannot be mended
			_exit(5);
	}
}

static void fault(void);

static void handle(void)
{
	nr_calls = nr_calls + 1;
	say_mask(" handler");
	switch (now->act) {
	case RETURN_MENDED:
		mend();
		break;
	case JUMP:
		siglongjmp(out_of_handler, 1);
	case JUMP_WITHOUT_MASK:
		longjmp(out_of_handler, 1);
	case FAULT_AGAIN:
		if (nr_calls > 2)
			_exit(6);
		fault();
		mend();
		break;
	case STORE_CLOSED:
		memory_store();
		mend();
		break;
	case SYNC:
		memory_store();
		memory_close();
		mend();
		break;
	default:
		if (nr_calls > 2)
			_exit(7);
	}
	errno = ENOTTY;
}

static bool on_altstack(void)
{
	char here;

	return (uintptr_t)&here - (uintptr_t)altstack < sizeof(altstack);
}

static void on_plain(int sig)
{
	say(" <%d%s", sig, on_altstack() ? ", alternate stack" : "");
	handle();
	say(">");
}

static void on_info(int sig, siginfo_t *info, void *context)
{
	sigset_t saved;

	memset(&saved, 0, sizeof(saved));
	memcpy(&saved, &((ucontext_t *)context)->uc_sigmask, 8);
	say(" <%d, code %d at %s, saved=%s%s", sig, info->si_code, info->si_code > 0 ? place(info->si_addr) : "",
	    members(&saved), on_altstack() ? ", alternate stack" : "");
	if (info->si_code <= 0)
		say(", sender %s value %d", info->si_pid == getpid() ? "self" : "other",
		    info->si_code == SI_QUEUE ? info->si_value.sival_int : 0);
	handle();
	say(">");
}

static sigset_t set_of(enum masks masks)
{
	sigset_t set;

	sigemptyset(&set);
	if (masks == OURS)
		sigaddset(&set, signal_of(now->cause));
	if (masks == ALL_SIGNALS)
		sigfillset(&set);
	return set;
}

static void action_set(void)
{
	struct sigaction act = {.sa_flags = now->flags, .sa_mask = set_of(now->mask)};
	int sig = signal_of(now->cause);
	sighandler_t old = SIG_DFL;

	if (now->flags & SA_SIGINFO)
		act.sa_sigaction = on_info;
	else
		act.sa_handler = on_plain;
	switch (now->api) {
	case BY_SIGACTION:
		MUST(!sigaction(sig, &act, NULL));
		break;
	case BY_SIGNAL:
		old = signal(sig, on_plain);
		break;
	case BY_BSD:
		old = bsd_signal(sig, on_plain);
		break;
	case BY_SSIGNAL:
		old = ssignal(sig, on_plain);
		break;
	case BY_SYSV:
		old = sysv_signal(sig, on_plain);
		break;
	case BY_SIGSET:
		old = sigset(sig, on_plain);
		break;
	case TO_IGNORE:
		old = signal(sig, SIG_IGN);
		break;
	case BY_SIGIGNORE:
		MUST(!sigignore(sig));
		break;
	default:
		old = signal(sig, SIG_DFL);
	}
	MUST(old == SIG_DFL);
}

static void execute(char *at)
{
	((void (*)(void))(uintptr_t)at)();
}

static void misalign(void)
{
#if defined(__x86_64__)
	__asm__ volatile("movaps %%xmm0, 1(%0)" : : "r"((uintptr_t)altstack & ~15UL) : "memory");
#else
	raise(SIGSEGV);
#endif
}

static void fault(void)
{
	volatile uintptr_t nowhere = 0;

	switch (now->cause) {
	case STORE_NULL:
		*(volatile char *)(nowhere + 3) = 'X';
		break;
	case LOAD_NULL:
		(void)*(volatile char *)(nowhere + 5);
		break;
	case STORE_NONE:
		*(volatile char *)(private + PAGE + 7) = 'X';
		break;
	case STORE_RO:
		*(volatile char *)(private + 9) = 'X';
		break;
	case STORE_RO_SHARED:
		*(volatile char *)(map + 11) = 'X';
		break;
	case BEYOND_EOF:
		*(volatile char *)(map + (NR_PAGES - 1) * PAGE + 13) = 'X';
		break;
	case NON_CANONICAL:
		*(volatile char *)(nowhere + 0x8000000000000000UL) = 'X';
		break;
	case MISALIGNED:
		misalign();
		break;
	case EXECUTE:
		execute(private);
		break;
	case BY_KILL:
		kill(getpid(), SIGSEGV);
		break;
	case BY_SIGQUEUE:
		sigqueue(getpid(), SIGSEGV, (union sigval){.sival_int = 4711});
		break;
	default:
		raise(signal_of(now->cause));
	}
}

// Faults, twice where the handler comes back or jumps, and then shows what is left.
static void run(const void *arg)
{
	stack_t stack = {.ss_sp = altstack, .ss_size = sizeof(altstack)};
	sigset_t blocked;
	volatile int times = 0;

	now = arg;
	if (now->altstack)
		MUST(!sigaltstack(&stack, NULL));
	if (now->before)
		action_set();
	memory_make();
	if (now->cause == STORE_RO_SHARED)
		MUST(!mprotect(map, PAGE, PROT_READ));
	if (!now->before)
		action_set();
	say_action(signal_of(now->cause));
	blocked = set_of(now->blocked);
	MUST(!sigprocmask(SIG_BLOCK, &blocked, NULL));
	if (now->act == JUMP_WITHOUT_MASK ? setjmp(out_of_handler) : sigsetjmp(out_of_handler, 1))
		say(" jumped");
	say_mask("mask");
	if (times++ < 2) {
		errno = EBADMSG;
		fault();
		say(" back, errno %d", errno);
		say_mask("mask");
	}
	say_action(signal_of(now->cause));
	MUST(!sigprocmask(SIG_UNBLOCK, &blocked, NULL));
	if (now->cause == STORE_RO_SHARED)
		mend(); // also where the handler does not
	memory_close();
	memory_store();
	memory_close();
	say(" calls=%d", (int)nr_calls);
}

static void product_row(const struct row *row_arg)
{
	char name[200];

	snprintf(name, sizeof(name), "%s/%s%s%s%s%s%s/%s/sa_mask-%s/blocked-%s/%s%s", cause_name[row_arg->cause],
		 api_name[row_arg->api], row_arg->flags & SA_SIGINFO ? ",info" : "",
		 row_arg->flags & SA_ONSTACK ? ",onstack" : "", row_arg->flags & (int)SA_RESETHAND ? ",resethand" : "",
		 row_arg->flags & SA_NODEFER ? ",nodefer" : "", row_arg->flags & SA_RESTART ? ",restart" : "",
		 act_name[row_arg->act], mask_name[row_arg->mask], mask_name[row_arg->blocked],
		 row_arg->before ? "before" : "after", row_arg->altstack ? "/altstack" : "");
	row(name, run, row_arg);
}

// Every combination of flags, for a fault and for a signal that was sent.
static void flags_rows(void)
{
	const int flag[] = {SA_SIGINFO, SA_ONSTACK, (int)SA_RESETHAND, SA_NODEFER, SA_RESTART};
	const enum cause causes[] = {STORE_NONE, BY_RAISE};
	const enum act acts[] = {RETURN_MENDED, JUMP, FAULT_AGAIN};
	unsigned i, j, nr;

	for (nr = 0; nr < 32 * 2 * 3; nr++) {
		struct row one = {.cause = causes[nr / 32 % 2], .act = acts[nr / 64], .altstack = true};

		for (i = nr % 32, j = 0; j < 5; j++)
			one.flags |= i >> j & 1 ? flag[j] : 0;
		one.before = (unsigned)__builtin_popcount(nr) % 2;
		product_row(&one);
	}
}

// Every way to set an action, for every cause.
static void api_rows(void)
{
	unsigned cause, api, act;

	for (cause = 0; cause < NR_CAUSES; cause++)
		for (api = 0; api < NR_APIS; api++)
			for (act = RETURN_MENDED; act <= JUMP; act++)
				product_row(&(struct row){.cause = cause,
							  .api = api,
							  .act = act,
							  .flags = api == BY_SIGACTION ? SA_SIGINFO : 0,
							  .before = (cause + api + act) % 2});
}

// Every mask, for all that a handler may do.
static void mask_rows(void)
{
	const enum cause causes[] = {STORE_NONE, STORE_RO_SHARED, BEYOND_EOF, BY_RAISE};
	unsigned nr, act, mask, blocked, nodefer;

	for (nr = 0; nr < 4; nr++)
		for (act = 0; act < NR_ACTS; act++)
			for (mask = 0; mask < NR_MASKS; mask++)
				for (blocked = 0; blocked < NR_MASKS; blocked++)
					for (nodefer = 0; nodefer < 2; nodefer++)
						product_row(
							&(struct row){.cause = causes[nr],
								      .act = act,
								      .mask = mask,
								      .blocked = blocked,
								      .flags = SA_SIGINFO | (nodefer ? SA_NODEFER : 0),
								      .before = (nr + act + mask + blocked) % 2});
}

// No handler.
static void default_rows(void)
{
	unsigned cause, api, blocked;

	for (cause = 0; cause < NR_CAUSES; cause++)
		for (api = TO_IGNORE; api < NR_APIS; api += 2)
			for (blocked = 1; blocked < NR_MASKS; blocked++)
				product_row(&(struct row){
					.cause = cause, .api = api, .blocked = blocked, .before = (cause + api) % 2});
}

void rows_product(void)
{
	flags_rows();
	api_rows();
	mask_rows();
	default_rows();
}
