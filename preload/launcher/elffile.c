// SPDX-License-Identifier: BSD-3-Clause
// elffile.c: reads ELF headers. The file is not trusted: every offset and count is checked against what can be read.
#include "elffile.h"

#include <elf.h>
#include <errno.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cpu.h"

#define MAX_NOTES 65536

#define NATIVE_CLASS (sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32)
#define NATIVE_DATA (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? ELFDATA2LSB : ELFDATA2MSB)

struct file {
	int fd;
	ElfW(Ehdr) header;
};

// All of [off, off + len), or -errno; a file that ends before is broken.
static int read_at(const struct file *file, void *buf, size_t len, uint64_t off)
{
	ssize_t ret;

	if (off > INT64_MAX - len)
		return -ENOEXEC;
	ret = pread(file->fd, buf, len, (off_t)off);
	if (ret < 0)
		return -errno;
	return (size_t)ret == len ? 0 : -ENOEXEC;
}

static bool is_native(const struct file *file)
{
	return file->header.e_ident[EI_CLASS] == NATIVE_CLASS && file->header.e_ident[EI_DATA] == NATIVE_DATA &&
	       file->header.e_machine == dxs_cpu_elf_machine;
}

// e_machine stands at the same place in every ELF file, in the file's own byte order.
static uint16_t machine_of(const struct file *file)
{
	uint16_t machine = file->header.e_machine;

	return file->header.e_ident[EI_DATA] == NATIVE_DATA ? machine : __builtin_bswap16(machine);
}

// Whether one of the notes is Go's (its build id). Each is a header, a name and a text, both padded to 4 bytes.
static bool has_go_name(const char *notes, size_t len)
{
	ElfW(Nhdr) note;

	for (size_t at = 0; at + sizeof(note) + 4 <= len;) {
		memcpy(&note, notes + at, sizeof(note));
		at += sizeof(note);
		if (note.n_namesz == 4 && !memcmp(notes + at, "Go\0", 4))
			return true;
		at += (((size_t)note.n_namesz + 3) & ~(size_t)3) + (((size_t)note.n_descsz + 3) & ~(size_t)3);
	}
	return false;
}

static bool is_go_note(const struct file *file, uint64_t off, uint64_t size)
{
	size_t len = size < MAX_NOTES ? size : MAX_NOTES;
	char *notes = malloc(len + 1);
	bool is_go = notes && !read_at(file, notes, len, off) && has_go_name(notes, len);

	free(notes);
	return is_go;
}

static int read_segments(const struct file *file, struct dxs_elffile *out)
{
	ElfW(Phdr) segment;

	if (file->header.e_phnum && file->header.e_phentsize != sizeof(segment))
		return -ENOEXEC;
	for (uint64_t i = 0; i < file->header.e_phnum; i++) {
		int err = read_at(file, &segment, sizeof(segment), file->header.e_phoff + i * sizeof(segment));

		if (!err && segment.p_type == PT_INTERP)
			err = segment.p_filesz < sizeof(out->interp)
				      ? read_at(file, out->interp, segment.p_filesz, segment.p_offset)
				      : -ENOEXEC;
		if (err)
			return err;
		if (segment.p_type == PT_NOTE)
			out->is_go |= is_go_note(file, segment.p_offset, segment.p_filesz);
	}
	return 0;
}

// Sections are only looked at for Go's mark; a file that was stripped of their headers has none.
static bool has_section(const struct file *file, const char *wanted)
{
	const ElfW(Ehdr) *header = &file->header;
	ElfW(Shdr) names, section;
	size_t len = strlen(wanted) + 1;
	char name[32];

	if (!header->e_shnum || header->e_shentsize != sizeof(section) || len > sizeof(name) ||
	    read_at(file, &names, sizeof(names), header->e_shoff + (uint64_t)header->e_shstrndx * sizeof(names)))
		return false;
	for (uint64_t i = 0; i < header->e_shnum; i++) {
		if (read_at(file, &section, sizeof(section), header->e_shoff + i * sizeof(section)))
			return false;
		if (!read_at(file, name, len, names.sh_offset + section.sh_name) && !memcmp(name, wanted, len))
			return true;
	}
	return false;
}

int dxs_elffile_read(int fd, struct dxs_elffile *out)
{
	struct file file = {.fd = fd};
	int err = read_at(&file, &file.header, sizeof(file.header), 0);

	if (!err && memcmp(file.header.e_ident, ELFMAG, SELFMAG))
		err = -ENOEXEC;
	if (err)
		return err;
	memset(out, 0, sizeof(*out));
	out->machine = machine_of(&file);
	out->is_native = is_native(&file);
	if (!out->is_native)
		return 0;
	out->is_program = file.header.e_type == ET_EXEC || (file.header.e_type == ET_DYN && file.header.e_entry);
	err = read_segments(&file, out);
	if (!err && !out->is_go)
		out->is_go = has_section(&file, ".go.buildinfo");
	return err;
}

const char *dxs_elffile_machine_name(uint16_t machine)
{
	switch (machine) {
	case EM_386:
		return "32-bit x86";
	case EM_X86_64:
		return "x86-64";
	case EM_ARM:
		return "32-bit Arm";
	case EM_AARCH64:
		return "aarch64";
	case EM_PPC64:
		return "ppc64";
	case EM_RISCV:
		return "RISC-V";
	case EM_S390:
		return "s390";
	default:
		return "another machine";
	}
}
