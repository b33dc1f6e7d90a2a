// SPDX-License-Identifier: BSD-3-Clause
// init.c: what is done once for each process.
#include "init.h"

#include <stdatomic.h>
#include <stdbool.h>

#include "base/config.h"
#include "base/injector.h"
#include "base/kernel.h"
#include "base/log.h"
#include "emulator.h"
#include "process/fork.h"
#include "report/stats.h"
#include "report/unserved.h"

void dxs_init(void)
{
	static _Atomic bool done; // seq_cst, the default: relaxed would do, only the first call goes on

	if (atomic_exchange(&done, true))
		return;
	dxs_log_init();
	dxs_kernel_init();
	dxs_config_load();
	dxs_emulator_init();
	if (dxs_injector)
		dxs_injector->begin();
	dxs_fork_init();
	dxs_stats_begin();
	dxs_unserved_begin();
}
