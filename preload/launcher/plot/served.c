// SPDX-License-Identifier: BSD-3-Clause
// served.c: draws the statistics of a process: what became of its syncs, its pages and its files, and how long syncs took.
#include <stdint.h>
#include <string.h>
#include <sys/param.h>

#include "gnuplot.h"
#include "plot.h"
#include "report.h"

#define ROWS 9     // of a panel; the last one tells of those that have no room
#define OCTAVES 64 // of durations

#define SERVED "#7fb0d6" // in user space
#define KERNEL "#e6a23c"
#define WRONG "#c0392b"
#define NOT_SERVED "#aaaaaa"

// Bars that lie, each with its name before it and its figure behind it.
struct bars {
	struct bar {
		const char *name, *colour;
		char figure[96];
		double value;
	} bar[ROWS];
	unsigned nr, left_out;
};

static void bars_add(struct bars *bars, const char *name, const char *colour, double value, const char *figure)
{
	struct bar *bar;

	if (bars->nr == ROWS) {
		bars->left_out++;
		return;
	}
	bar = &bars->bar[bars->nr++];
	*bar = (struct bar){.name = name, .colour = colour, .value = value};
	if (figure)
		snprintf(bar->figure, sizeof(bar->figure), "%s", figure);
	else
		snprintf(bar->figure, sizeof(bar->figure), "%.0f", value);
}

static void bars_add_count(struct bars *bars, struct dxs_plot *plot, const struct dxs_value *stats, const char *key,
			   const char *name, const char *colour)
{
	double value = dxs_plot_number(plot, stats, key);

	if (value > 0)
		bars_add(bars, name, colour, value, NULL);
}

// `wide`: how much longer than the longest bar the panel is, for the figures.
static void bars_draw(const struct bars *bars, struct dxs_plot *plot, double left, double bottom, double wide,
		      const char *title)
{
	FILE *out = plot->script;
	double most = 1;

	for (unsigned i = 0; i < bars->nr; i++)
		most = MAX(most, bars->bar[i].value);
	dxs_plot_panel(plot, left + 0.2, left + 0.46, bottom, bottom + 0.34);
	fprintf(out, "unset border\nunset tics\nset xrange [0:1]\nset yrange [%d.5:-0.5] noextend\n", ROWS - 1);
	fprintf(out, "set label '%s%s' at screen %.3f,%.3f\n", title, bars->nr ? "" : ": none", left, bottom + 0.38);
	for (unsigned i = 0; i < bars->nr; i++) {
		const struct bar *bar = &bars->bar[i];
		double end = bar->value / most / wide;

		fprintf(out, "set object rectangle from 0,%.2f to %.4f,%.2f fc rgb '%s' fs solid noborder\n", i - 0.35,
			end, i + 0.35, bar->colour);
		fputs("set label ", out);
		dxs_gnuplot_text(out, bar->name, 27);
		fprintf(out, " at 0,%u right offset -0.7,0\nset label ", i);
		dxs_gnuplot_text(out, bar->figure, 60);
		fprintf(out, " at %.4f,%u left offset 0.5,0\n", end, i);
	}
	if (bars->left_out)
		fprintf(out, "set label 'and %u more' at 0,%d right offset -0.7,0\n", bars->left_out, ROWS);
	fputs("plot NaN\n", out);
}

static void draw_syncs(struct dxs_plot *plot, const struct dxs_value *stats)
{
	static const struct {
		const char *key, *name;
	} causes[] = {
		{"kernel_syncs_fsync", "fsync, fdatasync"},
		{"kernel_syncs_mapping", "after a new mapping"},
		{"kernel_syncs_write", "after write(2)"},
		{"kernel_syncs_resize", "after a resize"},
		{"kernel_syncs_unseen", "stores not seen"},
		{"kernel_syncs_beside", "beside one of the kernel's"},
		{"kernel_syncs_others", "another process writes"},
		{"kernel_syncs_stream", "stream or asynchronous I/O"},
		{"kernel_syncs_policy", "handed over"},
		{"kernel_syncs_mode", "mode kernel"},
	};
	double all = dxs_plot_number(plot, stats, "syncs"), kernel = dxs_plot_number(plot, stats, "kernel_syncs");
	struct bars bars = {0};

	if (all > 0)
		bars_add(&bars, "in user space alone", SERVED, MAX(all - kernel, 0), NULL);
	bars_add_count(&bars, plot, stats, "sync_errors", "FAILED", WRONG);
	for (size_t i = 0; i < sizeof(causes) / sizeof(causes[0]); i++)
		bars_add_count(&bars, plot, stats, causes[i].key, causes[i].name, KERNEL);
	bars_draw(&bars, plot, 0.02, 0.54, 1.3, "syncs of files that daxsync serves; orange: by the kernel too");
}

static void draw_pages(struct dxs_plot *plot, const struct dxs_value *stats)
{
	double verified = dxs_plot_number(plot, stats, "verified_pages");
	struct bars bars = {0};
	char title[96] = "pages, each time counted";

	bars_add_count(&bars, plot, stats, "traps", "write faults", SERVED);
	bars_add_count(&bars, plot, stats, "pages_opened", "made writable by them", SERVED);
	bars_add_count(&bars, plot, stats, "pages_flushed", "flushed", SERVED);
	bars_add_count(&bars, plot, stats, "pages_closed", "write-protected again", SERVED);
	bars_add_count(&bars, plot, stats, "pages_kept_open", "left writable", SERVED);
	bars_add_count(&bars, plot, stats, "missed_pages", "MISSED", WRONG);
	if (verified > 0)
		snprintf(title, sizeof(title), "pages, each time counted; %.0f were verified", verified);
	bars_draw(&bars, plot, 0.52, 0.54, 1.3, title);
}

static const char *colour_of(const char *mode)
{
	if (!strcmp(mode, "kernel"))
		return KERNEL;
	return strcmp(mode, "pass") != 0 ? SERVED : NOT_SERVED;
}

static void describe(char *text, size_t size, const char *mode, double bytes, double count)
{
	const char *units[] = {"KiB", "MiB", "GiB", "TiB"};
	unsigned unit = 0;

	for (bytes /= 1024; bytes >= 1024 && unit < 3; unit++)
		bytes /= 1024;
	if (bytes > 0)
		snprintf(text, size, "%s, %.4g %s, %.0f mapping%s", mode, bytes, units[unit], count,
			 count == 1 ? "" : "s");
	else // a change of the mode, of all its mappings
		snprintf(text, size, "%s, while mapped", mode);
}

static void draw_files(struct dxs_plot *plot, const struct dxs_value *stats)
{
	const struct dxs_value *map = dxs_plot_list(plot, stats, "mappings");
	struct bars bars = {0};
	char figure[96];

	for (; map; map = map->next) {
		const char *mode = dxs_plot_text(plot, map, "mode");
		double bytes = dxs_plot_number(plot, map, "bytes");

		describe(figure, sizeof(figure), mode, bytes, dxs_plot_number(plot, map, "count"));
		bars_add(&bars, dxs_plot_text(plot, map, "path"), colour_of(mode), bytes, figure);
	}
	bars_draw(&bars, plot, 0.52, 0.06, 4, "files, by their largest mapping");
}

// Durations as the report has them.
static void write_duration(FILE *out, double ns)
{
	dxs_report_duration(out, ns < 0x1p63 ? (uint64_t)ns : UINT64_MAX >> 1);
}

// Where it is among octaves. Without libm, and in a straight line through each of them.
static double place_of(double ns)
{
	int octave = 0;

	for (; ns >= 2 && octave < OCTAVES; octave++)
		ns /= 2;
	return octave ? octave + ns - 1 : ns / 2;
}

// Its name stands on the side that the other mark's does not.
static void write_mark(FILE *out, double ns, const char *name, const char *side)
{
	double at = place_of(ns);

	fprintf(out,
		"set arrow from %.4f,0 to %.4f,graph 1 nohead lc rgb '%s' dt 2 front\n"
		"set label '%s' at %.4f,graph 1.05 %s front\n",
		at, at, WRONG, name, at, side);
}

struct octaves {
	int first, end; // -1: there are none
	double most;
};

static void write_octaves(struct dxs_plot *plot, const struct dxs_value *octave, struct octaves *octaves)
{
	int i = 0;

	*octaves = (struct octaves){-1, -1, 1};
	fputs("$octaves << END\n", plot->script);
	for (; octave && i < OCTAVES; octave = octave->next, i++) {
		if (octave->kind != DXS_NUMBER || !(octave->number > 0))
			continue;
		fprintf(plot->script, "%d %.15g\n", i, octave->number);
		octaves->first = octaves->first < 0 ? i : octaves->first;
		octaves->end = i + 1;
		octaves->most = MAX(octaves->most, octave->number);
	}
	fputs("END\n", plot->script);
}

// Every octave has a tick where it begins; every second one, if there are many, has its duration written to it.
static void write_ticks(FILE *out, int first, int end)
{
	int step = end - first > 8 ? (end - first + 7) / 8 : 1;

	fputs("set xtics (", out);
	for (int i = first; i <= end; i++) {
		fputs(i > first ? ", '" : "'", out);
		if ((i - first) % step == 0)
			write_duration(out, i ? (double)(1ULL << MIN(i, 63)) : 0);
		fprintf(out, "' %d", i);
	}
	fputs(")\n", out);
}

static void draw_durations(struct dxs_plot *plot, const struct dxs_value *ns)
{
	double count = dxs_plot_number(plot, ns, "count"), p50 = dxs_plot_number(plot, ns, "p50");
	double p99 = dxs_plot_number(plot, ns, "p99"), max = dxs_plot_number(plot, ns, "max");
	FILE *out = plot->script;
	struct octaves octaves;

	write_octaves(plot, dxs_plot_list(plot, ns, "octaves"), &octaves);
	dxs_plot_panel(plot, 0.07, 0.45, 0.07, 0.33);
	fputs("set label 'how long syncs took", out);
	if (octaves.first < 0) {
		fputs(": none was timed' at screen 0.02,0.44\nunset border\nunset tics\nset xrange [0:1]\n"
		      "set yrange [0:1]\nplot NaN\n",
		      out);
		return;
	}
	fprintf(out, " (%.0f timed):' at screen 0.02,0.44\nset label 'half up to ", count);
	write_duration(out, p50);
	fputs(", 99 of 100 up to ", out);
	write_duration(out, p99);
	fputs(", all up to ", out);
	write_duration(out, max);
	fputs("' at screen 0.02,0.405\n", out);
	write_mark(out, p50, "half ", "right");
	write_mark(out, p99, " 99 of 100", "left");
	write_ticks(out, MAX(octaves.first - 1, 0), octaves.end + 1);
	fprintf(out,
		"set xrange [%d:%d]\nset yrange [0:%.9g]\nset ytics %.9g\nset style fill solid\n"
		"set ylabel 'syncs' offset 1,0\n"
		"plot $octaves using ($1+0.5):2:($1+0.03):($1+0.97):(0):2 with boxxyerror lc rgb '%s'\n",
		MAX(octaves.first - 1, 0), octaves.end + 1, octaves.most * 1.05, dxs_plot_step(octaves.most, 5),
		SERVED);
}

void dxs_plot_served(struct dxs_plot *plot, const struct dxs_value *stats)
{
	char title[160];

	snprintf(title, sizeof(title), "%.64s, process %.0f, daxsync %.24s", dxs_plot_text(plot, stats, "program"),
		 dxs_plot_number(plot, stats, "pid"), dxs_plot_text(plot, stats, "version"));
	dxs_plot_begin(plot, 1100, 640);
	dxs_plot_panel(plot, 0, 1, 0, 1);
	fputs("unset border\nunset tics\nset xrange [0:1]\nset yrange [0:1]\n", plot->script);
	fputs("set label ", plot->script);
	dxs_gnuplot_text(plot->script, title, 100);
	fputs(" at screen 0.02,0.965 front\nplot NaN\n", plot->script);
	draw_syncs(plot, stats);
	draw_pages(plot, stats);
	draw_durations(plot, dxs_plot_object(plot, stats, "sync_ns"));
	draw_files(plot, stats);
}
