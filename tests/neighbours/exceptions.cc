// SPDX-License-Identifier: BSD-3-Clause
// exceptions.cc: exceptions FILE PLUGIN: exceptions that pass frames whose destructors store into a mapped file and sync
// it, thrown by the program, by a library that is opened later, and in threads. Prints the same each time.
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <new>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

static const size_t part = 64 * 4096;
static const int nr_threads = 4;
static char *map;
static std::atomic<long> stored, synced, caught;

// Stores when it goes out of scope, by return or by unwinding.
class Record
{
      public:
	Record(char *to, size_t len, int value) : to(to), len(len), value(value)
	{
	}
	~Record()
	{
		memset(to, value, len);
		stored += (long)len;
		if (value % 3 == 0 && !msync(map, nr_threads * part, MS_SYNC))
			synced++;
	}

      private:
	char *to;
	size_t len;
	int value;
};

using plugin_fn = void (*)(char *to, int depth);

static void fall(char *to, int depth, plugin_fn plugin)
{
	Record record(to + depth * 4096, 4096, depth + 1);

	if (depth < 20)
		fall(to, depth + 1, plugin);
	else if (plugin)
		plugin(to + 40 * 4096, 5);
	else
		throw std::runtime_error("own");
}

static void in_a_thread(int nr, plugin_fn plugin)
{
	std::exception_ptr kept;
	int i;

	for (i = 0; i < 50; i++) {
		try {
			fall(map + nr * part, 0, i % 2 ? plugin : nullptr);
		} catch (const std::exception &e) {
			caught += (long)strlen(e.what());
			kept = std::current_exception();
		}
		try {
			std::rethrow_exception(kept);
		} catch (const std::runtime_error &) {
			caught++;
		}
	}
}

// Where throwing leads: to the C++ run-time's own unwinder.
static void print_unwinder(void *plugin)
{
	Dl_info info;
	void *raise = plugin ? dlsym(plugin, "unwinder") : nullptr;

	if (!raise || !dladdr(((void *(*)())raise)(), &info))
		return;
	const char *name = strrchr(info.dli_fname, '/');
	printf("the unwinder is in %s\n", name ? name + 1 : info.dli_fname);
}

int main(int argc, char **argv)
{
	int fd = argc == 3 ? open(argv[1], O_RDWR | O_CREAT | O_TRUNC, 0600) : -1;
	std::vector<std::thread> threads;
	int i;

	if (fd < 0 || ftruncate(fd, nr_threads * part))
		return 2;
	map = (char *)mmap(nullptr, nr_threads * part, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		return 2;
	in_a_thread(0, nullptr);
	msync(map, nr_threads * part, MS_SYNC);

	void *handle = dlopen(argv[2], RTLD_NOW | RTLD_LOCAL);
	plugin_fn plugin = handle ? (plugin_fn)dlsym(handle, "plugin") : nullptr;

	if (!plugin) {
		fprintf(stderr, "%s\n", dlerror());
		return 2;
	}
	print_unwinder(handle);
	for (i = 0; i < nr_threads; i++)
		threads.emplace_back(in_a_thread, i, plugin);
	for (auto &thread : threads)
		thread.join();
	try {
		std::vector<int> too_long((size_t)-1 / 8);
	} catch (const std::bad_alloc &) {
		caught++;
	} catch (const std::length_error &) {
		caught++;
	}
	printf("%ld bytes stored, %ld syncs, %ld caught\n", stored.load(), synced.load(), caught.load());
	unsigned long sum = 0;

	for (size_t at = 0; at < nr_threads * part; at++)
		sum = sum * 31 + (unsigned char)map[at];
	printf("sum %lx\n", sum);
	fflush(stdout);
	std::set_terminate([] {
		memset(map, 'x', 4096);
		msync(map, 4096, MS_SYNC);
		fsync(STDOUT_FILENO);
		_exit(3);
	});
	throw 1; // nobody catches it
}
