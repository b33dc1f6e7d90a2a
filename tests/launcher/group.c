// SPDX-License-Identifier: BSD-3-Clause
// group.c PROGRAM ARGUMENT...: starts a program as an interactive shell does: in a process group of its own, and with
// SIGINT and SIGQUIT at their defaults, which a shell without job control sets to "ignored" for the background.
#include <signal.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	if (argc < 2 || setpgid(0, 0))
		return 1;
	signal(SIGINT, SIG_DFL);
	signal(SIGQUIT, SIG_DFL);
	execvp(argv[1], argv + 1);
	return 127;
}
