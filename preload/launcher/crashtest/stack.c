// SPDX-License-Identifier: BSD-3-Clause
// stack.c: finds the files in which return addresses lie, while the process is there; functions and lines only for what is
// shown.
#include "stack.h"

#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "memory.h"
#include "symbols.h"

#define SHOWN 8 // frames

struct mapping {
	uintptr_t start, end;
	uint64_t offset;
	char path[PATH_MAX];
};

// What is executable in the process that was asked about last, as it was mapped then.
static struct {
	struct mapping *mapping;
	size_t nr;
	pid_t pid;
} known;

// A line of maps: "START-END r-xp OFFSET DEVICE INODE PATH". False: nothing of a file's that is executed.
static bool line_read(const char *line, struct mapping *mapping)
{
	char *at;

	mapping->start = strtoull(line, &at, 16);
	mapping->end = strtoull(at + (*at == '-'), &at, 16);
	if (strlen(at) < 6 || at[3] != 'x' || !strchr(at, '/'))
		return false;
	mapping->offset = strtoull(at + 6, NULL, 16);
	snprintf(mapping->path, sizeof(mapping->path), "%s", strchr(at, '/'));
	mapping->path[strcspn(mapping->path, "\n")] = '\0';
	return true;
}

static void maps_read(pid_t pid)
{
	char path[32], line[PATH_MAX + 128];
	struct mapping mapping;
	FILE *maps;

	known.nr = 0;
	known.pid = pid;
	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	maps = fopen(path, "re");
	while (maps && fgets(line, sizeof(line), maps)) {
		if (!line_read(line, &mapping))
			continue;
		known.mapping = dxs_need(known.mapping, (known.nr + 1) * sizeof(mapping));
		known.mapping[known.nr++] = mapping;
	}
	if (maps)
		fclose(maps);
}

static const struct mapping *mapping_find(uintptr_t pc)
{
	for (size_t i = 0; i < known.nr; i++)
		if (pc >= known.mapping[i].start && pc < known.mapping[i].end)
			return &known.mapping[i];
	return NULL;
}

static const struct mapping *mapping_of(pid_t pid, uintptr_t pc)
{
	const struct mapping *mapping = known.pid == pid ? mapping_find(pc) : NULL;

	if (mapping)
		return mapping;
	maps_read(pid);
	return mapping_find(pc);
}

static bool is_ours(const char *path)
{
	const char *name = strrchr(path, '/');

	return name && !strncmp(name, "/libdaxsync", 11);
}

char *dxs_stack_text(pid_t pid, const uintptr_t *frame, unsigned nr)
{
	unsigned i, shown = 0;
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	for (i = 0; out && i < nr && shown < SHOWN; i++) {
		uintptr_t pc = frame[i] - 1; // of the call
		const struct mapping *mapping = mapping_of(pid, pc);

		if (!mapping)
			break;
		if (is_ours(mapping->path))
			continue;
		fprintf(out, "%" PRIx64 " %s\n", pc - mapping->start + mapping->offset, mapping->path);
		shown++;
	}
	if (out)
		fclose(out);
	if (shown)
		return text;
	free(text);
	return NULL;
}

// One frame in words. False: what started main() has nothing to say.
static bool frame_words(const char *frame, char *words, size_t size)
{
	const char *path = strchr(frame, ' ');

	if (!path)
		return false;
	if (!dxs_symbols_find(path + 1, strtoull(frame, NULL, 16), words, size))
		snprintf(words, size, "%s", frame);
	dxs_utf8_plain(words);
	return strncmp(words, "__libc_start", 12) != 0 && strncmp(words, "_start ", 7) != 0;
}

void dxs_stack_print(FILE *out, const char *before, const char *text)
{
	char frame[PATH_MAX + 32], words[PATH_MAX + 64];
	const char *end;

	for (; text && *text; text = end + (*end == '\n'), before = "") {
		end = strchrnul(text, '\n');
		snprintf(frame, sizeof(frame), "%.*s", (int)(end - text), text);
		if (!frame_words(frame, words, sizeof(words)))
			break;
		fprintf(out, "      %-14s%s\n", before, words);
		if (!strncmp(words, "main ", 5))
			break;
	}
}
