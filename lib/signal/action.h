// SPDX-License-Identifier: BSD-3-Clause
// action.h: signal actions as the kernel has them.
//
// By the system call: another library's sigaction() may keep an action to itself (libjsig, sanitizers), and who sets one
// need not use libc's.
#ifndef DXS_ACTION_H
#define DXS_ACTION_H

#include <signal.h>

// 0 or -errno. What was got can be set again, changed or not. Context: every one.
int dxs_action_get(int sig, struct sigaction *act);
int dxs_action_set(int sig, const struct sigaction *act);

#endif
