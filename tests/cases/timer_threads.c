// SPDX-License-Identifier: BSD-3-Clause
// timer_threads.c: Notifications by a thread: the program's function gets its value and the mask that libc's threads
// have, for timers that follow each other and others that live meanwhile; and making and deleting them costs no
// memory. The shim kept 16 bytes for each. Failure: a wrong value or mask, or "memory: lost".
#include <fcntl.h>
#include <mqueue.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define NR_TIMERS 300000
#define NR_ALIVE 200
#define MOST_PAGES 512

static sem_t expired;
static int got;

static void note(union sigval value)
{
	sigset_t now;

	pthread_sigmask(SIG_BLOCK, NULL, &now);
	got = value.sival_int;
	printf("value %d, SIGSEGV blocked %d, SIGUSR1 blocked %d\n", got, sigismember(&now, SIGSEGV),
	       sigismember(&now, SIGUSR1));
	sem_post(&expired);
}

static struct sigevent event_of(int value)
{
	return (struct sigevent){
		.sigev_notify = SIGEV_THREAD, .sigev_notify_function = note, .sigev_value.sival_int = value};
}

static timer_t timer_of(int value)
{
	struct sigevent event = event_of(value);
	timer_t timer = NULL;

	if (timer_create(CLOCK_MONOTONIC, &event, &timer))
		perror("timer_create");
	return timer;
}

static void expire(timer_t timer)
{
	struct itimerspec soon = {.it_value.tv_nsec = 1};

	timer_settime(timer, 0, &soon, NULL);
	while (sem_wait(&expired))
		;
}

static long resident_pages(void)
{
	FILE *file = fopen("/proc/self/statm", "r");
	long size, resident = 0;

	if (!file || fscanf(file, "%ld %ld", &size, &resident) != 2)
		puts("no /proc");
	if (file)
		fclose(file);
	return resident;
}

static void make_and_delete(int nr)
{
	while (nr--)
		timer_delete(timer_of(nr));
}

static void by_queue(void)
{
	char name[64];
	struct sigevent event = event_of(-7);
	mqd_t queue;

	snprintf(name, sizeof(name), "/daxsync-timer-threads-%d", (int)getpid());
	queue = mq_open(name, O_RDWR | O_CREAT, 0600, NULL);
	mq_unlink(name);
	if (mq_notify(queue, &event) || mq_send(queue, "x", 1, 1))
		perror("queue");
	while (sem_wait(&expired))
		;
	mq_close(queue);
}

int main(void)
{
	timer_t alive[NR_ALIVE];
	long before;
	int i;

	sem_init(&expired, 0, 0);
	for (i = 0; i < NR_ALIVE; i++)
		alive[i] = timer_of(i);
	make_and_delete(1000);
	before = resident_pages();
	make_and_delete(NR_TIMERS);
	puts(resident_pages() - before < MOST_PAGES ? "memory: kept" : "memory: lost");
	for (i = 0; i < NR_ALIVE; i += 50)
		expire(alive[i]);
	timer_delete(alive[7]);
	expire(timer_of(1234));
	expire(alive[8]);
	by_queue();
	return 0;
}
