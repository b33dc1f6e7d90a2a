// SPDX-License-Identifier: BSD-3-Clause
// thread_attributes.c: Threads that are made at the same time from one attribute object with a signal mask. The shim
// took SIGSEGV and SIGBUS out of the object's mask for the time of each call, so that another thread's call found them
// missing. What a thread inherits by thrd_create was missing as well. Failure: threads that believe SIGSEGV or SIGBUS
// not to be blocked.
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <threads.h>

#define NR_MAKERS 4
#define NR_EACH 500

static pthread_attr_t shared;
static _Atomic int nr_wrong;

static int has_both(void)
{
	sigset_t now;

	pthread_sigmask(SIG_BLOCK, NULL, &now);
	return sigismember(&now, SIGSEGV) && sigismember(&now, SIGBUS);
}

static void *look(void *arg)
{
	nr_wrong += !has_both();
	return arg;
}

static int look_c11(void *arg)
{
	(void)arg;
	return has_both();
}

static void *make(void *arg)
{
	pthread_t thread;
	int i;

	for (i = 0; i < NR_EACH; i++)
		if (!pthread_create(&thread, &shared, look, NULL))
			pthread_join(thread, NULL);
	return arg;
}

int main(void)
{
	pthread_t maker[NR_MAKERS];
	sigset_t all, kept;
	thrd_t thread;
	int i, answer;

	sigfillset(&all);
	pthread_attr_init(&shared);
	pthread_attr_setsigmask_np(&shared, &all);
	for (i = 0; i < NR_MAKERS; i++)
		pthread_create(&maker[i], NULL, make, NULL);
	for (i = 0; i < NR_MAKERS; i++)
		pthread_join(maker[i], NULL);
	pthread_attr_getsigmask_np(&shared, &kept);
	printf("threads with another mask: %d, the attribute object has SIGSEGV: %d\n", nr_wrong,
	       sigismember(&kept, SIGSEGV));
	pthread_sigmask(SIG_SETMASK, &all, NULL);
	thrd_create(&thread, look_c11, NULL);
	thrd_join(thread, &answer);
	printf("inherited by thrd_create: %d\n", answer);
	return 0;
}
