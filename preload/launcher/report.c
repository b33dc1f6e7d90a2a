// SPDX-License-Identifier: BSD-3-Clause
// report.c: the statistics of a process as one screen for people.
#include "report.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/param.h>

#include "base/utf8.h"
#include "report/stats.h"
#include "symbols.h"

#define BAR 40 // characters of the longest bar of the histogram
#define TOP 10 // call sites that are shown
#define PAGE 4096

static uint64_t count(enum dxs_counter counter)
{
	return dxs_counter_get(counter);
}

// What a sync of a file in this mode makes durable. Modes are texts of another process's.
static const char *durability(const char *mode)
{
	if (!strcmp(mode, "direct") || !strcmp(mode, "byte"))
		return "durable when a sync returns";
	if (!strcmp(mode, "kernel"))
		return "durable when a sync returns, by the kernel's sync";
	if (!strcmp(mode, "emulated"))
		return "NOT durable: persistent memory is emulated";
	return "the kernel's alone, as without daxsync";
}

static void print_file(FILE *out, struct dxs_stats_map *map)
{
	char mode[16], engine[32], reason[128];

	snprintf(mode, sizeof(mode), "%s", map->mode);
	snprintf(engine, sizeof(engine), "%s", map->engine);
	snprintf(reason, sizeof(reason), "%s", map->reason);
	dxs_utf8_plain(map->path);
	dxs_utf8_plain(mode);
	dxs_utf8_plain(engine);
	dxs_utf8_plain(reason);
	fprintf(out, "  %s\n    mode %s: %s\n    %s", map->path, mode, reason, durability(mode));
	if (!map->bytes) // a change of the mode, of all its mappings
		fprintf(out, "; it came to that while it was mapped\n");
	else
		fprintf(out, "; mapped %" PRIu64 " time%s, %" PRIu64 " pages, stores noticed by %s\n", map->count,
			map->count == 1 ? "" : "s", (map->bytes + PAGE - 1) / PAGE,
			strcmp(engine, "none") ? engine : "nothing");
}

static void print_files(FILE *out)
{
	uint64_t dropped = atomic_load(&dxs_stats.mappings_dropped);
	struct dxs_stats_map map;
	size_t cursor = 0;
	bool any = false;

	fputs("files\n", out);
	for (; dxs_stats_map_next(&cursor, &map); any = true)
		print_file(out, &map);
	if (!any)
		fputs("  none was mapped shared and writable\n", out);
	if (dropped)
		fprintf(out, "  and %" PRIu64 " more mappings\n", dropped);
}

static void print_causes(FILE *out)
{
	static const struct {
		enum dxs_counter counter;
		const char *text;
	} cause[] = {
		{DXS_kernel_syncs_fsync, "fsync or fdatasync, which the kernel always ends"},
		{DXS_kernel_syncs_mapping, "the first after a new mapping"},
		{DXS_kernel_syncs_write, "write(2) or a call like it had changed the file"},
		{DXS_kernel_syncs_resize, "ftruncate, fallocate or a call like it had changed the file"},
		{DXS_kernel_syncs_unseen, "stores that only the kernel can find"},
		{DXS_kernel_syncs_beside, "another thread was inside a kernel sync of the file"},
		{DXS_kernel_syncs_others, "another process writes the file as well"},
		{DXS_kernel_syncs_stream, "a stdio stream or asynchronous I/O writes the file"},
		{DXS_kernel_syncs_policy, "the file was handed over, as its pages do not come back"},
		{DXS_kernel_syncs_mode, "mode kernel, for the reason above"},
	};

	for (size_t i = 0; i < sizeof(cause) / sizeof(cause[0]); i++)
		if (count(cause[i].counter))
			fprintf(out, "    %10" PRIu64 "  %s\n", count(cause[i].counter), cause[i].text);
}

static void print_syncs(FILE *out)
{
	fprintf(out, "syncs\n  %10" PRIu64 "  msync, fsync and the like, of files that daxsync serves\n",
		count(DXS_syncs));
	if (count(DXS_sync_errors))
		fprintf(out, "  %10" PRIu64 "  of them FAILED: the range stayed dirty\n", count(DXS_sync_errors));
	fprintf(out, "  %10" PRIu64 "  of them went to the kernel as well%s\n", count(DXS_kernel_syncs),
		count(DXS_kernel_syncs) ? ", because of" : "");
	print_causes(out);
}

static void print_pages(FILE *out)
{
	fprintf(out,
		"pages\n"
		"  %10" PRIu64 "  write faults, which made %" PRIu64 " pages writable\n"
		"  %10" PRIu64 "  flushed, each time counted (%" PRIu64 " KiB), with %" PRIu64 " fences\n"
		"  %10" PRIu64 "  write-protected again, %" PRIu64 " left writable\n",
		count(DXS_traps), count(DXS_pages_opened), count(DXS_pages_flushed), count(DXS_bytes_flushed) / 1024,
		count(DXS_fences), count(DXS_pages_closed), count(DXS_pages_kept_open));
	if (count(DXS_verified_pages) || count(DXS_missed_pages))
		fprintf(out, "  %10" PRIu64 "  verified, %" PRIu64 " MISSED\n", count(DXS_verified_pages),
			count(DXS_missed_pages));
}

void dxs_report_duration(FILE *out, uint64_t ns)
{
	static const char *const unit[] = {"ns", "us", "ms", "s"};
	unsigned i = 0;

	for (; ns >= 10000 && i < 3; i++)
		ns /= 1000;
	fprintf(out, "%" PRIu64 " %s", ns, unit[i]);
}

static void print_octave(FILE *out, unsigned octave, uint64_t most)
{
	uint64_t nr = dxs_stats_octave(octave);
	int len = (int)((double)nr * BAR / (double)most);
	char from[32];
	FILE *text = fmemopen(from, sizeof(from), "w");

	if (!text)
		return;
	dxs_report_duration(text, octave ? 1ULL << octave : 0);
	fclose(text);
	fprintf(out, "  %10s  %-*.*s %" PRIu64 "\n", from, BAR, nr && !len ? 1 : len,
		"########################################", nr);
}

static void print_durations(FILE *out)
{
	int last = dxs_stats_last_octave(), first = 0;
	struct dxs_sync_ns ns;
	uint64_t most = 1;

	dxs_stats_sync_ns_get(&ns);
	if (!ns.count)
		return;
	while (!dxs_stats_octave((unsigned)first))
		first++;
	for (int i = first; i <= last; i++)
		most = MAX(most, dxs_stats_octave((unsigned)i));
	fprintf(out, "how long syncs took, from ... on (%" PRIu64 " timed): half up to ", ns.count);
	dxs_report_duration(out, ns.p50);
	fputs(", 99 of 100 up to ", out);
	dxs_report_duration(out, ns.p99);
	fputs(", the longest ", out);
	dxs_report_duration(out, ns.max);
	fputc('\n', out);
	for (int i = first; i <= last; i++)
		print_octave(out, (unsigned)i, most);
}

// A copy: the same place may have two slots, which are added up.
struct site {
	uint64_t count, addr, offset;
	const char *path;
};

static int by_addr(const void *a, const void *b)
{
	const struct site *x = a, *y = b;

	return (x->addr > y->addr) - (x->addr < y->addr);
}

static int by_count(const void *a, const void *b)
{
	const struct site *x = a, *y = b;

	return (x->count < y->count) - (x->count > y->count);
}

static size_t collect(enum dxs_site_kind kind, struct site *sites)
{
	size_t nr = 0, kept = 0;

	for (size_t i = 0; i < DXS_SITES; i++) {
		struct dxs_site *from = &dxs_stats.site[kind][i];

		if (atomic_load(&from->count))
			sites[nr++] = (struct site){atomic_load(&from->count), from->addr, from->offset, from->path};
	}
	qsort(sites, nr, sizeof(*sites), by_addr);
	for (size_t i = 0; i < nr; i++) {
		if (kept && sites[kept - 1].addr == sites[i].addr)
			sites[kept - 1].count += sites[i].count;
		else
			sites[kept++] = sites[i];
	}
	qsort(sites, kept, sizeof(*sites), by_count);
	return kept;
}

static void print_site(FILE *out, const struct site *site, bool has_symbols)
{
	char where[512], path[160];

	snprintf(path, sizeof(path), "%s", site->path);
	if (!has_symbols || !dxs_symbols_find(path, site->offset, where, sizeof(where)))
		snprintf(where, sizeof(where), "%s+0x%" PRIx64, *path ? path : "no file",
			 *path ? site->offset : site->addr);
	dxs_utf8_plain(where);
	fprintf(out, "  %10" PRIu64 "  %s\n", site->count, where);
}

static void print_sites(FILE *out, enum dxs_site_kind kind, const char *title, bool has_symbols)
{
	struct site sites[DXS_SITES];
	size_t nr = collect(kind, sites);
	uint64_t rest = atomic_load(&dxs_stats.sites_dropped[kind]);

	if (!nr)
		return;
	fprintf(out, "%s\n", title);
	for (size_t i = 0; i < nr; i++) {
		if (i < TOP)
			print_site(out, &sites[i], has_symbols);
		else
			rest += sites[i].count;
	}
	if (rest)
		fprintf(out, "  %10" PRIu64 "  elsewhere\n", rest);
}

void dxs_report_print(FILE *out, const struct dxs_report *report)
{
	char program[sizeof(dxs_stats.program)];

	snprintf(program, sizeof(program), "%s", dxs_stats.program);
	dxs_utf8_plain(program);
	fprintf(out, "daxsync: %s, process %d%s\n", program, report->pid,
		report->is_running ? "" : ", which has ended");
	print_files(out);
	print_syncs(out);
	print_pages(out);
	print_durations(out);
	print_sites(out, DXS_SITE_SYNC, "where it syncs", report->has_symbols);
	print_sites(out, DXS_SITE_STORE, "where its stores make pages dirty", report->has_symbols);
}
