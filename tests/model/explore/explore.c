// SPDX-License-Identifier: BSD-3-Clause
// explore.c: runs tree.c itself through every order of its threads' atomic accesses, for small programs.
//
// STRUCTURE
//   tree.c is compiled into this file with its atomics replaced (atomics.h) and with three levels in place of six
//   (explore.sh). A thread of a program (programs.h) is not a thread here: it is a function that is run again from its
//   begin for each step. What its accesses returned so far is in its log; the next access is then made on the state; and
//   at the one after that the function is left with longjmp. So a state can be copied, and the search is depth first. A
//   state that was there before is not searched again: it is the memory, and what each thread has read.
//
// MEMORY
//   Each location has its stores in order. An access that is not seq_cst, or that follows a store that was not, may also
//   read an older value: any that the thread does not know to be overwritten, by what it has read itself or by what was
//   released to it. Read-modify-writes read the newest. The order of stores to one location is that in which they were
//   made, so an execution in which a later store goes under an earlier one is not among those looked at.
//
//   What is not atomic (the leaf's `first`, a chunk's `next`) is not modelled: ThreadSanitizer looks at its publication.
//
// REDUCTION
//   A location that no thread stores to is read without a step. When one is stored to that was read so, or when the first
//   weak access turns up, the search of the program begins again knowing it.
#include "tree/tree.c"

#include <inttypes.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>

#define THREADS 3
#define LOCATIONS 80
#define STORES 10
#define ACCESSES 240
#define DEPTH (THREADS * ACCESSES)
#define STATES (1U << 23)
#define MEMORY (64 << 10)

enum kind { LOAD, STORE, CHANGE, EXCHANGE_WEAK, EXCHANGE_STRONG, WAIT, WAKE, STEP };

struct access {
	enum kind kind;
	int at, order;
	uint64_t seen, keep, flip, add;
};

typedef uint8_t view[LOCATIONS]; // of each location, the number of the oldest store that can still be read

struct thread {
	uint64_t hash;
	int nr_log;
	bool is_finished, is_asleep, is_woken, has_failed; // has_failed: a weak exchange, without a reason
	struct access next;
	view known;
	uint64_t log[ACCESSES];
};

struct state {
	uint64_t ghosts; // what has happened: see `happened`
	view ghost_known;
	int nr_stores[LOCATIONS];
	view strong; // of each location, the newest store that is seq_cst
	bool last_is_weak[LOCATIONS];
	struct thread thread[THREADS];
	uint64_t value[STORES][LOCATIONS]; // the first store stands alone where nothing is weak
	view released[STORES][LOCATIONS];
};

static struct state states[DEPTH + 1], *now = states; // one for each step of the path
static const void *address[LOCATIONS];
static int nr_locations;
static bool is_stored_to[LOCATIONS], is_weak, again;
static uint64_t *visited, nr_states;

static int running = -1; // the thread; -1: accesses are made at once
static int position;     // in its log
static bool may_step;    // the access that was chosen has not been made yet
static int choice;       // what it reads, or whether it fails
static jmp_buf out;
static const char *program_name;
static struct {
	int thread;
	struct access access;
	uint64_t result;
} trace[DEPTH];
static int depth;

static int location(const void *at)
{
	int i;

	for (i = 0; i < nr_locations; i++)
		if (address[i] == at)
			return i;
	if (nr_locations == LOCATIONS) {
		puts("too many locations");
		exit(2);
	}
	address[nr_locations] = at;
	now->nr_stores[nr_locations] = 1;
	return nr_locations++;
}

static void join(uint8_t *into, const uint8_t *from)
{
	int i;

	for (i = 0; i < LOCATIONS; i++)
		into[i] = into[i] > from[i] ? into[i] : from[i];
}

static bool acquires(int order)
{
	return order != memory_order_relaxed && order != memory_order_release;
}

static bool releases(int order)
{
	return order == memory_order_release || order == memory_order_acq_rel || order == memory_order_seq_cst;
}

// The oldest store that a load may read.
static int oldest(const struct thread *thread, int at, int order)
{
	int least = thread->known[at];

	if (!is_weak)
		return now->nr_stores[at] - 1;
	return order == memory_order_seq_cst && now->strong[at] > least ? now->strong[at] : least;
}

static void search_again(void)
{
	again = true;
	longjmp(out, 2);
}

static void put(struct thread *thread, int at, uint64_t value, int order, bool is_change)
{
	bool has_history = is_weak && running >= 0;
	int old = now->nr_stores[at] - 1, new = has_history ? old + 1 : old;

	if (running >= 0 && !is_stored_to[at]) {
		is_stored_to[at] = true;
		search_again();
	}
	if (new == STORES) {
		puts("too many stores");
		exit(2);
	}
	now->last_is_weak[at] = running >= 0 && order != memory_order_seq_cst;
	now->value[new][at] = value;
	if (!has_history)
		return;
	now->nr_stores[at] = new + 1;
	thread->known[at] = (uint8_t)(new);
	if (order == memory_order_seq_cst)
		now->strong[at] = (uint8_t)(new);
	memset(now->released[new][at], 0, sizeof(view));
	if (is_change) // goes on with the release sequence
		memcpy(now->released[new][at], now->released[old][at], sizeof(view));
	if (releases(order))
		join(now->released[new][at], thread->known);
	now->released[new][at][at] = (uint8_t)(new);
}

static uint64_t get(struct thread *thread, int at, int from, int order)
{
	if (!is_weak)
		return now->value[from][at];
	if (thread->known[at] < from)
		thread->known[at] = (uint8_t)from;
	if (order == memory_order_seq_cst && now->strong[at] < from)
		now->strong[at] = (uint8_t)from;
	if (acquires(order))
		join(thread->known, now->released[from][at]);
	return now->value[from][at];
}

static uint64_t make(struct thread *thread, const struct access *a)
{
	int i, newest = a->at < 0 ? 0 : now->nr_stores[a->at] - 1;
	uint64_t old;

	switch (a->kind) {
	case LOAD:
		return get(thread, a->at, choice, a->order);
	case STORE:
		put(thread, a->at, a->add, a->order, false);
		return 0;
	case CHANGE:
		old = get(thread, a->at, newest, a->order);
		put(thread, a->at, ((old & a->keep) | a->flip) + a->add, a->order, true);
		return old;
	case EXCHANGE_WEAK:
	case EXCHANGE_STRONG:
		old = get(thread, a->at, newest, a->order);
		if (choice)
			thread->has_failed = true;
		else if (old == a->seen)
			put(thread, a->at, a->add, a->order, true);
		return old;
	case WAKE:
		for (i = 0; i < THREADS; i++)
			if (now->thread[i].is_asleep && now->thread[i].next.at == a->at) {
				now->thread[i].is_asleep = false;
				now->thread[i].is_woken = true;
			}
		return 0;
	case WAIT:
		thread->is_woken = false;
		return 0;
	case STEP:
		return 0;
	}
	return 0;
}

static uint64_t mix(uint64_t hash, uint64_t value)
{
	hash = (hash ^ value) * 0x9e3779b97f4a7c15ULL;
	return hash ^ hash >> 29;
}

static void log_add(struct thread *thread, uint64_t value)
{
	if (thread->nr_log == ACCESSES) {
		puts("too many accesses");
		exit(2);
	}
	thread->log[thread->nr_log++] = value;
	thread->hash = mix(thread->hash, value + 1);
	position++;
}

// Every access comes here.
static uint64_t access_make(const struct access *a)
{
	struct thread *thread;
	uint64_t result;

	if (running < 0) {
		struct thread nobody = {0};

		choice = a->kind == LOAD ? now->nr_stores[a->at] - 1 : 0;
		return make(&nobody, a);
	}
	thread = &now->thread[running];
	if (position < thread->nr_log)
		return thread->log[position++];
	if (!is_weak && a->kind == LOAD && (a->order != memory_order_seq_cst || now->last_is_weak[a->at])) {
		is_weak = true;
		search_again();
	}
	if (a->kind == LOAD && !is_stored_to[a->at]) {
		result = now->value[0][a->at];
		log_add(thread, result);
		return result;
	}
	if (!may_step) {
		thread->next = *a;
		longjmp(out, 1);
	}
	may_step = false;
	result = make(thread, a);
	trace[depth].result = result;
	log_add(thread, result);
	return result;
}

uint64_t explore_load(const void *at, int order)
{
	return access_make(&(struct access){LOAD, location(at), order, 0, 0, 0, 0});
}

void explore_store(void *at, uint64_t value, int order)
{
	access_make(&(struct access){STORE, location(at), order, 0, 0, 0, value});
}

uint64_t explore_change(void *at, uint64_t keep, uint64_t flip, uint64_t add, int order)
{
	return access_make(&(struct access){CHANGE, location(at), order, 0, keep, flip, add});
}

bool explore_exchange(void *at, uint64_t *seen, uint64_t value, bool may_fail)
{
	bool is_failure = false;
	struct access a = {
		may_fail ? EXCHANGE_WEAK : EXCHANGE_STRONG, location(at), memory_order_seq_cst, *seen, 0, 0, value};
	uint64_t old;

	// The log holds what was seen; a failure without a reason is a value that is not.
	if (running >= 0 && position < now->thread[running].nr_log) {
		old = now->thread[running].log[position++];
		is_failure = now->thread[running].log[position++];
	} else {
		bool failed = running >= 0 && now->thread[running].has_failed;

		old = access_make(&a);
		is_failure = old != *seen || (running >= 0 && now->thread[running].has_failed != failed);
		if (running >= 0)
			log_add(&now->thread[running], is_failure);
	}
	*seen = old;
	return !is_failure;
}

void explore_wait(void *at, uint32_t seen)
{
	access_make(&(struct access){WAIT, location(at), memory_order_seq_cst, seen, 0, 0, 0});
}

void explore_wake(void *at)
{
	access_make(&(struct access){WAKE, location(at), memory_order_seq_cst, 0, 0, 0, 0});
}

static void begin_step(void)
{
	access_make(&(struct access){STEP, -1, memory_order_relaxed, 0, 0, 0, 0});
}

// What has happened, as a program's threads know it from each other: who learns of it knows what came before.
static void happened(int what)
{
	if (running < 0) {
		now->ghosts |= 1ULL << what;
	} else if (position == now->thread[running].nr_log && !(now->ghosts & 1ULL << what)) {
		now->ghosts |= 1ULL << what;
		join(now->ghost_known, now->thread[running].known);
	}
}

static uint64_t what_happened(void)
{
	struct thread *thread = &now->thread[running];

	if (position < thread->nr_log)
		return thread->log[position++];
	join(thread->known, now->ghost_known);
	log_add(thread, now->ghosts);
	return now->ghosts;
}

static void wrong(const char *what);

#include "programs.h"

static char *name_of(int at, char *name)
{
	const char *p = at < 0 ? NULL : address[at];

	if (!p)
		sprintf(name, "begin");
	else
		name_location(p, name);
	return name;
}

static void wrong(const char *what)
{
	static const char *const kinds[] = {"load", "store", "change", "exchange", "exchange", "wait", "wake", ""};
	char name[80];
	int i;

	printf("WRONG %s: %s\n", program_name, what);
	for (i = 0; i <= depth && i < DEPTH; i++)
		if (i < depth || running >= 0)
			printf("  %c  %-8s %-28s %#" PRIx64 "\n", 'A' + trace[i].thread, kinds[trace[i].access.kind],
			       name_of(trace[i].access.at, name), trace[i].result);
	exit(1);
}

// Runs a thread up to its next access; with `step` the one that it stands at is made.
static void run(int thread, bool step)
{
	int left;

	running = thread;
	position = 0;
	may_step = step;
	left = setjmp(out);
	if (!left) {
		thread_of_program(thread);
		now->thread[running].is_finished = true;
	}
	running = -1;
}

static uint64_t hash_of_state(void)
{
	uint64_t hash = now->ghosts;
	int i, j, k;

	for (i = 0; i < THREADS; i++) {
		hash = mix(hash, now->thread[i].hash + now->thread[i].is_asleep + 2U * now->thread[i].is_woken);
		for (k = 0; is_weak && k < nr_locations; k++)
			hash = mix(hash, now->thread[i].known[k]);
	}
	for (i = 0; i < nr_locations; i++) {
		if (!is_stored_to[i])
			continue;
		for (j = 0; j < now->nr_stores[i]; j++) {
			hash = mix(hash, now->value[j][i]);
			for (k = 0; is_weak && k < nr_locations; k++)
				hash = mix(hash, now->released[j][i][k]);
		}
		hash = mix(hash, now->strong[i] + 100U * now->last_is_weak[i]);
	}
	for (k = 0; is_weak && k < nr_locations; k++)
		hash = mix(hash, now->ghost_known[k]);
	return hash ? hash : 1;
}

static bool is_new(void)
{
	uint64_t hash = hash_of_state();
	uint32_t at = (uint32_t)hash & (STATES - 1);

	for (; visited[at]; at = (at + 1) & (STATES - 1))
		if (visited[at] == hash)
			return false;
	visited[at] = hash;
	if (++nr_states > STATES / 4 * 3) {
		puts("too many states");
		exit(2);
	}
	return true;
}

// How a thread's next access can go: choices from *first to the returned one, less 1.
static int choices(struct thread *thread, int *first)
{
	const struct access *a = &thread->next;

	*first = 0;
	if (thread->is_finished || thread->is_asleep)
		return 0;
	if (a->kind == LOAD) {
		*first = oldest(thread, a->at, a->order);
		return now->nr_stores[a->at];
	}
	if (a->kind == EXCHANGE_WEAK)
		return thread->has_failed || now->value[now->nr_stores[a->at] - 1][a->at] != a->seen ? 1 : 2;
	return 1;
}

// A thread at a futex whose word has the value goes to sleep; that is a step of its own.
static bool falls_asleep(struct thread *thread)
{
	const struct access *a = &thread->next;

	if (a->kind != WAIT || thread->is_woken || now->value[now->nr_stores[a->at] - 1][a->at] != a->seen)
		return false;
	thread->is_asleep = true;
	return true;
}

static void step(int thread, int chosen)
{
	int i;

	trace[depth].thread = thread;
	trace[depth].access = now->thread[thread].next;
	trace[depth].result = 0;
	if (falls_asleep(&now->thread[thread]))
		return;
	for (i = 0; has_plain_stores && i < THREADS; i++) // what others have stored without atomics, in this state
		if (i != thread)
			run(i, false);
	choice = chosen;
	run(thread, true);
}

static void search(void)
{
	struct state *here = &states[depth];
	int thread, first, chosen, last, nr_enabled = 0;
	bool all_finished = true;

	if (!is_new())
		return;
	for (thread = 0; thread < THREADS; thread++) {
		all_finished &= here->thread[thread].is_finished;
		now = here;
		last = choices(&here->thread[thread], &first);
		for (chosen = first; chosen < last; chosen++, nr_enabled++) {
			now = here + 1;
			memcpy(now, here, is_weak ? sizeof(*now) : offsetof(struct state, value[1]));
			step(thread, chosen);
			depth++;
			if (!again)
				search();
			depth--;
			if (again)
				return;
		}
	}
	now = here;
	if (all_finished)
		check_end();
	else if (!nr_enabled)
		wrong("threads sleep for ever");
}

// Searches once; false if it has to begin again.
static bool search_program(const struct program *p)
{
	int i;

	again = false;
	nr_states = 0;
	memset(visited, 0, STATES * sizeof(*visited));
	now = states;
	memset(now, 0, sizeof(*now));
	for (i = 0; i < LOCATIONS; i++)
		now->nr_stores[i] = 1;
	begin_program(p);
	for (i = 0; i < THREADS && !again; i++)
		run(i, false);
	if (!again)
		search();
	return !again;
}

static void explore(const struct program *p)
{
	nr_locations = 0;
	is_weak = false;
	memset(is_stored_to, 0, sizeof(is_stored_to));
	program_name = p->name;
	while (!search_program(p))
		;
	printf("%-20s %9" PRIu64 " states%s\n", p->name, nr_states, is_weak ? ", weak" : "");
}

int main(int argc, char **argv)
{
	size_t i;

	setvbuf(stdout, NULL, _IOLBF, 0);
	visited = calloc(STATES, sizeof(*visited));
	if (!visited)
		return 2;
	for (i = 0; i < sizeof(programs) / sizeof(programs[0]); i++)
		if (argc < 2 || !strcmp(argv[1], programs[i].name))
			explore(&programs[i]);
	return 0;
}
