// SPDX-License-Identifier: BSD-3-Clause
// session.h: the observer of an emulated or verified run.
#ifndef DXS_SESSION_H
#define DXS_SESSION_H

#include "file/observer.h"

// Offered to the core when this code comes into the process. A program that is linked with libdaxsync.a names it to the
// linker (-u dxs_session), or nothing of lib/emulate becomes a part of it.
extern const struct dxs_observer dxs_session;

#endif
