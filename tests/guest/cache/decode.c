// SPDX-License-Identifier: BSD-3-Clause
// decode.c: see decode.h. Encodings: Intel SDM volume 2, chapter 2 and the pages of the instructions.
#include "decode.h"

#include <string.h>

#include "promise.h"

struct prefixes {
	bool lock, operand_size, repeat, is_32bit;
	char segment;
	uint8_t rex;
};

// Returns how many bytes are prefixes.
static size_t prefixes_read(const uint8_t *code, size_t len, struct prefixes *out)
{
	size_t at;

	*out = (struct prefixes){0};
	for (at = 0; at < len; at++) {
		switch (code[at]) {
		case 0xf0:
			out->lock = true;
			break;
		case 0x66:
			out->operand_size = true;
			break;
		case 0x67:
			out->is_32bit = true;
			break;
		case 0xf2:
		case 0xf3:
			out->repeat = true;
			break;
		case 0x64:
			out->segment = 'f';
			break;
		case 0x65:
			out->segment = 'g';
			break;
		case 0x26:
		case 0x2e:
		case 0x36:
		case 0x3e:
			break; // no meaning in 64-bit code
		default:
			if ((code[at] & 0xf0) == 0x40)
				out->rex = code[at++];
			return at;
		}
	}
	return at;
}

// The memory operand behind the opcode. False: a register, or the code is cut off.
static bool operand_read(const uint8_t *modrm, size_t len, const struct prefixes *prefixes, struct operand *out)
{
	uint8_t mod, rm, sib;
	size_t size = 0;

	if (!len || (modrm[0] >> 6) == 3)
		return false;
	mod = modrm[0] >> 6;
	rm = modrm[0] & 7;
	*out = (struct operand){.base = (uint8_t)(rm | (prefixes->rex & 1) << 3),
				.index = NO_REGISTER,
				.segment = prefixes->segment,
				.is_32bit = prefixes->is_32bit};
	modrm++;
	len--;
	if (rm == 4) {
		if (!len)
			return false;
		sib = *modrm++;
		len--;
		out->scale = sib >> 6;
		out->index = (uint8_t)((sib >> 3 & 7) | (prefixes->rex & 2) << 2);
		if (out->index == 4)
			out->index = NO_REGISTER;
		out->base = (uint8_t)((sib & 7) | (prefixes->rex & 1) << 3);
		if (!mod && (sib & 7) == 5) {
			out->base = NO_REGISTER;
			size = 4;
		}
	} else if (!mod && rm == 5) {
		out->base = RIP_RELATIVE;
		size = 4;
	}
	if (mod)
		size = mod == 1 ? 1 : 4;
	if (len < size)
		return false;
	if (size == 1)
		out->displacement = (int8_t)modrm[0];
	else if (size)
		memcpy(&out->displacement, modrm, 4);
	return true;
}

// 0F AE: fences where the operand is a register, flushes and the saving of registers where it is memory.
static enum kind group_15(const uint8_t *modrm, size_t len, const struct prefixes *prefixes, struct operand *operand)
{
	uint8_t reg;

	if (!len || prefixes->repeat)
		return OTHER;
	reg = modrm[0] >> 3 & 7;
	if (modrm[0] >> 6 == 3)
		return (reg == 6 || reg == 7) && !prefixes->operand_size ? FENCE : OTHER; // MFENCE, SFENCE
	if (reg == 7 || (reg == 6 && prefixes->operand_size)) // CLFLUSH and CLFLUSHOPT; CLWB
		return operand_read(modrm, len, prefixes, operand) ? WRITE_BACK : OTHER;
	return OTHER;
}

static bool is_memory(const uint8_t *modrm, size_t len)
{
	return len && modrm[0] >> 6 != 3;
}

static bool is_promise(const uint8_t *modrm, size_t len)
{
	int32_t displacement;

	if (len < 1 + sizeof(displacement) || modrm[0] != 0x80) // a displacement of 32 bits, RAX
		return false;
	memcpy(&displacement, modrm + 1, sizeof(displacement));
	return displacement == PROMISE_DISPLACEMENT;
}

static enum kind two_bytes(const uint8_t *code, size_t len, const struct prefixes *prefixes, struct operand *operand)
{
	switch (code[0]) {
	case 0xae:
		return group_15(code + 1, len - 1, prefixes, operand);
	case 0x2b: // MOVNTPS, MOVNTPD
	case 0xc3: // MOVNTI
	case 0xe7: // MOVNTQ, MOVNTDQ
		return is_memory(code + 1, len - 1) ? NON_TEMPORAL : OTHER;
	case 0x1f: // NOP
		return is_promise(code + 1, len - 1) ? PROMISE : OTHER;
	case 0xa2: // CPUID
	case 0x30: // WRMSR
	case 0x22: // MOV to a control register
	case 0x23: // and to a debug register
	case 0x08: // INVD
	case 0x09: // WBINVD
	case 0xaa: // RSM
		return FENCE;
	case 0x01: // INVLPG, LGDT, LIDT, LMSW; XSETBV and the like are registers
		return is_memory(code + 1, len - 1) && (code[1] >> 3 & 7) != 0 && (code[1] >> 3 & 7) != 1 ? FENCE
													  : OTHER;
	default:
		return OTHER;
	}
}

static enum kind vex(const uint8_t *code, size_t len)
{
	size_t opcode = code[0] == 0xc5 ? 2 : 3;

	if (len < opcode + 2 || (code[0] == 0xc4 && (code[1] & 0x1f) != 1))
		return OTHER;
	return (code[opcode] == 0xe7 || code[opcode] == 0x2b) && is_memory(code + opcode + 1, len - opcode - 1)
		       ? NON_TEMPORAL
		       : OTHER;
}

enum kind decode(const uint8_t *code, size_t len, struct operand *operand)
{
	struct prefixes prefixes;
	size_t at = prefixes_read(code, len, &prefixes);

	code += at;
	len -= at;
	if (!len)
		return OTHER;
	if (prefixes.lock)
		return FENCE;
	if (code[0] == 0xc4 || code[0] == 0xc5)
		return vex(code, len);
	if ((code[0] == 0x86 || code[0] == 0x87) && is_memory(code + 1, len - 1)) // XCHG locks by itself
		return FENCE;
	if (code[0] == 0xcf) // IRET
		return FENCE;
	return code[0] == 0x0f && len > 1 ? two_bytes(code + 1, len - 1, &prefixes, operand) : OTHER;
}
