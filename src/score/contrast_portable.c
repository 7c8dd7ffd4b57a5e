#include "score/columns.h"
#include "score/contrast_kernel.h"

/* Words whose ones can be added byte by byte before a byte of 255 overflows: 31 x 8 = 248. */
enum { WORDS_A_BYTE_HOLDS = 31 };

static void count_ones(int64_t words, const uint64_t *mask, const uint64_t *correct,
                       int32_t count[LO_CONTRAST_ROWS][LO_CONTRAST_LANES])
{
    for (int r = 0; r < LO_CONTRAST_ROWS; r++) {
        uint64_t total[LO_CONTRAST_LANES] = {0};
        for (int64_t start = 0; start < words; start += WORDS_A_BYTE_HOLDS) {
            const int64_t stop = words - start < WORDS_A_BYTE_HOLDS ? words : start + WORDS_A_BYTE_HOLDS;
            uint64_t bytes[LO_CONTRAST_LANES] = {0};
            for (int64_t w = start; w < stop; w++) {
                const uint64_t hit = correct[w * LO_CONTRAST_ROWS + r];
                for (int i = 0; i < LO_CONTRAST_LANES; i++) {
                    bytes[i] += lo_ones_by_byte(mask[w * LO_CONTRAST_LANES + i] & hit);
                }
            }
            for (int i = 0; i < LO_CONTRAST_LANES; i++) {
                total[i] += lo_sum_of_bytes(bytes[i]);
            }
        }
        for (int i = 0; i < LO_CONTRAST_LANES; i++) {
            count[r][i] = (int32_t)total[i];
        }
    }
}

void lo_contrast_portable(const lo_contrast_block *block)
{
    int32_t count[LO_CONTRAST_ROWS][LO_CONTRAST_LANES];
    count_ones(block->words, block->mask, block->correct, count);
    lo_contrast_finish(block, count);
}
