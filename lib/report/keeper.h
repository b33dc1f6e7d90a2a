// SPDX-License-Identifier: BSD-3-Clause
// keeper.h: statistics that outlive their process: `daxsync run` keeps a descriptor of them (preload/launcher/keeper.c).
#ifndef DXS_KEEPER_H
#define DXS_KEEPER_H

// Sends the descriptor of the statistics to the keeper with this (abstract) name. 0: it has it, or will have it whatever
// becomes of this process; -errno. No malloc. Signals are blocked; waits a second at most where the keeper is behind.
int dxs_keeper_send(const char *name, int fd);

#endif
