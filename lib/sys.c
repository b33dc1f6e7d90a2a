// SPDX-License-Identifier: BSD-3-Clause
// sys.c: where planted failures of system calls come in.
#include "sys.h"

long (*dxs_sys_planted)(long nr);
