// SPDX-License-Identifier: BSD-3-Clause
// cache.c: a TCG plugin for QEMU that keeps a durable copy of each NVDIMM.
//
// The guest's stores reach its memory at once. A line reaches the durable copy only when it was written back (CLWB,
// CLFLUSHOPT, CLFLUSH, or a non-temporal store) and the same virtual CPU has then executed a fence. What the line held
// when it was written back is what becomes durable.
//
//   -plugin libcache.so,ram=FILE,pending=FILE,nvdimm=START:SIZE:FILE[,nvdimm=...]
//
// ram: the file behind the guest's memory, which begins at address 0. nvdimm: an NVDIMM at the physical address START;
// its durable copy is FILE.durable. pending: where it keeps what was written back and not fenced, for `cut`.
//
// TCG carries CLWB out as nothing and reports no access, so the plugin takes the operand's address from the registers
// and walks the guest's page tables itself.
//
// CONCURRENCY
//   Each virtual CPU has a thread of QEMU's to itself, which it is known by: what QEMU says about the number of the CPU is
//   a constant in code that was translated for one CPU alone, and other CPUs run that code as well. What a line holds and
//   when that was, is one thing under `lock`: two CPUs may write one line back, and the older content must not come
//   out on top because its fence came later.
//
// LIMITS
//   Four-level page tables (-cpu la57=off). A line may become durable without having been written back (an eviction):
//   that is `cut`'s coin, not this file's. Writes by devices do not pass through here; NVDIMMs get none.
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "decode.h"
#include "durable.h"
#include "plugin_api.h"
#include "promises.h"
#include "simulation.h"

#define MAX_CODE 15
#define NR_GENERAL 16
#define FRAME 0x000ffffffffff000ULL // the physical address in an entry of a page table, and in CR3

EXPORTED int qemu_plugin_version = PLUGIN_VERSION;
EXPORTED int qemu_plugin_install(qemu_plugin_id_t id, const struct qemu_info_t *info, int argc, char **argv);

struct nvdimm {
	uint64_t start, size;
	const uint8_t *image; // as the guest sees it
	uint8_t *durable;
};

static struct nvdimm nvdimms[MAX_NVDIMMS];
static unsigned nr_nvdimms;
static const uint8_t *ram;
static uint64_t ram_size;
static struct pending_file *pending;

enum { CR3 = NR_GENERAL, FS_BASE, GS_BASE, NR_REGISTERS };
static const char *const register_names[NR_REGISTERS] = {
	"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",     "r8",      "r9",
	"r10", "r11", "r12", "r13", "r14", "r15", "cr3", "fs_base", "gs_base",
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static _Thread_local struct pending *mine;                   // this virtual CPU's
static struct qemu_plugin_register *registers[NR_REGISTERS]; // the same handles for every CPU
static _Thread_local GByteArray *value;

static void die(const char *what, const char *name)
{
	fprintf(stderr, "cache: %s: %s\n", name, what);
	exit(1);
}

static uint64_t register_get(unsigned nr)
{
	uint64_t result = 0;

	if (!value)
		value = g_byte_array_new();
	g_byte_array_set_size(value, 0);
	if (qemu_plugin_read_register(registers[nr], value) < 8)
		die("cannot be read", register_names[nr]);
	memcpy(&result, value->data, sizeof(result));
	return result;
}

static uint64_t ram_entry(uint64_t addr)
{
	uint64_t entry = 0;

	if (addr + sizeof(entry) <= ram_size)
		memcpy(&entry, ram + addr, sizeof(entry));
	return entry;
}

// The physical address of a virtual one. False: nothing is mapped there.
static bool walk(uint64_t vaddr, uint64_t *paddr)
{
	uint64_t entry = register_get(CR3);
	unsigned shift;

	for (shift = 39;; shift -= 9) {
		entry = ram_entry((entry & FRAME) + (vaddr >> shift & 511) * 8);
		if (!(entry & 1))
			return false;
		if (shift == 12 || (shift < 39 && entry & 0x80)) { // a page of 4 KiB, 2 MiB or 1 GiB
			uint64_t offset = (1ULL << shift) - 1;

			*paddr = (entry & FRAME & ~offset) | (vaddr & offset);
			return true;
		}
	}
}

// The NVDIMM at a physical address, or nr_nvdimms.
static unsigned nvdimm_at(uint64_t paddr)
{
	unsigned i = 0;

	while (i < nr_nvdimms && (paddr < nvdimms[i].start || paddr >= nvdimms[i].start + nvdimms[i].size))
		i++;
	return i;
}

// The line at a physical address is on its way: what it holds now becomes durable at this CPU's next fence.
static void written_back(uint64_t paddr, bool copied)
{
	unsigned i = nvdimm_at(paddr);
	struct pending_line *line;

	if (i == nr_nvdimms)
		return;
	if (mine->nr == PENDING_LINES)
		die("too many lines without a fence", "pending");
	line = &mine->line[mine->nr];
	line->nvdimm = i;
	line->copied = copied;
	line->off = (paddr & ~(uint64_t)(LINE - 1)) - nvdimms[i].start;
	pthread_mutex_lock(&lock);
	line->time = ++pending->time;
	memcpy(line->data, nvdimms[i].image + line->off, LINE);
	pthread_mutex_unlock(&lock);
	mine->nr++;
}

uint64_t simulation_register(unsigned nr)
{
	return register_get(nr);
}

uint64_t simulation_process(void)
{
	return register_get(CR3) & FRAME;
}

bool simulation_place(uint64_t vaddr, struct place *place)
{
	uint64_t paddr;

	if (!walk(vaddr, &paddr))
		return false;
	place->nvdimm = nvdimm_at(paddr);
	if (place->nvdimm == nr_nvdimms)
		return false;
	place->off = paddr - nvdimms[place->nvdimm].start;
	return true;
}

uint64_t simulation_time(void)
{
	uint64_t time;

	pthread_mutex_lock(&lock);
	time = pending->time;
	pthread_mutex_unlock(&lock);
	return time;
}

const uint8_t *simulation_image(const struct place *place)
{
	return nvdimms[place->nvdimm].image + place->off;
}

bool simulation_is_durable(const struct place *place, unsigned line, const uint8_t *data, uint64_t since)
{
	uint64_t off = place->off + (uint64_t)line * LINE;
	bool is_durable;

	pthread_mutex_lock(&lock);
	is_durable = pending->durable_time[place->nvdimm][off / LINE] > since ||
		     !memcmp(nvdimms[place->nvdimm].durable + off, data, LINE);
	pthread_mutex_unlock(&lock);
	return is_durable;
}

struct site {
	struct operand operand;
	uint64_t next; // the address of the next instruction
};

static uint64_t operand_addr(const struct site *site)
{
	const struct operand *operand = &site->operand;
	uint64_t addr = (uint64_t)(int64_t)operand->displacement;

	if (operand->base == RIP_RELATIVE)
		addr += site->next;
	else if (operand->base != NO_REGISTER)
		addr += register_get(operand->base);
	if (operand->index != NO_REGISTER)
		addr += register_get(operand->index) << operand->scale;
	if (operand->is_32bit)
		addr &= UINT32_MAX;
	if (operand->segment)
		addr += register_get(operand->segment == 'f' ? FS_BASE : GS_BASE);
	return addr;
}

static void on_write_back(unsigned vcpu, void *data)
{
	uint64_t vaddr = operand_addr(data), paddr;

	(void)vcpu;
	if (walk(vaddr, &paddr))
		written_back(paddr, false);
	else
		promises_unmapped(vaddr);
}

static void on_non_temporal(unsigned vcpu, uint32_t info, uint64_t vaddr, void *data)
{
	struct qemu_plugin_hwaddr *hwaddr = qemu_plugin_get_hwaddr(info, vaddr);
	uint64_t paddr, last;

	(void)vcpu;
	(void)data;
	if (hwaddr && !qemu_plugin_hwaddr_is_io(hwaddr))
		paddr = qemu_plugin_hwaddr_phys_addr(hwaddr);
	else if (hwaddr || !walk(vaddr, &paddr)) // QEMU may have dropped its own translation meanwhile
		return;
	last = paddr + (1ULL << qemu_plugin_mem_size_shift(info)) - 1;
	written_back(paddr, true);
	if ((paddr ^ last) & ~(uint64_t)(LINE - 1))
		written_back(last, true);
}

static void become_durable(const struct pending_line *line)
{
	uint64_t *time = &pending->durable_time[line->nvdimm][line->off / LINE];

	if (*time > line->time)
		return;
	*time = line->time;
	memcpy(nvdimms[line->nvdimm].durable + line->off, line->data, LINE);
}

static void on_promise(unsigned vcpu, void *data)
{
	(void)vcpu;
	(void)data;
	promises_told();
}

static void on_end(qemu_plugin_id_t id, void *data)
{
	(void)id;
	(void)data;
	promises_sum_up();
}

static void on_fence(unsigned vcpu, void *data)
{
	uint64_t i;

	(void)vcpu;
	(void)data;
	if (!mine->nr)
		return;
	pthread_mutex_lock(&lock);
	for (i = 0; i < mine->nr; i++)
		become_durable(&mine->line[i]);
	pthread_mutex_unlock(&lock);
	mine->nr = 0;
}

// Sites live as long as QEMU: it may keep a translation for good, and tells nobody when it drops one.
static void instrument(struct qemu_plugin_insn *insn)
{
	uint8_t code[MAX_CODE];
	size_t len = qemu_plugin_insn_data(insn, code, sizeof(code));
	struct operand operand;
	struct site *site;

	switch (decode(code, len, &operand)) {
	case WRITE_BACK:
		site = malloc(sizeof(*site));
		if (!site)
			die("no memory", "plugin");
		*site = (struct site){operand, qemu_plugin_insn_vaddr(insn) + qemu_plugin_insn_size(insn)};
		qemu_plugin_register_vcpu_insn_exec_cb(insn, on_write_back, QEMU_PLUGIN_CB_R_REGS, site);
		break;
	case NON_TEMPORAL:
		qemu_plugin_register_vcpu_mem_cb(insn, on_non_temporal, QEMU_PLUGIN_CB_R_REGS, QEMU_PLUGIN_MEM_W, NULL);
		break;
	case FENCE:
		qemu_plugin_register_vcpu_insn_exec_cb(insn, on_fence, QEMU_PLUGIN_CB_NO_REGS, NULL);
		break;
	case PROMISE:
		qemu_plugin_register_vcpu_insn_exec_cb(insn, on_promise, QEMU_PLUGIN_CB_R_REGS, NULL);
		break;
	case OTHER:
		break;
	}
}

static void on_translation(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
	size_t i, nr = qemu_plugin_tb_n_insns(tb);

	(void)id;
	for (i = 0; i < nr; i++)
		instrument(qemu_plugin_tb_get_insn(tb, i));
}

static void on_cpu(qemu_plugin_id_t id, unsigned vcpu)
{
	GArray *all = qemu_plugin_get_registers();
	const qemu_plugin_reg_descriptor *each = (const void *)all->data;
	unsigned i, nr;

	(void)id;
	if (vcpu >= MAX_CPUS)
		die("too many virtual CPUs", "plugin");
	mine = &pending->cpu[vcpu];
	for (nr = 0; nr < NR_REGISTERS; nr++) {
		for (i = 0; i < all->len && !registers[nr]; i++)
			if (!strcmp(each[i].name, register_names[nr]))
				registers[nr] = each[i].handle;
		if (!registers[nr])
			die("there is no such register", register_names[nr]);
	}
	g_array_free(all, 1);
}

static void *map(const char *path, int flags, uint64_t *size)
{
	int fd = open(path, flags | O_CLOEXEC, 0600);
	struct stat st;
	void *addr;

	if (fd < 0)
		die("cannot be opened", path);
	if (flags & O_CREAT && ftruncate(fd, (off_t)*size))
		die("cannot be made as large as it has to be", path);
	if (fstat(fd, &st))
		die("cannot be looked at", path);
	*size = (uint64_t)st.st_size;
	addr = mmap(NULL, *size, (flags & O_ACCMODE) == O_RDWR ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED, fd, 0);
	if (addr == MAP_FAILED)
		die("cannot be mapped", path);
	close(fd);
	return addr;
}

static void range_parse(const char *text, uint64_t *start, uint64_t *size, char **rest)
{
	*start = strtoull(text, rest, 0);
	if (**rest == ':')
		*size = strtoull(*rest + 1, rest, 0);
	if (!*size)
		die("START:SIZE is needed", text);
}

static void nvdimm_add(const char *text)
{
	struct nvdimm *nvdimm = &nvdimms[nr_nvdimms++];
	char *path, durable[4096];
	uint64_t size;

	if (nr_nvdimms > MAX_NVDIMMS)
		die("too many NVDIMMs", text);
	range_parse(text, &nvdimm->start, &nvdimm->size, &path);
	if (*path != ':')
		die("START:SIZE:FILE is needed", text);
	nvdimm->image = map(++path, O_RDONLY, &size);
	if (size != nvdimm->size || size > (uint64_t)MAX_LINES * LINE)
		die("has another size", path);
	snprintf(durable, sizeof(durable), "%s.durable", path);
	if (access(durable, F_OK))
		die("is not there: make it a copy of the image", durable);
	nvdimm->durable = map(durable, O_RDWR, &size);
	if (size != nvdimm->size)
		die("has another size", durable);
}

static void argument_read(const char *argument)
{
	uint64_t size = sizeof(struct pending_file);

	if (!strncmp(argument, "ram=", 4)) {
		ram = map(argument + 4, O_RDONLY, &ram_size);
	} else if (!strncmp(argument, "pending=", 8)) {
		pending = map(argument + 8, O_RDWR | O_CREAT | O_TRUNC, &size);
	} else if (!strncmp(argument, "nvdimm=", 7)) {
		nvdimm_add(argument + 7);
	} else {
		die("is no option", argument);
	}
}

int qemu_plugin_install(qemu_plugin_id_t id, const struct qemu_info_t *info, int argc, char **argv)
{
	int i;

	(void)info;
	for (i = 0; i < argc; i++)
		argument_read(argv[i]);
	if (!ram || !pending || !nr_nvdimms)
		die("ram=, pending= and nvdimm= are needed", "plugin");
	qemu_plugin_register_vcpu_init_cb(id, on_cpu);
	qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
	qemu_plugin_register_atexit_cb(id, on_end, NULL);
	return 0;
}
