// SPDX-License-Identifier: BSD-3-Clause
// program.c: finds a program and tells what the kernel and the dynamic linker will make of it.
#include "program.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "elffile.h"

#define LINE_MAX_BYTES 256 // what the kernel reads of a script's first line
#define MAX_DEPTH 5        // interpreters that are scripts: the kernel gives up there too

static int can_execute(const char *path)
{
	struct stat st;

	if (stat(path, &st))
		return -errno;
	if (!S_ISREG(st.st_mode) || faccessat(AT_FDCWD, path, X_OK, AT_EACCESS))
		return -EACCES;
	return 0;
}

int dxs_program_find(const char *name, char *path, size_t size)
{
	const char *dirs = getenv("PATH");
	int ret = -ENOENT;

	if (!*name)
		return -ENOENT;
	if (strchr(name, '/'))
		return snprintf(path, size, "%s", name) < (int)size ? can_execute(path) : -ENOENT;
	for (const char *dir = dirs ? dirs : "/bin:/usr/bin"; dir;) {
		size_t len = strcspn(dir, ":");
		int err = -ENOENT;

		if (snprintf(path, size, "%.*s%s%s", (int)len, dir, len ? "/" : "./", name) < (int)size)
			err = can_execute(path);
		if (!err)
			return 0;
		if (err == -EACCES)
			ret = -EACCES;
		dir = dir[len] ? dir + len + 1 : NULL;
	}
	return ret;
}

__attribute__((format(printf, 2, 3))) static void remark(struct dxs_program *out, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(out->reason, sizeof(out->reason), fmt, args);
	va_end(args);
}

#define refuse(out, ...) ((out)->is_reachable = false, remark(out, __VA_ARGS__))

// Where the kernel gives no privileges for a file's sake.
static bool ignores_privileges(int fd)
{
	struct statvfs fs;

	return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 || (!fstatvfs(fd, &fs) && fs.f_flag & ST_NOSUID);
}

// The dynamic linker obeys LD_PRELOAD unless the kernel says that the program gains privileges from its file. Who has
// them already gains none.
static void check_privileges(int fd, const struct stat *st, struct dxs_program *out)
{
	bool is_setuid = st->st_mode & S_ISUID;
	bool is_setgid = (st->st_mode & S_ISGID) && (st->st_mode & S_IXGRP);
	bool has_caps = fgetxattr(fd, "security.capability", NULL, 0) > 0;
	const char *what = has_caps ? "has file capabilities" : is_setuid ? "set-uid" : "set-gid";

	if (!(is_setuid || is_setgid || has_caps) || ignores_privileges(fd))
		return;
	if ((!is_setuid || st->st_uid == getuid()) && (!is_setgid || st->st_gid == getgid()) &&
	    (!has_caps || !getuid()))
		remark(out, "%s: not for other users, for whom the dynamic linker ignores LD_PRELOAD", what);
	else
		refuse(out, "%s: the dynamic linker ignores LD_PRELOAD there", what);
}

static void judge_go(const struct dxs_elffile *elf, struct dxs_program *out)
{
	bool is_dynamic = *elf->interp;

	out->is_go = true;
	snprintf(out->kind, sizeof(out->kind), "Go program%s", is_dynamic ? ", linked with libc" : "");
	if (is_dynamic)
		remark(out, "written in Go: only what its C code maps and syncs, because Go's own calls bypass libc");
	else
		refuse(out, "Go programs call the kernel without libc");
}

static void judge_elf(const struct dxs_elffile *elf, struct dxs_program *out)
{
	const char *machine = dxs_elffile_machine_name(elf->machine);

	out->is_program = !elf->is_native || elf->is_program || *elf->interp;
	if (!elf->is_native) {
		snprintf(out->kind, sizeof(out->kind), "ELF file for %s", machine);
		refuse(out, "built for another architecture than daxsync (%s)", machine);
		return;
	}
	if (elf->is_go)
		judge_go(elf, out);
	else
		snprintf(out->kind, sizeof(out->kind), "%s linked ELF program",
			 *elf->interp ? "dynamically" : "statically");
	if (!elf->is_go && !*elf->interp)
		refuse(out, "statically linked: no library can be preloaded");
	else if (strstr(elf->interp, "/ld-musl"))
		refuse(out, "linked with musl: the library that would be preloaded needs glibc");
}

static int examine_elf(int fd, const struct stat *st, struct dxs_program *out)
{
	struct dxs_elffile elf;
	int err = dxs_elffile_read(fd, &elf);

	if (err)
		return err;
	judge_elf(&elf, out);
	if (out->is_reachable)
		check_privileges(fd, st, out);
	return 0;
}

static int examine_at(const char *path, int depth, struct dxs_program *out);

// The name that env(1) would start: the first word that is neither an option nor an assignment.
static const char *env_target(char **rest)
{
	const char *word;

	while ((word = strtok_r(NULL, " \t", rest)))
		if (*word != '-' && !strchr(word, '='))
			return word;
	return NULL;
}

// A script is as reachable as its interpreter; behind env(1), as the program that env starts.
static int examine_script(char *line, int depth, struct dxs_program *out)
{
	char *rest, found[PATH_MAX];
	const char *interp, *base;
	int err;

	line[strcspn(line, "\n")] = '\0';
	interp = strtok_r(line + 2, " \t", &rest);
	if (!interp)
		return -ENOEXEC;
	base = strrchr(interp, '/');
	if (base && !strcmp(base, "/env")) {
		const char *target = env_target(&rest);

		if (target && !dxs_program_find(target, found, sizeof(found)))
			interp = found;
	}
	err = examine_at(interp, depth + 1, out);
	snprintf(out->kind, sizeof(out->kind), "script, run by %s", interp);
	if (err)
		refuse(out, "%s: %s", interp, strerrordesc_np(-err));
	out->is_program = true;
	return 0;
}

static int examine_fd(int fd, int depth, struct dxs_program *out)
{
	char line[LINE_MAX_BYTES + 1] = "";
	struct stat st;

	if (fstat(fd, &st))
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EACCES;
	if (pread(fd, line, LINE_MAX_BYTES, 0) < 0)
		return -errno;
	if (!strncmp(line, "#!", 2))
		return examine_script(line, depth, out);
	return examine_elf(fd, &st, out);
}

static int examine_at(const char *path, int depth, struct dxs_program *out)
{
	// O_NONBLOCK: the path may be a FIFO
	int fd = depth > MAX_DEPTH ? -1 : open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	int err;

	if (fd < 0)
		return depth > MAX_DEPTH ? -ELOOP : -errno;
	err = examine_fd(fd, depth, out);
	close(fd);
	return err;
}

int dxs_program_examine(const char *path, struct dxs_program *out)
{
	int err;

	*out = (struct dxs_program){.is_reachable = true, .kind = "no program"};
	err = examine_at(path, 0, out);
	return err == -ENOEXEC ? 0 : err; // neither ELF nor script: execvp() gives it to a shell
}
