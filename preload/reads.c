// SPDX-License-Identifier: BSD-3-Clause
// reads.c: hooks of calls by which the kernel writes into the program's memory: that memory is pinned meanwhile (M9).
#include <string.h>

#include "calls.h"
#include "hooks.h"

// Buffers are pinned one by one; those for which few pins are left together, as the stretch of addresses from the lowest
// to the highest of them.
#define ONE_BY_ONE (DXS_PINS - 16)

static bool hooked(void)
{
	return dxs_hook_enter() && dxs_known_any();
}

// Reads what the program points to, which may be nowhere: then the kernel's call says so, not we.
static bool peek(void *to, const void *from, size_t len)
{
	struct iovec local = {to, len}, remote = {(void *)(uintptr_t)from, len};

	long ret = dxs_sys6(SYS_process_vm_readv, getpid(), (long)&local, 1, (long)&remote, 1, 0);

	if (ret == -ENOSYS || ret == -EPERM) // a sandbox without that call: as libc would
		memcpy(to, from, len);
	return ret != -EFAULT;
}

static void pin_buffers(struct dxs_pin *pin, const struct iovec *iov, size_t nr)
{
	uintptr_t low = UINTPTR_MAX, high = 0;
	struct iovec one;
	size_t i;

	if (!hooked())
		return;
	for (i = 0; i < nr && peek(&one, &iov[i], sizeof(one)); i++) {
		uintptr_t start = (uintptr_t)one.iov_base, end = start + one.iov_len;

		if (pin->nr < ONE_BY_ONE) {
			dxs_pin(pin, one.iov_base, one.iov_len);
			continue;
		}
		low = start < low ? start : low;
		high = end > high ? end : high;
	}
	if (high)
		dxs_pin(pin, (void *)low, high - low);
}

static void pin_one(struct dxs_pin *pin, void *buf, size_t len)
{
	pin->nr = 0;
	if (hooked())
		dxs_pin(pin, buf, len);
}

static ssize_t unpin(struct dxs_pin *pin, ssize_t ret)
{
	dxs_unpin(pin);
	return ret;
}

#define INTO_BUFFER(name, params, args, ...)                                                                           \
	DXS_EXPORT ssize_t name params                                                                                 \
	{                                                                                                              \
		struct dxs_pin pin;                                                                                    \
                                                                                                                       \
		pin_one(&pin, buf, len);                                                                               \
		return unpin(&pin, DXS_NEXT(name, args, __VA_ARGS__));                                                 \
	}

#define INTO_IOVEC(name, params, args, ...)                                                                            \
	DXS_EXPORT ssize_t name params                                                                                 \
	{                                                                                                              \
		struct dxs_pin pin;                                                                                    \
                                                                                                                       \
		pin.nr = 0;                                                                                            \
		pin_buffers(&pin, iov, nr > 0 ? (size_t)nr : 0);                                                       \
		return unpin(&pin, DXS_NEXT(name, args, __VA_ARGS__));                                                 \
	}

INTO_BUFFER(read, (int fd, void *buf, size_t len), (fd, buf, len), SYS_read, fd, buf, len)
INTO_BUFFER(pread, (int fd, void *buf, size_t len, off_t off), (fd, buf, len, off), SYS_pread64, fd, buf, len, off)
INTO_BUFFER(pread64, (int fd, void *buf, size_t len, off64_t off), (fd, buf, len, off), SYS_pread64, fd, buf, len, off)
INTO_BUFFER(getrandom, (void *buf, size_t len, unsigned flags), (buf, len, flags), SYS_getrandom, buf, len, flags)
INTO_BUFFER(recv, (int fd, void *buf, size_t len, int flags), (fd, buf, len, flags), SYS_recvfrom, fd, buf, len, flags,
	    NULL, NULL)
INTO_BUFFER(recvfrom, (int fd, void *buf, size_t len, int flags, struct sockaddr *from, socklen_t *from_len),
	    (fd, buf, len, flags, from, from_len), SYS_recvfrom, fd, buf, len, flags, from, from_len)
// The fortified ones check the buffer's size, and end the program if it is too small; before the constructor nothing
// checks.
INTO_BUFFER(__read_chk, (int fd, void *buf, size_t len, size_t size), (fd, buf, len, size), SYS_read, fd, buf, len)
INTO_BUFFER(__pread_chk, (int fd, void *buf, size_t len, off_t off, size_t size), (fd, buf, len, off, size),
	    SYS_pread64, fd, buf, len, off)
INTO_BUFFER(__pread64_chk, (int fd, void *buf, size_t len, off64_t off, size_t size), (fd, buf, len, off, size),
	    SYS_pread64, fd, buf, len, off)
INTO_BUFFER(__recv_chk, (int fd, void *buf, size_t len, size_t size, int flags), (fd, buf, len, size, flags),
	    SYS_recvfrom, fd, buf, len, flags, NULL, NULL)
INTO_BUFFER(__recvfrom_chk,
	    (int fd, void *buf, size_t len, size_t size, int flags, struct sockaddr *from, socklen_t *from_len),
	    (fd, buf, len, size, flags, from, from_len), SYS_recvfrom, fd, buf, len, flags, from, from_len)
INTO_IOVEC(readv, (int fd, const struct iovec *iov, int nr), (fd, iov, nr), SYS_readv, fd, iov, nr)
INTO_IOVEC(preadv, (int fd, const struct iovec *iov, int nr, off_t off), (fd, iov, nr, off), SYS_preadv, fd, iov, nr,
	   off, 0)
INTO_IOVEC(preadv64, (int fd, const struct iovec *iov, int nr, off64_t off), (fd, iov, nr, off), SYS_preadv, fd, iov,
	   nr, off, 0)
INTO_IOVEC(preadv2, (int fd, const struct iovec *iov, int nr, off_t off, int flags), (fd, iov, nr, off, flags),
	   SYS_preadv2, fd, iov, nr, off, 0, flags)
INTO_IOVEC(preadv64v2, (int fd, const struct iovec *iov, int nr, off64_t off, int flags), (fd, iov, nr, off, flags),
	   SYS_preadv2, fd, iov, nr, off, 0, flags)

static void pin_message(struct dxs_pin *pin, const struct msghdr *msg)
{
	struct msghdr copy;

	if (hooked() && peek(&copy, msg, sizeof(copy)))
		pin_buffers(pin, copy.msg_iov, copy.msg_iovlen);
}

DXS_EXPORT ssize_t recvmsg(int fd, struct msghdr *msg, int flags)
{
	struct dxs_pin pin;

	pin.nr = 0;
	pin_message(&pin, msg);
	return unpin(&pin, DXS_NEXT(recvmsg, (fd, msg, flags), SYS_recvmsg, fd, msg, flags));
}

DXS_EXPORT int recvmmsg(int fd, struct mmsghdr *msg, unsigned nr, int flags, struct timespec *timeout)
{
	struct dxs_pin pin;
	unsigned i;

	pin.nr = 0;
	for (i = 0; i < nr; i++)
		pin_message(&pin, &msg[i].msg_hdr);
	return (int)unpin(&pin,
			  DXS_NEXT(recvmmsg, (fd, msg, nr, flags, timeout), SYS_recvmmsg, fd, msg, nr, flags, timeout));
}

DXS_EXPORT ssize_t process_vm_readv(pid_t pid, const struct iovec *iov, unsigned long nr, const struct iovec *remote,
				    unsigned long nr_remote, unsigned long flags)
{
	struct dxs_pin pin;

	pin.nr = 0;
	pin_buffers(&pin, iov, nr);
	return unpin(&pin, DXS_NEXT(process_vm_readv, (pid, iov, nr, remote, nr_remote, flags), SYS_process_vm_readv,
				    pid, iov, nr, remote, nr_remote, flags));
}

DXS_EXPORT int getentropy(void *buf, size_t len)
{
	struct dxs_pin pin;

	dxs_hooks_fill();
	pin_one(&pin, buf, len);
	return (int)unpin(&pin, dxs_next.getentropy(buf, len));
}

// A large fread is read straight into the program's buffer, by a call inside libc.
DXS_EXPORT size_t fread(void *buf, size_t size, size_t nr, FILE *file)
{
	struct dxs_pin pin;

	dxs_hooks_fill();
	pin_one(&pin, buf, size * nr);
	return (size_t)unpin(&pin, (ssize_t)dxs_next.fread(buf, size, nr, file));
}

DXS_EXPORT size_t fread_unlocked(void *buf, size_t size, size_t nr, FILE *file)
{
	struct dxs_pin pin;

	dxs_hooks_fill();
	pin_one(&pin, buf, size * nr);
	return (size_t)unpin(&pin, (ssize_t)dxs_next.fread_unlocked(buf, size, nr, file));
}
