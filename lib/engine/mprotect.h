// SPDX-License-Identifier: BSD-3-Clause
// mprotect.h: mprotect and SIGSEGV, for any file that can be mapped.
#ifndef DXS_ENGINE_MPROTECT_H
#define DXS_ENGINE_MPROTECT_H

#include "core/engine.h"

extern const struct dxs_engine dxs_engine_mprotect;

#endif
