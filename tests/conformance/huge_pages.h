// SPDX-License-Identifier: BSD-3-Clause
// huge_pages.h: huge pages for one test at a time.
#ifndef HUGE_PAGES_H
#define HUGE_PAGES_H

// Sees to it that the machine has `nr` huge pages of 2 MiB that are free, and keeps every other test that asks in this
// way waiting until they are given back or the process has ended: the number of huge pages is the whole machine's.
// Returns NULL, or why there are too few; huge_pages_give() is called in either case.
const char *huge_pages_take(long nr);

// Puts the machine's number back to what it was.
void huge_pages_give(void);

#endif
