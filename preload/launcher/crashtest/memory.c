// SPDX-License-Identifier: BSD-3-Clause
// memory.c: memory or the end.
#include "memory.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "launcher.h"

void *dxs_need(void *old, size_t size)
{
	void *new = realloc(old, size ? size : 1);

	if (!new) {
		dxs_error("no memory for the crash test");
		exit(DXS_EXIT_ERROR);
	}
	return new;
}

char *dxs_need_text(const char *text)
{
	size_t size = strlen(text) + 1;

	return memcpy(dxs_need(NULL, size), text, size);
}
