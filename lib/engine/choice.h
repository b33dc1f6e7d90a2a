// SPDX-License-Identifier: BSD-3-Clause
// choice.h: which engine tracks a mapping.
#ifndef DXS_CHOICE_H
#define DXS_CHOICE_H

struct dxs_engine;
struct dxs_map;

// The engine for a mapping, attached, or NULL with the reason (static text) in *why. Tries the engines that the
// configuration allows on the mapping itself: what the kernel grants is seen, not guessed from its version.
const struct dxs_engine *dxs_engine_attach(struct dxs_map *map, const char **why);

// In a forked child: no mapping is registered any more.
void dxs_engine_reset(void);

#endif
