// SPDX-License-Identifier: BSD-3-Clause
// fuzz_proc.c: what the library reads in /proc: maps, smaps, status. The files are made up: either by the rules of the kernel
// with hostile names and figures, or of any bytes; and each read gives as much as it likes.
//
// Promised: of files that keep the rules everything is found just as it was put down. Of any bytes the same is read however
// they are cut, every walk ends, and a filter is only denied where the file does.
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "base/filter.h"
#include "base/sys.h"
#include "fuzz.h"
#include "proc/vma.h"

#define PROC_FD 100000 // of a made-up file; only one is open at a time
#define MOST 64

static struct {
	const char *text;
	size_t len, at, most; // most: bytes that one read gives
	bool is_open;
} file;

static long file_read(char *to, size_t size)
{
	size_t len = file.len - file.at;

	PROMISE(file.is_open);
	len = len < size ? len : size;
	len = len < file.most ? len : file.most;
	memcpy(to, file.text + file.at, len);
	file.at += len;
	return (long)len;
}

long __real_syscall(long nr, long a, long b, long c, long d, long e, long f);
long __wrap_syscall(long nr, long a, long b, long c, long d, long e, long f);

long __wrap_syscall(long nr, long a, long b, long c, long d, long e, long f)
{
	if (nr == SYS_openat && !strncmp((const char *)b, "/proc/", 6)) {
		PROMISE(!file.is_open);
		file.at = 0;
		file.is_open = true;
		return PROC_FD;
	}
	if (nr == SYS_read && a == PROC_FD)
		return file_read((char *)b, (size_t)c);
	if (nr == SYS_close && a == PROC_FD) {
		PROMISE(file.is_open);
		file.is_open = false;
		return 0;
	}
	if (nr == SYS_ioctl || (nr == SYS_fcntl && a == PROC_FD)) { // a kernel before PROCMAP_QUERY
		file.is_open = false;
		errno = ENOTTY;
		return -1;
	}
	return __real_syscall(nr, a, b, c, d, e, f);
}

static void file_is(const char *text, size_t len, size_t most)
{
	PROMISE(!file.is_open);
	file.text = text;
	file.len = len;
	file.most = most ? most : 1;
}

// What was put down.
struct line {
	struct dxs_vma vma;
	bool is_sync;
	char name[64];
};
static struct line line[MOST];
static size_t nr_lines;

struct text {
	char text[64 << 10];
	size_t len;
};
static struct text maps, smaps;

__attribute__((format(printf, 2, 3))) static void add(struct text *text, const char *fmt, ...)
{
	va_list args;
	int len;

	va_start(args, fmt);
	len = vsnprintf(text->text + text->len, sizeof(text->text) - text->len, fmt, args);
	va_end(args);
	PROMISE(len >= 0 && (size_t)len < sizeof(text->text) - text->len);
	text->len += (size_t)len;
}

static void line_make(struct line *out, struct input *input, uintptr_t *from)
{
	uint8_t bits = take_byte(input);
	struct dxs_vma *vma = &out->vma;

	memset(out, 0, sizeof(*out));
	vma->addr = *from + (bits & 1 ? 0 : (1 + take_number(input, 2)) << DXS_PAGE_SHIFT);
	vma->len = (size_t)(1 + (take_byte(input) & 63)) << DXS_PAGE_SHIFT;
	*from = vma->addr + vma->len;
	vma->prot = (bits & 2 ? PROT_READ : 0) | (bits & 4 ? PROT_WRITE : 0) | (bits & 8 ? PROT_EXEC : 0);
	vma->shared = bits & 16;
	out->is_sync = bits & 32;
	vma->off = (off_t)(take_number(input, 5) << DXS_PAGE_SHIFT);
	snprintf(vma->identity, sizeof(vma->identity), "%02x:%02x %" PRIu64, (unsigned)take_byte(input),
		 (unsigned)take_number(input, 2), take_number(input, 8));
	take_text(input, out->name, sizeof(out->name));
	for (char *s = out->name; *s; s++)
		*s = *s == '\n' ? '/' : *s; // the kernel writes \012
}

// As fs/proc/task_mmu.c does.
static void line_add(const struct line *from)
{
	const struct dxs_vma *vma = &from->vma;

	for (int i = 0; i < 2; i++)
		add(i ? &maps : &smaps, "%08lx-%08lx %c%c%c%c %08lx %s %s\n", vma->addr, vma->addr + vma->len,
		    vma->prot & PROT_READ ? 'r' : '-', vma->prot & PROT_WRITE ? 'w' : '-',
		    vma->prot & PROT_EXEC ? 'x' : '-', vma->shared ? 's' : 'p', vma->off, vma->identity, from->name);
	add(&smaps, "Size: %17zu kB\nRss:   %10d kB\nVmFlags: rd wr sh mr %s\n", vma->len >> 10, 4,
	    from->is_sync ? "sf sd " : "sd ");
}

static void make_lines(struct input *input)
{
	uintptr_t from = 0x1000;

	maps.len = smaps.len = nr_lines = 0;
	while (input->left && nr_lines < MOST) {
		line_make(&line[nr_lines], input, &from);
		line_add(&line[nr_lines++]);
	}
}

static const struct line *line_at(uintptr_t addr)
{
	for (size_t i = 0; i < nr_lines; i++)
		if (addr >= line[i].vma.addr && addr < line[i].vma.addr + line[i].vma.len)
			return &line[i];
	return NULL;
}

static void promise_walk(size_t most)
{
	struct dxs_vma_reader reader;
	struct dxs_vma vma;

	file_is(maps.text, maps.len, most);
	PROMISE(!dxs_vma_open(&reader));
	for (size_t i = 0; i < nr_lines; i++) {
		PROMISE(dxs_vma_next(&reader, &vma));
		PROMISE(vma.addr == line[i].vma.addr && vma.len == line[i].vma.len && vma.off == line[i].vma.off);
		PROMISE(vma.prot == line[i].vma.prot && vma.shared == line[i].vma.shared);
		PROMISE(!strcmp(vma.identity, line[i].vma.identity));
	}
	PROMISE(!dxs_vma_next(&reader, &vma));
	dxs_vma_close(&reader);
}

static void promise_pages(uintptr_t addr, unsigned nr, size_t most)
{
	uint64_t mask = 0, wanted = 0;
	bool is_sync = true;

	for (unsigned i = 0; i < nr; i++) {
		const struct line *at = line_at(addr + ((uintptr_t)i << DXS_PAGE_SHIFT));

		wanted |= (uint64_t)(at && at->vma.prot & PROT_WRITE) << i;
		is_sync &= at && at->is_sync;
	}
	file_is(maps.text, maps.len, most);
	PROMISE(!dxs_vma_writable(addr, DXS_PAGE_SIZE, nr, &mask) && mask == wanted);
	file_is(smaps.text, smaps.len, most);
	PROMISE(dxs_vma_is_sync(addr, (size_t)nr << DXS_PAGE_SHIFT) == is_sync);
}

static void by_the_rules(struct input *input, size_t most)
{
	unsigned page = (unsigned)take_number(input, 1), nr = 1 + take_byte(input) % 64;
	uint8_t at = take_byte(input);

	make_lines(input);
	promise_walk(most);
	if (nr_lines)
		promise_pages(line[at % nr_lines].vma.addr + ((uintptr_t)page << DXS_PAGE_SHIFT), nr, most);
	promise_pages((uintptr_t)at << DXS_PAGE_SHIFT, nr, most);
}

static size_t read_all(struct dxs_vma *out, const char *text, size_t len, size_t most)
{
	struct dxs_vma_reader reader;
	struct dxs_vma vma;
	size_t nr = 0;

	file_is(text, len, most);
	PROMISE(!dxs_vma_open(&reader));
	while (dxs_vma_next(&reader, &vma)) {
		PROMISE(memchr(vma.identity, '\0', sizeof(vma.identity)));
		PROMISE(nr <= len);
		if (nr < MOST)
			out[nr] = vma;
		nr++;
	}
	dxs_vma_close(&reader);
	return nr;
}

// "Seccomp:" at the begin of a line but the first, and the one character behind it.
static bool is_filtered(const char *text, size_t len)
{
	static const char key[] = "\nSeccomp:\t";
	const char *at = memmem(text, len, key, sizeof(key) - 1);

	return !at || at + sizeof(key) - 1 == text + len || at[sizeof(key) - 1] != '0';
}

static void of_any_bytes(const char *text, size_t len, size_t most)
{
	static struct dxs_vma vma[2][MOST];
	uint64_t mask;
	size_t nr = read_all(vma[0], text, len, 1024);

	PROMISE(read_all(vma[1], text, len, most) == nr);
	PROMISE(!memcmp(vma[0], vma[1], sizeof(vma[0][0]) * (nr < MOST ? nr : MOST)));
	file_is(text, len, most);
	PROMISE(!dxs_vma_writable(0x10000, DXS_PAGE_SIZE, 64, &mask));
	file_is(text, len, most);
	if (dxs_vma_is_sync(0x10000, DXS_PAGE_SIZE))
		PROMISE(memmem(text, len, "VmFlags:", 8) && memmem(text, len, " sf", 3));
	file_is(text, len, most);
	PROMISE(dxs_is_filtered() == is_filtered(text, len));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = {data, size};
	uint8_t how = take_byte(&input);
	size_t most = 1 + 4 * (size_t)take_byte(&input);

	if (how & 1)
		by_the_rules(&input, most);
	else
		of_any_bytes((const char *)input.data, input.left, most);
	return 0;
}
