// SPDX-License-Identifier: BSD-3-Clause
// aio.c: hooks of POSIX asynchronous I/O. libc carries it out in threads of its own, by calls that no hook sees.
#include "call/calls.h"
#include "hooks.h"
#include "pins.h"

// Before a request is queued: what it reads into stays open for good, and so does the request itself, since libc's threads
// store its result with all signals blocked; what it writes to is the kernel's from now on.
static void request_seen(int opcode, int fd, volatile void *buf, size_t len)
{
	if (opcode == LIO_READ)
		dxs_pin_for_good((void *)(uintptr_t)buf, len);
	else if (opcode == LIO_WRITE && dxs_hook_enter() && dxs_known_any())
		dxs_leave_to_kernel(fd, DXS_AIO_REASON);
}

#define AIO(name, block, opcode)                                                                                       \
	DXS_EXPORT int name(struct block *request)                                                                     \
	{                                                                                                              \
		dxs_hooks_fill();                                                                                      \
		dxs_pin_for_good(request, sizeof(*request));                                                           \
		request_seen(opcode, request->aio_fildes, request->aio_buf, request->aio_nbytes);                      \
		return dxs_next.name(request);                                                                         \
	}

// What was stored before the call is flushed before the kernel's fsync is queued.
#define AIO_FSYNC(name, block)                                                                                         \
	DXS_EXPORT int name(int op, struct block *request)                                                             \
	{                                                                                                              \
		int err = dxs_hook_enter() ? dxs_flush_fd(request->aio_fildes, 0, UINT64_MAX) : 0;                     \
                                                                                                                       \
		dxs_hooks_fill();                                                                                      \
		dxs_pin_for_good(request, sizeof(*request));                                                           \
		return err < 0 ? (int)dxs_hook_return(err) : dxs_next.name(op, request);                               \
	}

#define LIO_LISTIO(name, block)                                                                                        \
	DXS_EXPORT int name(int mode, struct block *const list[], int nr, struct sigevent *event)                      \
	{                                                                                                              \
		int i;                                                                                                 \
                                                                                                                       \
		dxs_hooks_fill();                                                                                      \
		for (i = 0; i < nr; i++)                                                                               \
			if (list[i]) {                                                                                 \
				dxs_pin_for_good(list[i], sizeof(*list[i]));                                           \
				request_seen(list[i]->aio_lio_opcode, list[i]->aio_fildes, list[i]->aio_buf,           \
					     list[i]->aio_nbytes);                                                     \
			}                                                                                              \
		return dxs_next.name(mode, list, nr, event);                                                           \
	}

AIO(aio_read, aiocb, LIO_READ)
AIO(aio_read64, aiocb64, LIO_READ)
AIO(aio_write, aiocb, LIO_WRITE)
AIO(aio_write64, aiocb64, LIO_WRITE)
AIO_FSYNC(aio_fsync, aiocb)
AIO_FSYNC(aio_fsync64, aiocb64)
LIO_LISTIO(lio_listio, aiocb)
LIO_LISTIO(lio_listio64, aiocb64)
