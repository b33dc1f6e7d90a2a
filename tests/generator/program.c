// SPDX-License-Identifier: BSD-3-Clause
// program.c: a sequence as a C program, which shows the same under the shim and says what each call has returned, so
// that its output can be compared with that of the kernel.
#include "sequence.h"

static const char head[] =
	"#define _GNU_SOURCE\n"
	"#include <errno.h>\n"
	"#include <fcntl.h>\n"
	"#include <setjmp.h>\n"
	"#include <signal.h>\n"
	"#include <stdio.h>\n"
	"#include <stdlib.h>\n"
	"#include <string.h>\n"
	"#include <sys/mman.h>\n"
	"#include <sys/wait.h>\n"
	"#include <unistd.h>\n"
	"\n"
	"#define P 4096L\n"
	"#define CALL(call) (errno = 0, printf(\"%s: %s\\n\", #call, (long)(call) == -1 ? strerror(errno) : "
	"\"done\"))\n"
	"#define MAP(to, call) (to = (call), printf(\"%s: %s\\n\", #call, to == MAP_FAILED ? strerror(errno) : "
	"\"done\"))\n"
	"\n"
	"static sigjmp_buf back;\n"
	"static char *a, *b, *c, *gone;\n"
	"\n"
	"static void caught(int sig) { siglongjmp(back, sig); }\n"
	"\n"
	"static int store(char *at, int value)\n"
	"{\n"
	"\tint sig = sigsetjmp(back, 1);\n"
	"\n"
	"\tif (!sig)\n"
	"\t\t*(volatile char *)at = (char)value;\n"
	"\telse\n"
	"\t\tprintf(\"signal %d\\n\", sig);\n"
	"\treturn sig;\n"
	"}\n"
	"\n"
	"static char data[20000];\n"
	"static const void *bytes(int value) { return memset(data, value, sizeof(data)); }\n"
	"static void *none(char *at, size_t len) { return mmap(at, len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | "
	"(at ? MAP_FIXED : 0), -1, 0); }\n"
	"\n"
	"int main(void)\n"
	"{\n"
	"\tint fd = memfd_create(\"file\", 0), source = open(\"/proc/self/exe\", O_RDONLY);\n"
	"\n"
	"\tsignal(SIGBUS, caught);\n"
	"\tsignal(SIGSEGV, caught);\n";

static void stores_print(FILE *to, char name, const struct slot *slot, int value)
{
	int i;

	for (i = 0; i < slot->len; i++)
		if (slot->mapped & 1U << i)
			fprintf(to, "\tstore(%c + %d * P, %d);\n", name, i, value);
}

static void fork_print(FILE *to, char name, const struct slot *slot, const struct op *op, unsigned id)
{
	fprintf(to, "\tif (!fork()) {\n\t\tstore(%c + %d * P, %u);\n", name, op->a, id);
	if (op->b)
		fprintf(to, "\t\tCALL(msync(%c, %d * P, MS_SYNC));\n", name, slot->len);
	fprintf(to, "\t\tfflush(stdout);\n\t\t_exit(0);\n\t}\n\twait(NULL);\n");
}

static void unmap_print(FILE *to, char name, const struct slot *slot, const struct op *op)
{
	fprintf(to, "\tCALL(munmap(%c + %d * P, %d * P));\n", name, op->a, op->b ? op->b : slot->len);
	if (op->b)
		fprintf(to, "\tnone(%c + %d * P, %d * P); // nothing else is to come there\n", name, op->a, op->b);
}

// What changes mappings. False: the operation is another.
static bool mapping_print(FILE *to, const struct layout *layout, const struct op *op)
{
	const struct slot *slot = &layout->slot[op->slot];
	char name = (char)('a' + (op->kind == MAP ? layout_free_slot(layout) : op->slot));

	switch (op->kind) {
	case MAP:
		fprintf(to, "\tMAP(%c, mmap(NULL, %d * P, PROT_READ | PROT_WRITE, MAP_SHARED, fd, %d * P));\n", name,
			op->b, op->a);
		break;
	case MAP_OVER:
		fprintf(to,
			"\tMAP(gone, mmap(%c + %d * P, %d * P, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, %d "
			"* P));\n",
			name, op->a, op->b, slot->first + op->a);
		break;
	case REMAP:
		fprintf(to, "\tMAP(%c, mremap(%c, %d * P, %d * P, MREMAP_MAYMOVE));\n", name, name, slot->len, op->a);
		break;
	case MOVE:
		fprintf(to,
			"\tMAP(%c, mremap(%c, %d * P, %d * P, MREMAP_MAYMOVE | MREMAP_FIXED, none(NULL, %d * P)));\n",
			name, name, slot->len, slot->len, slot->len);
		break;
	case UNMAP:
		unmap_print(to, name, slot, op);
		break;
	case PROTECT:
		fprintf(to, "\tCALL(mprotect(%c, %d * P, PROT_READ%s));\n", name, slot->len,
			op->a ? " | PROT_WRITE" : "");
		break;
	default:
		return false;
	}
	return true;
}

static void op_print(FILE *to, const struct layout *layout, const struct op *op, unsigned id)
{
	const struct slot *slot = &layout->slot[op->slot];
	int nr = op->b ? op->b : slot->len;
	char name = (char)('a' + op->slot);

	if (mapping_print(to, layout, op))
		return;
	switch (op->kind) {
	case STORE:
		fprintf(to, "\tstore(%c + %d * P + %u, %u);\n", name, op->a, id % 60 * 64 + 8, id);
		break;
	case STORE_ALL:
		stores_print(to, name, slot, (int)id);
		break;
	case MSYNC:
		fprintf(to, "\tCALL(msync(%c + %d * P, %d * P, MS_SYNC));\n", name, op->a, nr);
		break;
	case FSYNC:
		fprintf(to, "\tCALL(fsync(fd));\n");
		break;
	case FDATASYNC:
		fprintf(to, "\tCALL(fdatasync(fd));\n");
		break;
	case RESIZE:
		fprintf(to, "\tCALL(ftruncate(fd, %d * P + %d));\n", op->a, op->b);
		break;
	case PUNCH:
		fprintf(to, "\tCALL(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, %d * P, %d * P));\n",
			op->a, op->b);
		break;
	case ALLOCATE:
		fprintf(to, "\tCALL(fallocate(fd, 0, %d * P, %d * P));\n", op->a, op->b);
		break;
	case FORK:
		fork_print(to, name, slot, op, id);
		break;
	case PWRITE:
		fprintf(to, "\tCALL(pwrite(fd, bytes(%u), %d, %d));\n", id, op->b, op->a);
		break;
	case READ:
		fprintf(to, "\tCALL(pread(source, %c + %d * P + %d, %d, %u));\n", name, op->a, READ_AT, op->b, id);
		break;
	case REMOVE:
		fprintf(to, "\tCALL(madvise(%c + %d * P, %d * P, MADV_REMOVE));\n", name, op->a, nr);
		break;
	default:
		break;
	}
}

static void end_print(FILE *to, const struct layout *layout)
{
	int slot;

	fprintf(to, "\t// What every sequence ends with.\n\tCALL(fsync(fd));\n");
	for (slot = 0; slot < SLOTS; slot++)
		stores_print(to, (char)('a' + slot), &layout->slot[slot], 100 + slot);
	for (slot = 0; slot < SLOTS; slot++)
		if (layout->slot[slot].mapped)
			fprintf(to, "\tCALL(msync(%c, %d * P, MS_SYNC));\n", 'a' + slot, layout->slot[slot].len);
	fprintf(to, "\treturn 0;\n}\n");
}

void program_print(FILE *to, const struct sequence *sequence)
{
	struct layout layout = {0};
	unsigned i;

	fprintf(to, "%s\tCALL(ftruncate(fd, %d * P));\n\tCALL(pwrite(fd, bytes('A'), %ld, 0));\n", head, FILE_PAGES,
		DATA_PAGES * PAGE);
	for (i = 0; i < sequence->len; i++) {
		const struct op *op = &ops[sequence->op[i]];

		op_print(to, &layout, op, i + 1);
		layout_apply(&layout, op);
	}
	end_print(to, &layout);
}
