// SPDX-License-Identifier: BSD-3-Clause
// plugin.cc: a library for dlopen: its constructor maps a file of its own, stores and syncs; its function throws.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <unwind.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <stdexcept>

namespace
{

const size_t size = 64 * 4096;

class Own
{
      public:
	Own()
	{
		const char *path = getenv("PLUGIN_FILE");
		int fd = path ? open(path, O_RDWR | O_CREAT | O_TRUNC, 0600) : -1;

		if (fd < 0 || ftruncate(fd, size))
			abort();
		map = (char *)mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		close(fd);
		if (map == MAP_FAILED)
			abort();
		memset(map, 'c', size / 2);
		if (msync(map, size, MS_SYNC))
			abort();
	}
	~Own()
	{
		memset(map + size / 2, 'd', size / 2);
		if (msync(map, size, MS_SYNC) || munmap(map, size))
			abort();
	}
	char *map;
};

Own own;

void deeper(char *to, int depth)
{
	*to = (char)depth;
	if (!depth)
		throw std::runtime_error("the plugin's");
	deeper(to + 4096, depth - 1);
	*to = 0; // not reached
}

} // namespace

extern "C" void plugin(char *to, int depth);
extern "C" void *unwinder(void);

void plugin(char *to, int depth)
{
	try {
		deeper(to, depth);
	} catch (...) {
		*to = 'r';
		throw;
	}
}

void *unwinder(void)
{
	return (void *)_Unwind_RaiseException;
}
