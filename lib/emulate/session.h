// SPDX-License-Identifier: BSD-3-Clause
// session.h: the observer of an emulated or verified run.
#ifndef DXS_SESSION_H
#define DXS_SESSION_H

// Whether the configuration asks for one: it does then from now on. Context: init.
void dxs_session_init(void);

#endif
