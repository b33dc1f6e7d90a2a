// SPDX-License-Identifier: BSD-3-Clause
// plot.h: pictures of what daxsync has written as JSON.
#ifndef DXS_PLOT_H
#define DXS_PLOT_H

#include <stdbool.h>
#include <stdio.h>

#include "../jsonread.h"

// A picture in the making.
struct dxs_plot {
	const char *name; // of the JSON, for errors
	FILE *script;     // for gnuplot
	bool has_failed;  // and one line on stderr has said why
};

// Draws a JSON text, which is changed and has a NUL behind it, as SVG. -EINVAL: it cannot be drawn; or another -errno; each
// after one line on stderr.
int dxs_plot_draw(const char *name, char *text, size_t len, const char *out);

// What an object must have: numbers from 0 on. What it has not, or has in another kind, is 0 or "" or NULL, and the picture
// has failed.
double dxs_plot_number(struct dxs_plot *plot, const struct dxs_value *object, const char *key);
const char *dxs_plot_text(struct dxs_plot *plot, const struct dxs_value *object, const char *key);
const struct dxs_value *dxs_plot_object(struct dxs_plot *plot, const struct dxs_value *object, const char *key);
const struct dxs_value *dxs_plot_list(struct dxs_plot *plot, const struct dxs_value *object,
				      const char *key); // its first

// A picture of so many pixels, and a part of it with axes at these places, from 0 to 1 from the lower left corner.
void dxs_plot_begin(struct dxs_plot *plot, int width, int height);
void dxs_plot_panel(struct dxs_plot *plot, double left, double right, double bottom, double top);

// The distance of at most `nr` ticks from 0 to `most`: a whole number that begins with 1, 2 or 5.
double dxs_plot_step(double most, double nr);

// The kinds of pictures: what `daxsync crashtest --json` and `daxsync run --stats` have written.
void dxs_plot_cuts(struct dxs_plot *plot, const struct dxs_value *answer);
void dxs_plot_served(struct dxs_plot *plot, const struct dxs_value *stats);

#endif
