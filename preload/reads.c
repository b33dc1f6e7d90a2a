// SPDX-License-Identifier: BSD-3-Clause
// reads.c: hooks of calls with which the kernel writes into the program's memory. That memory is pinned for the
// duration of the call (M9).
#include "base/foreign.h"
#include "call/calls.h"
#include "hooks.h"
#include "pins.h"

// Buffers are pinned one by one; those for which few pins are left together, as the stretch of addresses from the lowest
// to the highest of them.
#define ONE_BY_ONE (DXS_PINS - 16)

#define MOST ((size_t)1 << 20) // that an option of a socket may be
#define AT_ONCE 16U            // buffers of a list that are looked at together

void dxs_pins_drop(void *pin)
{
	dxs_unpin(pin);
}

void dxs_pin_for_good(void *addr, size_t len)
{
	struct dxs_pin pin;

	if (dxs_hook_pins(&pin))
		dxs_pin(&pin, addr, len);
}

// What is left for one pin at the end.
struct stretch {
	uintptr_t low, high;
};

static void buffer_add(struct dxs_pin *pin, struct stretch *rest, void *addr, size_t len)
{
	uintptr_t start = (uintptr_t)addr, end = start + len;

	if (!dxs_pin_near(addr, len))
		return;
	if (pin->nr < ONE_BY_ONE) {
		dxs_pin(pin, addr, len);
		return;
	}
	rest->low = rest->high && rest->low < start ? rest->low : start;
	rest->high = end > rest->high ? end : rest->high;
}

static void rest_pin(struct dxs_pin *pin, const struct stretch *rest)
{
	if (rest->high)
		dxs_pin(pin, (void *)rest->low, rest->high - rest->low);
}

static void iovec_add(struct dxs_pin *pin, struct stretch *rest, const struct iovec *iov, size_t nr)
{
	struct iovec some[AT_ONCE];
	size_t i, j;

	for (i = 0; i < nr && nr <= UIO_MAXIOV; i += AT_ONCE) { // the kernel refuses more
		size_t now = nr - i < AT_ONCE ? nr - i : AT_ONCE;

		if (!dxs_peek(some, &iov[i], now * sizeof(some[0])))
			return;
		for (j = 0; j < now; j++)
			buffer_add(pin, rest, some[j].iov_base, some[j].iov_len);
	}
}

void dxs_pin_iovec(struct dxs_pin *pin, const struct iovec *iov, size_t nr)
{
	struct stretch rest = {0};

	iovec_add(pin, &rest, iov, nr);
	rest_pin(pin, &rest);
}

void dxs_pin_socket_address(struct dxs_pin *pin, void *addr, socklen_t *len)
{
	socklen_t room = 0;

	if (!len || (!dxs_pin_near(len, sizeof(*len)) && !dxs_pin_near(addr, MOST)) ||
	    !dxs_peek(&room, len, sizeof(room)))
		return;
	dxs_pin(pin, len, sizeof(*len));
	dxs_pin(pin, addr, room);
}

static void message_add(struct dxs_pin *pin, struct stretch *rest, struct msghdr *msg)
{
	struct msghdr copy = {0};

	if (!dxs_peek(&copy, msg, sizeof(copy)))
		return;
	buffer_add(pin, rest, msg, sizeof(*msg)); // the kernel says there how much it stored
	buffer_add(pin, rest, copy.msg_name, copy.msg_namelen);
	buffer_add(pin, rest, copy.msg_control, copy.msg_controllen);
	iovec_add(pin, rest, copy.msg_iov, copy.msg_iovlen);
}

#define INTO_BUFFER(name, params, args, ...)                                                                           \
	DXS_EXPORT ssize_t name params                                                                                 \
	{                                                                                                              \
		struct dxs_pin pin;                                                                                    \
                                                                                                                       \
		if (dxs_hook_pins(&pin))                                                                               \
			dxs_pin(&pin, buf, len);                                                                       \
		return DXS_PINNED(&pin, DXS_NEXT(name, args, __VA_ARGS__));                                            \
	}

#define INTO_IOVEC(name, params, args, ...)                                                                            \
	DXS_EXPORT ssize_t name params                                                                                 \
	{                                                                                                              \
		struct dxs_pin pin;                                                                                    \
                                                                                                                       \
		if (dxs_hook_pins(&pin))                                                                               \
			dxs_pin_iovec(&pin, iov, nr > 0 ? (size_t)nr : 0);                                             \
		return DXS_PINNED(&pin, DXS_NEXT(name, args, __VA_ARGS__));                                            \
	}

INTO_BUFFER(read, (int fd, void *buf, size_t len), (fd, buf, len), SYS_read, fd, buf, len)
INTO_BUFFER(pread, (int fd, void *buf, size_t len, off_t off), (fd, buf, len, off), SYS_pread64, fd, buf, len, off)
INTO_BUFFER(pread64, (int fd, void *buf, size_t len, off64_t off), (fd, buf, len, off), SYS_pread64, fd, buf, len, off)
INTO_BUFFER(__read, (int fd, void *buf, size_t len), (fd, buf, len), SYS_read, fd, buf, len)
INTO_BUFFER(__pread64, (int fd, void *buf, size_t len, off64_t off), (fd, buf, len, off), SYS_pread64, fd, buf, len,
	    off)
INTO_BUFFER(getrandom, (void *buf, size_t len, unsigned flags), (buf, len, flags), SYS_getrandom, buf, len, flags)
INTO_BUFFER(recv, (int fd, void *buf, size_t len, int flags), (fd, buf, len, flags), SYS_recvfrom, fd, buf, len, flags,
	    NULL, NULL)
// The fortified ones check the buffer's size, and end the program if it is too small; before the constructor nothing
// checks.
INTO_BUFFER(__read_chk, (int fd, void *buf, size_t len, size_t size), (fd, buf, len, size), SYS_read, fd, buf, len)
INTO_BUFFER(__pread_chk, (int fd, void *buf, size_t len, off_t off, size_t size), (fd, buf, len, off, size),
	    SYS_pread64, fd, buf, len, off)
INTO_BUFFER(__pread64_chk, (int fd, void *buf, size_t len, off64_t off, size_t size), (fd, buf, len, off, size),
	    SYS_pread64, fd, buf, len, off)
INTO_BUFFER(__recv_chk, (int fd, void *buf, size_t len, size_t size, int flags), (fd, buf, len, size, flags),
	    SYS_recvfrom, fd, buf, len, flags, NULL, NULL)
INTO_IOVEC(readv, (int fd, const struct iovec *iov, int nr), (fd, iov, nr), SYS_readv, fd, iov, nr)
INTO_IOVEC(preadv, (int fd, const struct iovec *iov, int nr, off_t off), (fd, iov, nr, off), SYS_preadv, fd, iov, nr,
	   off, 0)
INTO_IOVEC(preadv64, (int fd, const struct iovec *iov, int nr, off64_t off), (fd, iov, nr, off), SYS_preadv, fd, iov,
	   nr, off, 0)
INTO_IOVEC(preadv2, (int fd, const struct iovec *iov, int nr, off_t off, int flags), (fd, iov, nr, off, flags),
	   SYS_preadv2, fd, iov, nr, off, 0, flags)
INTO_IOVEC(preadv64v2, (int fd, const struct iovec *iov, int nr, off64_t off, int flags), (fd, iov, nr, off, flags),
	   SYS_preadv2, fd, iov, nr, off, 0, flags)

INTO_IOVEC(vmsplice, (int fd, const struct iovec *iov, size_t nr, unsigned flags), (fd, iov, nr, flags), SYS_vmsplice,
	   fd, iov, nr, flags)

#define FROM_SOCKET(name, params, args)                                                                                \
	DXS_EXPORT ssize_t name params                                                                                 \
	{                                                                                                              \
		struct dxs_pin pin;                                                                                    \
                                                                                                                       \
		if (dxs_hook_pins(&pin)) {                                                                             \
			dxs_pin(&pin, buf, len);                                                                       \
			dxs_pin_socket_address(&pin, from, from_len);                                                  \
		}                                                                                                      \
		return DXS_PINNED(&pin, DXS_NEXT(name, args, SYS_recvfrom, fd, buf, len, flags, from, from_len));      \
	}

FROM_SOCKET(recvfrom, (int fd, void *buf, size_t len, int flags, struct sockaddr *from, socklen_t *from_len),
	    (fd, buf, len, flags, from, from_len))
FROM_SOCKET(__recvfrom_chk,
	    (int fd, void *buf, size_t len, size_t size, int flags, struct sockaddr *from, socklen_t *from_len),
	    (fd, buf, len, size, flags, from, from_len))

// Descriptors that came with a message have numbers that may have named something else.
static void rights_taken(const struct msghdr *msg)
{
	struct cmsghdr *part;

	for (part = CMSG_FIRSTHDR(msg); part; part = CMSG_NXTHDR((struct msghdr *)(uintptr_t)msg, part))
		if (part->cmsg_level == SOL_SOCKET && part->cmsg_type == SCM_RIGHTS)
			dxs_foreign_forget_all();
}

DXS_EXPORT ssize_t recvmsg(int fd, struct msghdr *msg, int flags)
{
	struct stretch rest = {0};
	struct dxs_pin pin;
	ssize_t ret;

	if (dxs_hook_pins(&pin)) {
		message_add(&pin, &rest, msg);
		rest_pin(&pin, &rest);
	}
	ret = DXS_PINNED(&pin, DXS_NEXT(recvmsg, (fd, msg, flags), SYS_recvmsg, fd, msg, flags));
	if (ret >= 0)
		rights_taken(msg);
	return ret;
}

DXS_EXPORT int recvmmsg(int fd, struct mmsghdr *msg, unsigned nr, int flags, struct timespec *timeout)
{
	struct stretch rest = {0};
	struct dxs_pin pin;
	unsigned i;
	int ret;

	if (dxs_hook_pins(&pin)) {
		dxs_pin(&pin, msg, nr * sizeof(*msg));
		dxs_pin(&pin, timeout, sizeof(*timeout));
		for (i = 0; i < nr; i++)
			message_add(&pin, &rest, &msg[i].msg_hdr);
		rest_pin(&pin, &rest);
	}
	ret = DXS_PINNED(&pin,
			 DXS_NEXT(recvmmsg, (fd, msg, nr, flags, timeout), SYS_recvmmsg, fd, msg, nr, flags, timeout));
	for (i = 0; ret > 0 && i < (unsigned)ret; i++)
		rights_taken(&msg[i].msg_hdr);
	return ret;
}

DXS_EXPORT ssize_t process_vm_readv(pid_t pid, const struct iovec *iov, unsigned long nr, const struct iovec *remote,
				    unsigned long nr_remote, unsigned long flags)
{
	struct dxs_pin pin;

	if (dxs_hook_pins(&pin))
		dxs_pin_iovec(&pin, iov, nr);
	return DXS_PINNED(&pin, DXS_NEXT(process_vm_readv, (pid, iov, nr, remote, nr_remote, flags),
					 SYS_process_vm_readv, pid, iov, nr, remote, nr_remote, flags));
}

// The other side may be the program's memory too. To ask whether it is would be a system call; if it is not, the pages at
// the same addresses are pinned for nothing.
DXS_EXPORT ssize_t process_vm_writev(pid_t pid, const struct iovec *iov, unsigned long nr, const struct iovec *remote,
				     unsigned long nr_remote, unsigned long flags)
{
	struct dxs_pin pin;

	if (dxs_hook_pins(&pin))
		dxs_pin_iovec(&pin, remote, nr_remote);
	return DXS_PINNED(&pin, DXS_NEXT(process_vm_writev, (pid, iov, nr, remote, nr_remote, flags),
					 SYS_process_vm_writev, pid, iov, nr, remote, nr_remote, flags));
}

DXS_EXPORT int getentropy(void *buf, size_t len)
{
	struct dxs_pin pin;

	dxs_hooks_fill();
	if (dxs_hook_pins(&pin))
		dxs_pin(&pin, buf, len);
	return DXS_PINNED(&pin, dxs_next.getentropy(buf, len));
}

// A large fread is read straight into the program's buffer, by a call inside libc.
#define STREAM(name, params, args)                                                                                     \
	DXS_EXPORT size_t name params                                                                                  \
	{                                                                                                              \
		struct dxs_pin pin;                                                                                    \
                                                                                                                       \
		dxs_hooks_fill();                                                                                      \
		if (dxs_hook_pins(&pin))                                                                               \
			dxs_pin(&pin, buf, size *nr);                                                                  \
		return DXS_PINNED(&pin, dxs_next.name args);                                                           \
	}

STREAM(fread, (void *buf, size_t size, size_t nr, FILE *file), (buf, size, nr, file))
STREAM(fread_unlocked, (void *buf, size_t size, size_t nr, FILE *file), (buf, size, nr, file))
STREAM(__fread_chk, (void *buf, size_t room, size_t size, size_t nr, FILE *file), (buf, room, size, nr, file))
STREAM(__fread_unlocked_chk, (void *buf, size_t room, size_t size, size_t nr, FILE *file), (buf, room, size, nr, file))
