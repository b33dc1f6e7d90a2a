// SPDX-License-Identifier: BSD-3-Clause
// generator.c: sequences of calls, tried on the shim and on the kernel.
//
//   generator [-e LEN] [-p K/N] [-n NUMBER] [-l LEN] [-s SEED] [-m tmpfs|memfd] [-k NUMBER] [-o FILE] [-w] [-f FAULT]
//             [SEQUENCE]
//
// -e: all sequences up to this length, behind each of the beginnings below. -p: of the longest of these only the K-th of N
// parts, in each of which every operation follows every other. -n: so many random ones of up to -l
// operations; the seed is printed. A SEQUENCE ("map(0,8) store(a,1)") is tried alone. A sequence that fails is shrunk
// and printed as a C program, to FILE if one is given; the run ends with the -k-th. Exit status: 0; 1 if a sequence has failed; 2.
//
// -w: a workload of every kind of call, once. -f: the same, with a failure (DAXSYNC_FAULT=FAULT@N) at its first occasion, its second and so on. A call
// that fails by it is made again; the rest must be as without it.
//
// Meant to run under the shim (`daxsync run --emulate --verify -- generator`). Without it both sides are the kernel's,
// which shows that equal calls give equal results.
//
// The work is done by a process of its own, so that one that crashes or hangs is a result too. What it does is read
// from memory that both share.
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../mix.h"
#include "execute.h"
#include "sequence.h"

#define PATIENCE 15 // seconds without a sequence being finished
#define KEEP 3      // failures, after which the run ends, if nothing else is asked for
#define RANDOM_PREFIX "map(0,8)"

// Every sequence of the exhaustive part begins with one of these.
static const char *const beginnings[] = {
	"map(0,8)",
	"map(0,8) stores(a,0,0) msync(a,0,0)",
};
#define NR_BEGINNINGS (sizeof(beginnings) / sizeof(beginnings[0]))

// What has failed once, shrunk: tried before all else.
static const char *const found[] = {
	"map(0,8) resize(1,2000)",
	"map(0,8) resize(1,2000) pwrite(18000,100)",
	"map(0,8) resize(5,100) msync(a,1,2) read(a,4,6000) resize(8,0)",
	"map(0,8) fork(a,1,0) mremap(a,4,0)",
	"map(0,8) fork(a,1,0) over(a,1,3) mremap(a,10,0)",
	"map(0,8) protect(a,0,0) over(a,1,3) mremap(a,10,0)",
	"map(0,8) protect(a,0,0) over(a,1,3) mremap(a,8,0)",
	"map(0,8) protect(a,0,0) over(a,1,3) mremap(a,2,0)",
	"map(0,8) map(2,4) protect(b,0,0) over(b,1,2) move(b,0,0)",
	"map(0,8) unmap(a,4,4) pwrite(18000,100) msync(a,1,2)",
	"map(0,8) pwrite(0,20000) unmap(a,2,2) msync(a,1,2) over(a,1,3) msync(a,1,2)",
	"map(0,8) resize(0,0) resize(6,0) msync(a,1,2)",
	"map(0,8) fork(a,4,1)",
};
#define NR_FOUND (sizeof(found) / sizeof(found[0]))

// What is done while something fails, each time at another occasion: every kind of call, twice.
static const char *const workload[] = {
	"map(0,8) stores(a,0,0) msync(a,0,0) map(2,4) store(b,0,0) msync(a,1,2) store(a,4,0) read(a,4,6000) fsync(0,0) "
	"resize(4,0) resize(8,0) store(a,7,0) mremap(a,10,0) pwrite(4096,4096) msync(a,0,0) protect(a,0,0) "
	"protect(a,1,0) "
	"stores(a,0,0) unmap(b,1,2) punch(1,1) fsync(0,0) move(a,0,0) store(a,1,0) unmap(a,4,4) msync(a,1,2) "
	"unmap(b,0,0)",
	"map(2,4) map(0,8) store(b,2,0) fdatasync(0,0) over(b,1,2) stores(b,0,0) mremap(b,2,0) remove(b,0,1) "
	"fork(b,1,1) "
	"stores(a,0,0) msync(a,0,0) store(b,0,0) unmap(a,0,0) map(0,8) store(a,1,0) msync(b,0,0) fork(a,1,0) "
	"msync(a,0,0)",
};
#define NR_WORKLOAD (sizeof(workload) / sizeof(workload[0]))

// The errors that the program may see of an injected failure; of others it must see none. And the occasion to begin with:
// the private allocator of the shim ends a process in which its very first mmap fails.
static const struct visible {
	const char *fault;
	int err;
	unsigned from;
} visible[] = {
	{"flush-error", EIO, 1},   {"sys-fsync", EIO, 1},     {"sys-msync", EIO, 1},       {"sys-mmap", ENOMEM, 3},
	{"sys-munmap", ENOMEM, 1}, {"sys-mremap", ENOMEM, 1}, {"sys-mprotect", ENOMEM, 1}, {"", 0, 1},
};

struct position {
	unsigned beginning;   // NR_BEGINNINGS: all done
	struct sequence rest; //
};

// What driver and worker share.
struct shared {
	// The task.
	enum memory memory;
	unsigned all_len;         // of the exhaustive part
	unsigned part, nr_parts;  // of the sequences of that length
	uint64_t nr_random, seed; //
	unsigned random_len;      //
	int keep;                 // failures, with which the run ends
	bool one;                 // only run.sequence
	bool drop;                // in that: what makes no sense
	bool workload;            // only that
	// Where the worker is. It can be started again from here.
	unsigned nr_found_done;
	struct position position; // in the exhaustive part
	uint64_t nr_random_done;
	bool finished;
	// What it has done.
	struct run run;
	uint64_t nr_all, nr_kinds[NR_KINDS];
	_Atomic uint64_t nr_tried;
};

extern char **environ;

static struct shared *shared;
static int shared_fd = -1;

// The worker.

static void count(const struct sequence *sequence)
{
	unsigned i;

	for (i = 0; i < sequence->len; i++)
		shared->nr_kinds[ops[sequence->op[i]].kind]++;
	shared->nr_tried++;
}

// Where the exhaustive part is: a beginning, and the operations behind it, which count up like an odometer.

// The next one in which the operation at `at` is another.
static void position_turn(struct position *position, unsigned at)
{
	struct sequence *rest = &position->rest;
	unsigned i;

	for (i = at + 1; i < rest->len; i++)
		rest->op[i] = 0;
	for (i = at + 1; i-- > 0;) {
		if (++rest->op[i] < nr_common)
			return;
		rest->op[i] = 0;
	}
	if (++rest->len <= shared->all_len)
		return;
	*rest = (struct sequence){.len = 1};
	position->beginning++;
}

// Returns the length of the beginning.
static unsigned position_sequence(const struct position *position, struct sequence *sequence)
{
	unsigned prefix;

	sequence_parse(beginnings[position->beginning], sequence);
	prefix = sequence->len;
	memcpy(sequence->op + prefix, position->rest.op, position->rest.len);
	sequence->len += position->rest.len;
	return prefix;
}

// By the sum of its operations' numbers, so that no place in a sequence has only some of them.
static bool is_of_the_part(const struct sequence *rest)
{
	unsigned sum = 0, i;

	for (i = 0; i < rest->len; i++)
		sum += rest->op[i];
	return rest->len < shared->all_len || sum % shared->nr_parts == shared->part;
}

static void all_try(void)
{
	struct position *position = &shared->position;
	struct run *run = &shared->run;

	while (position->beginning < NR_BEGINNINGS && !run->failed) {
		struct position before = *position;
		bool wanted = is_of_the_part(&position->rest);
		unsigned prefix = position_sequence(position, &run->sequence);

		// Turned before it is tried: a worker that dies of it is started again behind it.
		position_turn(position, position->rest.len - 1);
		if (!wanted)
			continue;
		if (execute(run, false)) {
			count(&run->sequence);
			shared->nr_all++;
		} else { // and all others that begin like it as far as there
			*position = before;
			position_turn(position, run->step - prefix);
		}
	}
}

static void found_try(void)
{
	struct run *run = &shared->run;

	while (shared->nr_found_done < NR_FOUND && !run->failed) {
		sequence_parse(found[shared->nr_found_done++], &run->sequence);
		execute(run, true);
		count(&run->sequence);
	}
}

static void workload_try(void)
{
	struct run *run = &shared->run;
	size_t i;

	for (i = 0; i < NR_WORKLOAD && !run->failed; i++) {
		if (!sequence_parse(workload[i], &run->sequence))
			exit(2);
		execute(run, true);
		count(&run->sequence);
	}
	run->injected += faults_injected(); // and those of children
}

static uint64_t next_random(uint64_t *state)
{
	return mix(*state += DXS_MIX_STEP);
}

// Each depends on the seed and its number only.
static void random_make(struct sequence *sequence, uint64_t number)
{
	uint64_t state = shared->seed * 1000003 + number;
	unsigned i, len = 4 + (unsigned)(next_random(&state) % (shared->random_len - 3));
	struct layout layout = {0};

	sequence_parse(RANDOM_PREFIX, sequence);
	layout_apply(&layout, &ops[sequence->op[0]]);
	while (sequence->len < len) {
		const struct op *op;

		do
			op = &ops[i = (unsigned)(next_random(&state) % nr_ops)];
		while (!layout_allows(&layout, op));
		layout_apply(&layout, op);
		sequence->op[sequence->len++] = (uint8_t)i;
	}
}

static void random_try(void)
{
	struct run *run = &shared->run;

	while (shared->nr_random_done < shared->nr_random && !run->failed) {
		random_make(&run->sequence, shared->nr_random_done++);
		execute(run, true);
		count(&run->sequence);
	}
}

static int worker(int fd)
{
	// By a raw call: this memory is none of the shim's.
	shared = (struct shared *)syscall(SYS_mmap, NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if ((long)shared == -1)
		return 2;
	execute_init(shared->memory);
	shared->run.failed = false;
	if (shared->one) {
		execute(&shared->run, shared->drop);
		return 0;
	}
	if (shared->workload) {
		workload_try();
		return 0;
	}
	found_try();
	if (!shared->run.failed && shared->all_len)
		all_try();
	if (!shared->run.failed)
		random_try();
	shared->finished = !shared->run.failed;
	return 0;
}

// The driver.

// The library keeps the images of a run without a directory in memory: thousands of files would fill one.
static char **worker_environment(void)
{
	static char *env[4096];
	static char verify[] = "DAXSYNC_VERIFY=1";
	size_t i, nr = 0;

	for (i = 0; environ[i] && nr < 4090; i++)
		if (strncmp(environ[i], "DAXSYNC_IMAGE_DIR=", 18) && strncmp(environ[i], "DAXSYNC_VERIFY=", 15))
			env[nr++] = environ[i];
	if (getenv("DAXSYNC_EMULATE"))
		env[nr++] = verify;
	env[nr] = NULL;
	return env;
}

static pid_t worker_start(bool quiet)
{
	char number[16], *argv[] = {"generator", "--worker", number, NULL};
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	sigset_t none;
	pid_t pid;
	int err;

	snprintf(number, sizeof(number), "%d", shared_fd);
	sigemptyset(&none);
	posix_spawn_file_actions_init(&actions);
	if (quiet)
		posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK);
	posix_spawnattr_setsigmask(&attr, &none);
	err = posix_spawn(&pid, "/proc/self/exe", &actions, &attr, argv, worker_environment());
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attr);
	if (!err)
		return pid;
	fprintf(stderr, "generator: no worker: %s\n", strerror(err));
	exit(2);
}

static void files_remove(pid_t pid)
{
	char pattern[64];
	glob_t files;
	size_t i;

	snprintf(pattern, sizeof(pattern), FILES "%d.*", pid);
	if (glob(pattern, 0, NULL, &files))
		return;
	for (i = 0; i < files.gl_pathc; i++)
		unlink(files.gl_pathv[i]);
	globfree(&files);
}

// Runs a worker to its end. Whether a sequence has failed, which run.what then tells of.
static bool work(bool quiet)
{
	struct timespec timeout = {.tv_sec = PATIENCE};
	uint64_t tried = shared->nr_tried;
	pid_t pid = worker_start(quiet);
	int status = 0;
	sigset_t child;

	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	while (!waitpid(pid, &status, WNOHANG)) {
		if (sigtimedwait(&child, NULL, &timeout) >= 0 || errno != EAGAIN)
			continue;
		if (!shared->one && shared->nr_tried != tried) {
			tried = shared->nr_tried;
			continue;
		}
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
		files_remove(pid);
		shared->run.failed = true;
		snprintf(shared->run.what, sizeof(shared->run.what), "it hangs");
		return true;
	}
	if (!status || shared->run.failed)
		return shared->run.failed;
	files_remove(pid);
	shared->run.failed = true;
	snprintf(shared->run.what, sizeof(shared->run.what), "the process ended with status %#x%s%s", (unsigned)status,
		 WIFSIGNALED(status) ? ", " : "", WIFSIGNALED(status) ? strsignal(WTERMSIG(status)) : "");
	return true;
}

// Whether a sequence fails alone. What makes no sense in it is dropped from it.
static bool fails(struct sequence *sequence)
{
	bool failed;

	shared->run.sequence = *sequence;
	shared->one = shared->drop = true;
	failed = work(true);
	shared->one = shared->drop = false;
	*sequence = shared->run.sequence;
	return failed;
}

static struct sequence without(const struct sequence *sequence, unsigned from, unsigned nr)
{
	struct sequence shorter = *sequence;

	shorter.len -= nr;
	memmove(shorter.op + from, shorter.op + from + nr, shorter.len - from);
	return shorter;
}

// Takes out ever smaller pieces, as long as what is left fails (delta debugging).
static void shrink(struct sequence *sequence)
{
	unsigned piece = sequence->len / 2, at;
	bool shorter;

	while (piece) {
		shorter = false;
		for (at = 0; at + piece <= sequence->len;) {
			struct sequence candidate = without(sequence, at, piece);

			if (fails(&candidate)) {
				*sequence = candidate;
				shorter = true;
			} else {
				at++;
			}
		}
		if (!shorter || piece > 1)
			piece /= 2;
	}
}

static void tell(const char *file)
{
	struct sequence sequence = shared->run.sequence, whole = sequence;
	FILE *to = file ? fopen(file, "we") : stdout;

	printf("FAIL: ");
	sequence_print(stdout, &sequence);
	printf("\n  %s\n", shared->run.what);
	if (!fails(&sequence)) {
		printf("  Alone it does not fail; what came before has a part in it.\n");
		sequence = whole;
	} else {
		shrink(&sequence);
		whole = sequence;
		fails(&whole); // for its reason
		printf("shrunk: ");
		sequence_print(stdout, &sequence);
		printf("\n  %s\n", shared->run.what);
	}
	if (to) {
		fprintf(to, "// %s\n", shared->run.what);
		program_print(to, &sequence);
	}
	if (to && to != stdout)
		fclose(to);
	fflush(stdout);
}

static void summary_print(void)
{
	static const char *const name[NR_KINDS] = {
		"map",      "map over", "store",     "store all", "msync",  "fsync", "fdatasync", "resize",   "punch",
		"allocate", "mremap",   "mremap to", "fork",      "pwrite", "read",  "munmap",    "mprotect", "remove"};
	int i;

	printf("%lu sequences (%lu of them all up to length %u behind %zu beginnings; %lu random, seed %lu); %lu "
	       "comparisons with the durable image, %lu signals caught\n",
	       (unsigned long)shared->nr_tried, (unsigned long)shared->nr_all, shared->all_len, NR_BEGINNINGS,
	       (unsigned long)shared->nr_random_done, (unsigned long)shared->seed, (unsigned long)shared->run.judged,
	       (unsigned long)shared->run.caught);
	for (i = 0; i < NR_KINDS; i++)
		printf("%s%s %lu", i ? ", " : "", name[i], (unsigned long)shared->nr_kinds[i]);
	printf("\n");
}

static int drive(const char *file)
{
	int nr_failed = 0;

	while (!shared->finished && nr_failed < shared->keep) {
		struct shared before;

		if (!work(nr_failed))
			continue;
		nr_failed++;
		before = *shared;
		tell(file);
		*shared = before;
		shared->run.failed = false;
	}
	summary_print();
	if (getenv("DAXSYNC_EMULATE") && !shared->run.judged) {
		printf("FAIL: nothing was compared with a durable image: is the verifier on, and the file tracked?\n");
		return 1;
	}
	return nr_failed != 0;
}

static const struct visible *visible_find(const char *fault)
{
	const struct visible *found_one = visible;

	while (found_one->fault[0] && strcmp(found_one->fault, fault))
		found_one++;
	return found_one;
}

static int workload_once(void)
{
	shared->workload = true;
	if (!work(false)) {
		printf("passed; %lu comparisons with the durable image\n", (unsigned long)shared->run.judged);
		return 0;
	}
	printf("FAIL: ");
	sequence_print(stdout, &shared->run.sequence);
	printf("\n  step %u: %s\n", shared->run.step, shared->run.what);
	return 1;
}

// The workload, with the fault (the last in the list) at its first occasion, its second, until there are no more.
static int faults_try(const char *fault)
{
	const char *last = strrchr(fault, ',');
	const struct visible *seen = visible_find(last ? last + 1 : fault);
	unsigned nth, nr_failed = 0, nr_visible = 0;

	shared->workload = true;
	shared->run.tolerated = seen->err;
	for (nth = seen->from; nr_failed < (unsigned)shared->keep; nth++) {
		char spec[128];

		snprintf(spec, sizeof(spec), "%s@%u", fault, nth);
		setenv("DAXSYNC_FAULT", spec, 1);
		shared->run.injected = shared->run.failed_calls = 0;
		if (work(true)) {
			nr_failed++;
			printf("FAIL %s: ", spec);
			sequence_print(stdout, &shared->run.sequence);
			printf("\n  step %u: %s\n", shared->run.step, shared->run.what);
		} else if (!shared->run.injected) {
			break;
		}
		nr_visible += shared->run.failed_calls != 0;
	}
	printf("%s: %u occasions, %u of them seen by the program, %u failures\n", fault, nth - 1, nr_visible,
	       nr_failed);
	return nr_failed != 0;
}

static int one_try(const char *text, const char *file)
{
	if (!sequence_parse(text, &shared->run.sequence)) {
		fprintf(stderr, "generator: no such sequence: %s\n", text);
		return 2;
	}
	shared->one = true;
	if (!work(false)) {
		printf("passed\n");
		return 0;
	}
	shared->one = false;
	tell(file);
	return 1;
}

static void usage(void)
{
	fputs("Usage: generator [-e LEN] [-p K/N] [-n NUMBER] [-l LEN] [-s SEED] [-m tmpfs|memfd] [-k NUMBER] [-o "
	      "FILE] "
	      "[SEQUENCE]\n",
	      stderr);
	exit(2);
}

static void options_parse(int argc, char **argv, const char **file, const char **fault)
{
	int c;

	while ((c = getopt(argc, argv, "e:p:n:l:s:m:k:o:f:w")) != -1) {
		if (c == 'e')
			shared->all_len = (unsigned)atoi(optarg);
		else if (c == 'p' && sscanf(optarg, "%u/%u", &shared->part, &shared->nr_parts) == 2 &&
			 shared->part < shared->nr_parts)
			continue;
		else if (c == 'n')
			shared->nr_random = strtoul(optarg, NULL, 10);
		else if (c == 'l')
			shared->random_len = (unsigned)atoi(optarg);
		else if (c == 's')
			shared->seed = strtoul(optarg, NULL, 10);
		else if (c == 'm' && (!strcmp(optarg, "tmpfs") || !strcmp(optarg, "memfd")))
			shared->memory = strcmp(optarg, "tmpfs") ? MEMFD : TMPFS;
		else if (c == 'k')
			shared->keep = atoi(optarg);
		else if (c == 'o')
			*file = optarg;
		else if (c == 'w')
			shared->workload = true;
		else if (c == 'f')
			*fault = optarg;
		else
			usage();
	}
	if (shared->all_len > 8 || shared->random_len < 4 || shared->random_len > MAX_LEN)
		usage();
}

int main(int argc, char **argv)
{
	const char *file = NULL, *fault = NULL;
	sigset_t child;

	if (argc == 3 && !strcmp(argv[1], "--worker"))
		return worker(atoi(argv[2]));
	shared_fd = memfd_create("generator", 0);
	if (shared_fd < 0 || ftruncate(shared_fd, sizeof(*shared)))
		return 2;
	shared = (struct shared *)syscall(SYS_mmap, NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED,
					  shared_fd, 0);
	if ((long)shared == -1)
		return 2;
	shared->position.rest.len = 1;
	shared->random_len = 20;
	shared->keep = KEEP;
	shared->nr_parts = 1;
	shared->seed = (uint64_t)time(NULL);
	options_parse(argc, argv, &file, &fault);
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	sigprocmask(SIG_BLOCK, &child, NULL);
	if (fault)
		return faults_try(fault);
	if (shared->workload)
		return workload_once();
	return optind < argc ? one_try(argv[optind], file) : drive(file);
}
