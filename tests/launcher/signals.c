// SPDX-License-Identifier: BSD-3-Clause
// signals.c PID-FILE GOT-FILE: writes its process id to one file and the name of every signal that it gets to the
// other. SIGALRM makes it send SIGUSR2 to its own process group. SIGTERM ends it with status 42.
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const struct {
	int sig;
	const char *name;
} names[] = {{SIGHUP, "HUP\n"},   {SIGINT, "INT\n"},   {SIGQUIT, "QUIT\n"}, {SIGUSR1, "USR1\n"},
	     {SIGUSR2, "USR2\n"}, {SIGALRM, "ALRM\n"}, {SIGTERM, "TERM\n"}};
#define NR_NAMES (sizeof(names) / sizeof(names[0]))

static int got_fd;

static void got(int sig)
{
	for (size_t i = 0; i < NR_NAMES; i++)
		if (names[i].sig == sig && write(got_fd, names[i].name, strlen(names[i].name)) < 0)
			_exit(1);
	if (sig == SIGALRM)
		kill(0, SIGUSR2);
	if (sig == SIGTERM)
		_exit(42);
}

int main(int argc, char **argv)
{
	FILE *file;

	if (argc != 3)
		return 2;
	got_fd = open(argv[2], O_CREAT | O_APPEND | O_WRONLY, 0600);
	for (size_t i = 0; i < NR_NAMES; i++) {
		struct sigaction action = {.sa_handler = got}, old;

		sigaction(names[i].sig, NULL, &old);
		if (old.sa_handler != SIG_IGN) // as nohup(1) wants it
			sigaction(names[i].sig, &action, NULL);
	}
	file = fopen(argv[1], "w");
	if (!file || fprintf(file, "%d\n", getpid()) < 0 || fclose(file))
		return 1;
	for (;;)
		pause();
}
