// SPDX-License-Identifier: BSD-3-Clause
// behind.c: the functions of a library behind the shim.
#include "base/behind.h"

struct dxs_behind dxs_behind;
DXS_THREAD int dxs_inside;
