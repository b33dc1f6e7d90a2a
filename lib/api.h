// SPDX-License-Identifier: BSD-3-Clause
// api.h: what the files with public functions share.
#ifndef DXS_API_H
#define DXS_API_H

#define EXPORT __attribute__((visibility("default")))

#endif
