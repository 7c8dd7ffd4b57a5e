#include "base/random.h"

#include <Random123/philox.h>
#include <math.h>

static void philox(const uint32_t key[2], const uint32_t counter[4], uint32_t out[4])
{
    const philox4x32_ctr_t c = {{counter[0], counter[1], counter[2], counter[3]}};
    const philox4x32_key_t k = {{key[0], key[1]}};
    const philox4x32_ctr_t r = philox4x32(c, k);
    for (int lane = 0; lane < 4; lane++) {
        out[lane] = r.v[lane];
    }
}

lo_random lo_random_make(uint64_t seed, lo_purpose purpose)
{
    /* "leaveout" in ASCII keys the derivation, so that no stream is Philox of a bare seed. */
    const uint32_t name[2] = {0x6c656176U, 0x656f7574U};
    const uint32_t counter[4] = {(uint32_t)seed, (uint32_t)(seed >> 32), (uint32_t)purpose, 0};
    uint32_t out[4];
    philox(name, counter, out);
    return (lo_random){{out[0], out[1]}};
}

void lo_random_u32x4(lo_random random, uint64_t a, uint64_t b, uint32_t out[4])
{
    const uint32_t counter[4] = {(uint32_t)a, (uint32_t)(a >> 32), (uint32_t)b, (uint32_t)(b >> 32)};
    philox(random.key, counter, out);
}

uint64_t lo_random_u64(lo_random random, uint64_t a, uint64_t b)
{
    uint32_t out[4];
    lo_random_u32x4(random, a, b, out);
    return (uint64_t)out[1] << 32 | out[0];
}

float lo_random_unit(lo_random random, uint64_t a, uint64_t b)
{
    uint32_t out[4];
    lo_random_u32x4(random, a, b, out);
    return (float)(out[0] >> 8) * 0x1p-24F;
}

float lo_random_normal(lo_random random, uint64_t a, uint64_t b)
{
    uint32_t bits[4];
    lo_random_u32x4(random, a, b, bits);
    const double radius = sqrt(-2 * log(((double)bits[0] + 0.5) * 0x1p-32));
    return (float)(radius * cos(2 * M_PI * (double)bits[1] * 0x1p-32));
}

uint64_t lo_random_below(lo_random random, uint64_t a, uint64_t b, uint64_t n)
{
    return (uint64_t)(((unsigned __int128)lo_random_u64(random, a, b) * n) >> 64);
}

lo_permutation lo_permutation_make(lo_random random, uint64_t stream, uint64_t n)
{
    lo_permutation p = {.n = n};
    uint32_t bits = 8; /* narrower networks mix visibly worse; walking back into a small range is cheap */
    while (bits < 64 && (1ULL << bits) < n) {
        bits++;
    }
    p.right_bits = (bits + 1) / 2;
    p.mask[0] = (uint32_t)((1ULL << (bits / 2)) - 1);
    p.mask[1] = (uint32_t)((1ULL << p.right_bits) - 1);
    lo_random_u32x4(random, stream, 0, p.round_key);
    lo_random_u32x4(random, stream, 1, p.round_key + 4);
    return p;
}

/* The finalizer of MurmurHash3: enough mixing for a Feistel round, and cheap. */
static inline uint32_t mix(uint32_t x)
{
    x ^= x >> 16;
    x *= 0x85ebca6bU;
    x ^= x >> 13;
    x *= 0xc2b2ae35U;
    x ^= x >> 16;
    return x;
}

uint64_t lo_permutation_at(const lo_permutation *permutation, uint64_t i)
{
    const lo_permutation *p = permutation;
    do {
        uint32_t left = (uint32_t)(i >> p->right_bits) & p->mask[0];
        uint32_t right = (uint32_t)i & p->mask[1];
        /* Halves of unequal size change places in every round, so that after an even number they are back. */
        for (int round = 0; round < 8; round++) {
            const uint32_t next = left ^ (mix(right ^ p->round_key[round]) & p->mask[round & 1]);
            left = right;
            right = next;
        }
        i = (uint64_t)left << p->right_bits | right;
    } while (i >= p->n);
    return i;
}
