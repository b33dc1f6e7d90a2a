// SPDX-License-Identifier: BSD-3-Clause
// keeper.c: the process's side of statistics that outlive it.
#include "report/keeper.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include "base/sys.h"

static socklen_t address_of(const char *name, struct sockaddr_un *address)
{
	size_t len = strnlen(name, sizeof(address->sun_path) - 1);

	*address = (struct sockaddr_un){.sun_family = AF_UNIX};
	memcpy(address->sun_path + 1, name, len); // behind a NUL: no file, and nothing to remove
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + len);
}

static long send_fd(int sock, const char *name, int fd)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} control = {.header = {.cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS}};
	struct sockaddr_un address;
	char byte = 0;
	struct iovec iov = {&byte, 1};
	struct msghdr message = {.msg_name = &address,
				 .msg_namelen = address_of(name, &address),
				 .msg_iov = &iov,
				 .msg_iovlen = 1,
				 .msg_control = &control,
				 .msg_controllen = sizeof(control.space)};

	memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
	return dxs_sys6(SYS_sendmsg, sock, (long)&message, MSG_NOSIGNAL, 0, 0, 0);
}

int dxs_keeper_send(const char *name, int fd)
{
	int sock = (int)dxs_sys6(SYS_socket, AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, 0, 0, 0);
	struct timeval most = {.tv_sec = 1}; // a keeper that is stopped does not hold the program up
	long ret;

	if (sock < 0)
		return sock;
	ret = dxs_sys6(SYS_setsockopt, sock, SOL_SOCKET, SO_SNDTIMEO, (long)&most, sizeof(most), 0);
	if (!ret)
		ret = send_fd(sock, name, fd);
	dxs_sys_close(sock);
	return ret < 0 ? (int)ret : 0;
}
