// SPDX-License-Identifier: BSD-3-Clause
// interrupt.c: the signals that end a crash test.
#include "interrupt.h"

#include <signal.h>
#include <stddef.h>

static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
static volatile sig_atomic_t interrupted;

static void note(int sig)
{
	(void)sig;
	interrupted = 1;
}

// Calls go on: what has to look does so.
static void handle_all(void (*handler)(int))
{
	struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};

	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		sigaction(signals[i], &action, NULL);
}

void dxs_interrupt_catch(void)
{
	handle_all(note);
}

bool dxs_interrupted(void)
{
	return interrupted;
}

void dxs_interrupt_ignore(void)
{
	handle_all(SIG_IGN);
}

void dxs_interrupt_default(void)
{
	handle_all(SIG_DFL);
}
