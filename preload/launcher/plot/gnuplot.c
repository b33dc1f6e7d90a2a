// SPDX-License-Identifier: BSD-3-Clause
// gnuplot.c: starts gnuplot. Its input and outputs are files in memory, so neither side waits for the other.
#include "gnuplot.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <spawn.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "base/utf8.h"
#include "program.h"

enum { SCRIPT, PICTURE, SAID, NR_FILES }; // its standard descriptors, in their order

bool dxs_gnuplot_is_there(void)
{
	char path[PATH_MAX];

	if (!dxs_program_find("gnuplot", path, sizeof(path)))
		return true;
	dxs_error("gnuplot is missing, which draws: install the package gnuplot-nox");
	return false;
}

static int write_all(int fd, const char *text, size_t len)
{
	while (len) {
		ssize_t ret = write(fd, text, len);

		if (ret < 0 && errno == EINTR)
			continue;
		if (ret <= 0)
			return ret ? -errno : -EIO;
		text += ret;
		len -= (size_t)ret;
	}
	return 0;
}

static void close_files(const int fd[NR_FILES])
{
	for (int i = 0; i < NR_FILES; i++)
		if (fd[i] >= 0)
			close(fd[i]);
}

static int open_files(const char *script, size_t len, int fd[NR_FILES])
{
	int err = 0;

	for (int i = 0; i < NR_FILES; i++) {
		fd[i] = memfd_create("daxsync-plot", MFD_CLOEXEC);
		if (fd[i] < 0 && !err)
			err = -errno;
	}
	if (!err)
		err = write_all(fd[SCRIPT], script, len);
	if (!err && lseek(fd[SCRIPT], 0, SEEK_SET) < 0)
		err = -errno;
	if (err)
		close_files(fd);
	return err;
}

// Its exit status, or -errno.
static int run(const int fd[NR_FILES])
{
	char *argv[] = {"gnuplot", "-d", NULL};                       // without its user's settings
	char *env[] = {"LC_ALL=C.UTF-8", "PATH=/usr/bin:/bin", NULL}; // nor the shim
	posix_spawn_file_actions_t actions;
	int status, err;
	pid_t pid;

	posix_spawn_file_actions_init(&actions);
	for (int i = 0; i < NR_FILES; i++)
		posix_spawn_file_actions_adddup2(&actions, fd[i], i);
	err = posix_spawnp(&pid, argv[0], &actions, NULL, argv, env);
	posix_spawn_file_actions_destroy(&actions);
	if (err)
		return -err;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

// The line of what it said that tells most: it repeats the line that it did not like, and puts a mark below.
static void tell_failure(int fd, int status)
{
	char said[4096], *rest = said, *line, *last = "";
	ssize_t len = pread(fd, said, sizeof(said) - 1, 0);

	said[len > 0 ? len : 0] = '\0';
	while ((line = strsep(&rest, "\n")))
		if (line[strspn(line, " \t^")])
			last = line + strspn(line, " \t");
	dxs_error("gnuplot has failed, with status %d: %s", status, last);
}

static int copy_to(int from, off_t size, const char *path)
{
	bool is_stdout = !strcmp(path, "-");
	char *text = mmap(NULL, (size_t)size, PROT_READ, MAP_SHARED, from, 0);
	int out, err;

	if (text == MAP_FAILED)
		return -errno;
	out = is_stdout ? STDOUT_FILENO : open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0666);
	err = out < 0 ? -errno : write_all(out, text, (size_t)size);
	if (out >= 0 && !is_stdout && close(out) && !err)
		err = -errno;
	munmap(text, (size_t)size);
	return err;
}

static int take_picture(const int fd[NR_FILES], const char *path)
{
	off_t size = lseek(fd[PICTURE], 0, SEEK_END);
	int err;

	if (size <= 0) {
		dxs_error("gnuplot has drawn nothing");
		return -EIO;
	}
	err = copy_to(fd[PICTURE], size, path);
	if (err)
		dxs_error("%s cannot be written: %s", strcmp(path, "-") != 0 ? path : "standard output",
			  strerrordesc_np(-err));
	return err;
}

int dxs_gnuplot_run(const char *script, size_t len, const char *path)
{
	int fd[NR_FILES], ret;

	if (!dxs_gnuplot_is_there())
		return -ENOENT;
	ret = open_files(script, len, fd);
	if (ret) {
		dxs_error("there is no room for what gnuplot is to draw: %s", strerrordesc_np(-ret));
		return ret;
	}
	ret = run(fd);
	if (ret < 0)
		dxs_error("gnuplot cannot be executed: %s", strerrordesc_np(-ret));
	else if (ret)
		tell_failure(fd[SAID], ret);
	ret = ret ? -EIO : take_picture(fd, path);
	close_files(fd);
	return ret;
}

// The place of the last `most` characters.
static const char *end_of(const char *text, size_t most)
{
	size_t nr = 0, len;

	for (const char *at = text; *at; at += len, nr++)
		(void)dxs_utf8_next(at, &len);
	for (; nr > most; nr--, text += len)
		(void)dxs_utf8_next(text, &len);
	return text;
}

// Only what can mean nothing stands as it is.
static void put_byte(FILE *script, unsigned char c)
{
	if (isalnum(c) || c >= 0x80 || strchr(" .,:;/_-()", c))
		fputc(c, script);
	else
		fprintf(script, "\\%03o", c);
}

void dxs_gnuplot_text(FILE *script, const char *text, size_t most)
{
	char *copy = strdup(text);
	const char *at;

	fputc('"', script);
	if (copy) {
		dxs_utf8_plain(copy);
		at = end_of(copy, most);
		fputs(at > copy ? "…" : "", script);
		while (*at)
			put_byte(script, (unsigned char)*at++);
	}
	fputc('"', script);
	free(copy);
}
