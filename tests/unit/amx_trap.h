/* Runs the tile instructions of AMX on processors of x86-64 that lack them: each raises SIGILL, whose handler
 * carries it out by amx_emulator.h and goes on behind it. So tests run the very machine code of the library.
 */
#ifndef LEAVEOUT_TESTS_AMX_TRAP_H
#define LEAVEOUT_TESTS_AMX_TRAP_H

#include "amx_emulator.h"

#include <signal.h>
#include <ucontext.h>

static inline uint64_t amx_register(const ucontext_t *context, unsigned number)
{
    static const int names[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
                                  REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};
    return (uint64_t)context->uc_mcontext.gregs[names[number]];
}

/* The operand in memory of the instruction whose ModRM byte is at `code`; *index: the value of the index
 * register, which a tile's operand has for its step; *end: behind the operand. */
static inline uint64_t amx_address(const ucontext_t *context, const uint8_t *code, unsigned x, unsigned b,
                                   uint64_t *index, const uint8_t **end)
{
    const unsigned mode = code[0] >> 6, rm = code[0] & 7;
    uint64_t address = 0;
    bool wide = mode == 2;
    *index = 0;
    code++;
    if (rm == 4) {
        const unsigned sib = *code++, base = sib & 7;
        if ((sib >> 3 & 7) + 8 * x != 4) {
            *index = amx_register(context, (sib >> 3 & 7) + 8 * x) << (sib >> 6);
        }
        if (base == 5 && mode == 0) {
            wide = true;
        } else {
            address = amx_register(context, base + 8 * b);
        }
    } else if (rm == 5 && mode == 0) {
        amx_demand(false, "an address relative to the instruction, which no compiler gave so far");
    } else {
        address = amx_register(context, rm + 8 * b);
    }
    if (wide) {
        int32_t offset;
        memcpy(&offset, code, sizeof(offset));
        address += (uint64_t)(int64_t)offset;
        code += 4;
    } else if (mode == 1) {
        address += (uint64_t)(int64_t)(int8_t)*code++;
    }
    *end = code;
    return address;
}

static inline void amx_trap(int signal_number, siginfo_t *info, void *context_pointer)
{
    (void)signal_number;
    (void)info;
    ucontext_t *context = context_pointer;
    const uint8_t *code = (const uint8_t *)(uintptr_t)context->uc_mcontext.gregs[REG_RIP], *end = code + 5;
    amx_demand(code[0] == 0xc4 && (code[1] & 0x1f) == 2 && (code[2] & 0x84) == 0,
               "not an instruction of AMX");
    const unsigned x = (code[1] & 0x40) == 0, b = (code[1] & 0x20) == 0;
    const unsigned third = ~(code[2] >> 3) & 15, prefix = code[2] & 3; /* 0: none, 1: 66, 2: F3, 3: F2 */
    const int reg = code[4] >> 3 & 7, rm = code[4] & 7;
    const bool memory = code[4] >> 6 != 3;
    uint64_t index = 0, address = 0;
    if (memory) {
        address = amx_address(context, code + 4, x, b, &index, &end);
    }
    void *at = (void *)(uintptr_t)address;
    if (code[3] == 0x49 && prefix == 0 && memory) {
        amx_configure((const uint8_t *)at + index);
    } else if (code[3] == 0x49 && prefix == 0 && code[4] == 0xc0) {
        amx_release();
    } else if (code[3] == 0x49 && prefix == 3 && !memory && rm == 0) {
        amx_zero(reg);
    } else if (code[3] == 0x4b && prefix == 3 && memory && rm == 4) {
        amx_load(reg, at, (ptrdiff_t)index);
    } else if (code[3] == 0x4b && prefix == 2 && memory && rm == 4) {
        amx_store(reg, at, (ptrdiff_t)index);
    } else if (code[3] == 0x5c && prefix == 2 && !memory) {
        amx_multiply(reg, rm, (int)third);
    } else {
        amx_demand(false, "an instruction that the library was not known to use");
    }
    context->uc_mcontext.gregs[REG_RIP] = (greg_t)(uintptr_t)end;
}

static inline void amx_trap_begin(void)
{
    struct sigaction action = {.sa_sigaction = amx_trap, .sa_flags = SA_SIGINFO | SA_NODEFER};
    amx_demand(sigaction(SIGILL, &action, NULL) == 0, "no handler");
}

#endif
