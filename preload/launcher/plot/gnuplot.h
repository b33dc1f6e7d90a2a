// SPDX-License-Identifier: BSD-3-Clause
// gnuplot.h: gnuplot(1), and the texts in its scripts.
#ifndef DXS_GNUPLOT_H
#define DXS_GNUPLOT_H

#include <stdbool.h>
#include <stdio.h>

// One line on stderr if it is not there.
bool dxs_gnuplot_is_there(void);

// Gives it the script and writes the picture that comes out to a file, or to standard output ("-"). The file is not touched
// before the picture is there. 0, or -errno after one line on stderr.
int dxs_gnuplot_run(const char *script, size_t len, const char *path);

// A text in quotes that say nothing to gnuplot: foreign text ends neither the quotes nor the line, and is no command. Of one
// that is longer than `most` characters the end is kept.
void dxs_gnuplot_text(FILE *script, const char *text, size_t most);

#endif
