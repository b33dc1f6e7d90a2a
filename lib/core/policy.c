// SPDX-License-Identifier: BSD-3-Clause
// policy.c: the fixed policies. Kernels since 4.10 always close, the v3 series never did.
#include "core/policy.h"

#include "base/config.h"

uint64_t dxs_policy_close(struct dxs_file *file, struct dxs_leaf *leaf, uint64_t dirty)
{
	(void)file;
	(void)leaf;
	return dxs_config.policy == DXS_POLICY_NEVER_CLOSE ? 0 : dirty;
}
