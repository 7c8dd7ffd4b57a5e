/* SHA-256 (FIPS 180-4): digests for receipts, which must stand against somebody who would forge them. What
 * guards against accidents are CRCs (file.h). */
#ifndef LEAVEOUT_BASE_SHA256_H
#define LEAVEOUT_BASE_SHA256_H

#include "base/status.h"

#include <stddef.h>
#include <stdint.h>

typedef struct lo_sha256 {
    uint32_t state[8];
    uint64_t bytes;
    uint8_t block[64];
} lo_sha256;

enum { LO_SHA256_TEXT = 65 }; /* 64 hexadecimal digits and the end */

void lo_sha256_begin(lo_sha256 *sha);
void lo_sha256_add(lo_sha256 *sha, const void *data, size_t size);
void lo_sha256_end(lo_sha256 *sha, char text[LO_SHA256_TEXT]);

/* Of a file's content. Errors: LO_IO. */
lo_status lo_sha256_file(const char *file, char text[LO_SHA256_TEXT], lo_error *err);

#endif
