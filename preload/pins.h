// SPDX-License-Identifier: BSD-3-Clause
// pins.h: keeps the program's buffers writable for the duration of a call (M9).
#ifndef DXS_PINS_H
#define DXS_PINS_H

#include <sys/socket.h>
#include <sys/uio.h>

#include "call/pin.h"
#include "hooks.h"
#include "signal/peek.h"

// Whether there may be anything to pin.
static inline bool dxs_hook_pins(struct dxs_pin *pin)
{
	pin->nr = 0;
	return dxs_hook_enter() && dxs_pins_wanted();
}

void dxs_pin_iovec(struct dxs_pin *pin, const struct iovec *iov, size_t nr);
void dxs_pin_socket_address(struct dxs_pin *pin, void *addr, socklen_t *len);

void dxs_pins_drop(void *pin);

// What the kernel stores into at any time from now on stays open for good: a stream's buffer, and what is read in the
// background by a thread of libc's.
void dxs_pin_for_good(void *addr, size_t len);

// Makes a call and lets go of the pins, also where the thread is cancelled in it. A handler that leaves it by a jump
// keeps them: the pages stay open, and nothing is lost.
#define DXS_PINNED(pin, call)                                                                                          \
	({                                                                                                             \
		typeof(call) pinned_ret_;                                                                              \
                                                                                                                       \
		if (dxs_likely(!(pin)->nr)) {                                                                          \
			pinned_ret_ = (call);                                                                          \
		} else {                                                                                               \
			pthread_cleanup_push(dxs_pins_drop, (pin));                                                    \
			pinned_ret_ = (call);                                                                          \
			pthread_cleanup_pop(1);                                                                        \
		}                                                                                                      \
		pinned_ret_;                                                                                           \
	})

#endif
