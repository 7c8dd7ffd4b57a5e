#include "base/sha256.h"

#include <stdio.h>
#include <string.h>

static const uint32_t constants[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

static uint32_t turn(uint32_t x, int bits)
{
    return x >> bits | x << (32 - bits);
}

static void take_block(lo_sha256 *sha, const uint8_t *p)
{
    uint32_t w[64], s[8];
    for (int i = 0; i < 16; i++) {
        w[i] = (uint32_t)p[4 * i] << 24 | (uint32_t)p[4 * i + 1] << 16 | (uint32_t)p[4 * i + 2] << 8 |
               p[4 * i + 3];
    }
    for (int i = 16; i < 64; i++) {
        const uint32_t a = w[i - 15], b = w[i - 2];
        w[i] = w[i - 16] + (turn(a, 7) ^ turn(a, 18) ^ a >> 3) + w[i - 7] +
               (turn(b, 17) ^ turn(b, 19) ^ b >> 10);
    }
    memcpy(s, sha->state, sizeof(s));
    for (int i = 0; i < 64; i++) {
        const uint32_t choice = (s[4] & s[5]) ^ (~s[4] & s[6]);
        const uint32_t majority = (s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]);
        const uint32_t one =
            s[7] + (turn(s[4], 6) ^ turn(s[4], 11) ^ turn(s[4], 25)) + choice + constants[i] + w[i];
        const uint32_t two = (turn(s[0], 2) ^ turn(s[0], 13) ^ turn(s[0], 22)) + majority;
        memmove(s + 1, s, 7 * sizeof(*s));
        s[4] += one;
        s[0] = one + two;
    }
    for (int i = 0; i < 8; i++) {
        sha->state[i] += s[i];
    }
}

void lo_sha256_begin(lo_sha256 *sha)
{
    *sha = (lo_sha256){.state = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c,
                                 0x1f83d9ab, 0x5be0cd19}};
}

void lo_sha256_add(lo_sha256 *sha, const void *data, size_t size)
{
    const uint8_t *p = data;
    while (size > 0) {
        const size_t filled = sha->bytes % 64, room = 64 - filled, now = size < room ? size : room;
        memcpy(sha->block + filled, p, now);
        sha->bytes += now;
        p += now;
        size -= now;
        if (filled + now == 64) {
            take_block(sha, sha->block);
        }
    }
}

void lo_sha256_end(lo_sha256 *sha, char text[LO_SHA256_TEXT])
{
    const uint64_t bits = sha->bytes * 8;
    const uint8_t one = 0x80, zero = 0;
    uint8_t length[8];
    for (int i = 0; i < 8; i++) {
        length[i] = (uint8_t)(bits >> (56 - 8 * i));
    }
    lo_sha256_add(sha, &one, 1);
    while (sha->bytes % 64 != 56) {
        lo_sha256_add(sha, &zero, 1);
    }
    lo_sha256_add(sha, length, 8);
    for (int i = 0; i < 8; i++) {
        (void)snprintf(text + 8 * i, 9, "%08x", sha->state[i]);
    }
}

lo_status lo_sha256_file(const char *file, char text[LO_SHA256_TEXT], lo_error *err)
{
    enum { PIECE = 1 << 16 };
    uint8_t piece[PIECE];
    lo_sha256 sha;
    FILE *in = fopen(file, "rb");
    if (in == NULL) {
        return lo_fail_errno(err, LO_IO, "%s: cannot be opened", file);
    }
    lo_sha256_begin(&sha);
    for (size_t now; (now = fread(piece, 1, PIECE, in)) > 0;) {
        lo_sha256_add(&sha, piece, now);
    }
    const lo_status status = ferror(in) ? lo_fail_errno(err, LO_IO, "%s: cannot be read", file) : LO_OK;
    (void)fclose(in);
    lo_sha256_end(&sha, text);
    return status;
}
