// SPDX-License-Identifier: BSD-3-Clause
// symbols.c: asks addr2line(1), which knows all formats of debug information, C++ names, and files of it that lie elsewhere.
#include "symbols.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

// The address that the file gives to a byte of it, by the segment that holds it.
static bool address_of(int fd, uint64_t offset, uint64_t *addr)
{
	Elf64_Ehdr head;
	Elf64_Phdr segment;

	if (pread(fd, &head, sizeof(head), 0) != sizeof(head) || memcmp(head.e_ident, ELFMAG, SELFMAG) ||
	    head.e_ident[EI_CLASS] != ELFCLASS64 || head.e_phentsize != sizeof(segment))
		return false;
	for (unsigned i = 0; i < head.e_phnum; i++) {
		if (pread(fd, &segment, sizeof(segment), (off_t)(head.e_phoff + i * sizeof(segment))) !=
		    sizeof(segment))
			return false;
		if (segment.p_type == PT_LOAD && offset >= segment.p_offset &&
		    offset - segment.p_offset < segment.p_filesz) {
			*addr = segment.p_vaddr + (offset - segment.p_offset);
			return true;
		}
	}
	return false;
}

// A regular file only: a FIFO would keep us.
static bool find_address(const char *path, uint64_t offset, uint64_t *addr)
{
	int fd = *path == '/' ? open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY) : -1;
	struct stat st;
	bool found = fd >= 0 && !fstat(fd, &st) && S_ISREG(st.st_mode) && address_of(fd, offset, addr);

	if (fd >= 0)
		close(fd);
	return found;
}

// Starts addr2line with its output to a pipe. -1: it is not there.
static pid_t start(const char *path, uint64_t addr, int *out)
{
	char where[32];
	char *argv[] = {"addr2line", "-f", "-C", "-e", (char *)path, where, NULL};
	char *none[] = {"LC_ALL=C", NULL}; // not the shim, and no server to ask for debug information
	posix_spawn_file_actions_t actions;
	int pipes[2];
	pid_t pid = -1;

	if (pipe2(pipes, O_CLOEXEC))
		return -1;
	snprintf(where, sizeof(where), "0x%" PRIx64, addr);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, pipes[1], STDOUT_FILENO);
	posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
	if (posix_spawnp(&pid, argv[0], &actions, NULL, argv, none))
		pid = -1;
	posix_spawn_file_actions_destroy(&actions);
	close(pipes[1]);
	*out = pipes[0];
	if (pid < 0)
		close(pipes[0]);
	return pid;
}

// Two lines: the function, and FILE:LINE, each "??" where it is not known.
static bool ask(const char *path, uint64_t addr, char *function, char *line, size_t size)
{
	int fd, status;
	pid_t pid = start(path, addr, &fd);
	bool known = false;
	FILE *answer;

	if (pid < 0)
		return false;
	answer = fdopen(fd, "r");
	if (answer) {
		known = fgets(function, (int)size, answer) && fgets(line, (int)size, answer);
		fclose(answer);
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (!known)
		return false;
	function[strcspn(function, "\n")] = '\0';
	line[strcspn(line, "\n")] = '\0';
	return strcmp(function, "??") != 0;
}

bool dxs_symbols_find(const char *path, uint64_t offset, char *out, size_t size)
{
	const char *name = strrchr(path, '/'), *file;
	char function[256], line[512];
	uint64_t addr = 0;

	if (!find_address(path, offset, &addr) || !ask(path, addr, function, line, sizeof(function)))
		return false;
	file = strrchr(line, '/');
	file = file ? file + 1 : line;
	line[strcspn(line, " ")] = '\0'; // "(discriminator 2)"
	if (*line == '?')
		snprintf(out, size, "%s (%s)", function, name ? name + 1 : path);
	else
		snprintf(out, size, "%s at %s (%s)", function, file, name ? name + 1 : path);
	return true;
}
