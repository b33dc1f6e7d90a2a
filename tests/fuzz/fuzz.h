// SPDX-License-Identifier: BSD-3-Clause
// fuzz.h: what the fuzz targets share.
#ifndef FUZZ_H
#define FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define NR(array) (sizeof(array) / sizeof((array)[0]))

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

// What a target promises of every input.
#define PROMISE(holds)                                                                                                 \
	do {                                                                                                           \
		if (!(holds)) {                                                                                        \
			fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #holds);                            \
			abort();                                                                                       \
		}                                                                                                      \
	} while (0)

// An input, of which a target takes what it needs. Behind its end there are zeros.
struct input {
	const uint8_t *data;
	size_t left;
};

uint8_t take_byte(struct input *input);
uint64_t take_number(struct input *input, size_t bytes); // little-endian
void take_bytes(struct input *input, void *to, size_t size);
void take_text(struct input *input, char *to, size_t size); // up to a NUL, or as much as fits; it ends in a NUL

// What the library writes, in the place of dxs_sys_grow() in targets that are linked with --wrap.
struct written {
	char text[2 << 20];
	size_t len;
	size_t most;     // bytes that one write takes; 0: all
	size_t fails;    // from so many bytes on each write fails with EIO; 0: never
	bool interrupts; // every second call is interrupted
	unsigned calls;
};
extern struct written written;
void written_begin(void);

// Text for people: valid UTF-8, none of it a control character of any kind (C0, C1, those that turn the direction).
bool is_harmless(const char *text, size_t len);

#endif
