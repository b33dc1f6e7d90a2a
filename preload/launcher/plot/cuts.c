// SPDX-License-Identifier: BSD-3-Clause
// cuts.c: draws the answer of a crash test: for each moment the draws of what arrives, and how much could be lost.
#include <stdint.h>
#include <string.h>
#include <sys/param.h>

#include "base/log.h"
#include "gnuplot.h"
#include "plot.h"

#define COLUMNS 240 // more moments share them

struct column {
	double cuts, draws, failed, units;
};

struct picture {
	struct column column[COLUMNS];
	double moments, width; // of a column, in moments
	double nr, broken;     // power cuts
	double draws, failed;
	double last_fence;
	double most_draws, most_units;
};

static void add_cut(struct dxs_plot *plot, struct picture *picture, const struct dxs_value *cut)
{
	double moment = dxs_plot_number(plot, cut, "moment"), draws = dxs_plot_number(plot, cut, "draws");
	double failed = dxs_plot_number(plot, cut, "failed"), units = dxs_plot_number(plot, cut, "units");
	double fence = dxs_plot_number(plot, cut, "fence");
	struct column *column;

	if (plot->has_failed)
		return;
	if (moment < 1 || moment > picture->moments || failed > draws) {
		dxs_error("%s: a cut is outside of the moments, or more has failed than was drawn", plot->name);
		plot->has_failed = true;
		return;
	}
	column = &picture->column[MIN((size_t)((moment - 1) / picture->width), COLUMNS - 1)];
	column->cuts++;
	column->draws += draws;
	column->failed += failed;
	column->units = MAX(column->units, units);
	picture->nr++;
	picture->broken += failed > 0;
	picture->draws += draws;
	picture->failed += failed;
	picture->last_fence = MAX(picture->last_fence, fence);
}

static void add_cuts(struct dxs_plot *plot, struct picture *picture, const struct dxs_value *answer)
{
	picture->moments = MAX(dxs_plot_number(plot, answer, "moments"), 1);
	picture->width = MAX(picture->moments / COLUMNS, 1);
	for (const struct dxs_value *cut = dxs_plot_list(plot, answer, "cuts"); cut; cut = cut->next)
		add_cut(plot, picture, cut);
	picture->most_draws = picture->most_units = 1;
	for (size_t i = 0; i < COLUMNS; i++) {
		const struct column *column = &picture->column[i];

		if (column->cuts > 0)
			picture->most_draws = MAX(picture->most_draws, column->draws / column->cuts);
		picture->most_units = MAX(picture->most_units, column->units);
	}
}

// MOMENT FROM TO FAILED DRAWS UNITS, draws as the mean of a column's cuts.
static void write_data(struct dxs_plot *plot, const struct picture *picture)
{
	double gap = picture->moments > COLUMNS / 2.0 ? 0 : 0.1;

	fputs("$cuts << END\n", plot->script);
	for (size_t i = 0; i < COLUMNS; i++) {
		const struct column *column = &picture->column[i];
		double from = 0.5 + (double)i * picture->width;

		if (column->cuts > 0)
			fprintf(plot->script, "%.9g %.9g %.9g %.9g %.9g %.9g\n", from, from + gap,
				from + picture->width - gap, column->failed / column->cuts,
				column->draws / column->cuts, column->units);
	}
	fputs("END\n", plot->script);
}

static void write_axes(struct dxs_plot *plot, const struct picture *picture, double most)
{
	fprintf(plot->script, "set xrange [0.5:%.9g]\nset yrange [0:%.9g]\nset xtics %.9g\nset ytics %.9g\n",
		picture->moments + 0.5, most * 1.05, dxs_plot_step(picture->moments, 12), dxs_plot_step(most, 5));
}

static const char *plural(double nr)
{
	return nr == 1 ? "" : "s";
}

static void write_title(struct dxs_plot *plot, const struct picture *picture, const struct dxs_value *answer)
{
	char text[512];
	const char *verdict = dxs_plot_text(plot, answer, "verdict");

	if (picture->failed > 0)
		snprintf(text, sizeof(text),
			 "%s: the check failed after %.0f of %.0f power cut%s, in %.0f of %.0f draw%s of what arrives",
			 verdict, picture->broken, picture->nr, plural(picture->nr), picture->failed, picture->draws,
			 plural(picture->draws));
	else
		snprintf(text, sizeof(text), "%s: %.0f power cut%s, %.0f draw%s of what arrives", verdict, picture->nr,
			 plural(picture->nr), picture->draws, plural(picture->draws));
	fputs("set label ", plot->script);
	dxs_gnuplot_text(plot->script, text, 90);
	fputs(" at screen 0.07,0.95\n", plot->script);
}

static void write_smallest(struct dxs_plot *plot, const struct picture *picture, const struct dxs_value *smallest)
{
	double moment = dxs_plot_number(plot, smallest, "moment");

	if (moment < picture->moments / 2)
		fprintf(plot->script, "set label '▼ the smallest failure' at %.9g, graph 1.05 left offset -0.5,0\n",
			moment);
	else
		fprintf(plot->script, "set label 'the smallest failure ▼' at %.9g, graph 1.05 right offset 0.5,0\n",
			moment);
}

void dxs_plot_cuts(struct dxs_plot *plot, const struct dxs_value *answer)
{
	const struct dxs_value *smallest = dxs_value_of(answer, "smallest");
	struct picture picture = {0};
	bool is_pmem = !strcmp(dxs_plot_text(plot, answer, "model"), "pmem");

	add_cuts(plot, &picture, answer);
	dxs_plot_begin(plot, 1000, 400);
	write_data(plot, &picture);
	dxs_plot_panel(plot, 0.07, 0.98, 0.53, 0.84);
	write_title(plot, &picture, answer);
	if (smallest)
		write_smallest(plot, &picture, smallest);
	write_axes(plot, &picture, picture.most_draws);
	fputs("set ylabel 'draws'\nset format x ''\nset style fill solid\n"
	      "set key at screen 0.97,0.97 right top horizontal\n"
	      "plot $cuts using 1:4:2:3:4:5 with boxxyerror lc rgb '#7fb0d6' title 'fine', "
	      "$cuts using 1:4:2:3:(0):4 with boxxyerror lc rgb '#c0392b' title 'failed'\n",
	      plot->script);
	dxs_plot_panel(plot, 0.07, 0.98, 0.17, 0.45);
	write_axes(plot, &picture, picture.most_units);
	fprintf(plot->script,
		"set ylabel 'uncertain'\nset style fill solid\n"
		"set xlabel 'moment of the power cut (%.0f, with %.0f fences); grey: how many %s, sizes and names may "
		"be "
		"lost'\n"
		"plot $cuts using 1:6:2:3:(0):6 with boxxyerror lc rgb '#888888'\n",
		picture.moments, picture.last_fence, is_pmem ? "lines of 64 bytes" : "pages or sectors");
}
