// SPDX-License-Identifier: BSD-3-Clause
// stress.h: the options of the stress programs: letters, each with a number.
#ifndef STRESS_H
#define STRESS_H

#include <stdlib.h>
#include <unistd.h>

struct stress_option {
	char letter;
	unsigned *value;
	unsigned least, most;
};

static inline void stress_option_set(const struct stress_option *option, unsigned nr, int letter, const char *text)
{
	unsigned value = (unsigned)strtoul(text ? text : "0", NULL, 0);

	while (nr && option->letter != letter) {
		option++;
		nr--;
	}
	if (!nr || value < option->least || value > option->most)
		exit(2);
	*option->value = value;
}

static inline void stress_options(int argc, char **argv, const struct stress_option *option, unsigned nr)
{
	char letters[16] = "";
	int c;

	for (unsigned i = 0; i < nr; i++) {
		letters[2 * i] = option[i].letter;
		letters[2 * i + 1] = ':';
	}
	while ((c = getopt(argc, argv, letters)) != -1)
		stress_option_set(option, nr, c, optarg);
}

#endif
