/* The order of an epoch's examples. */
#ifndef LEAVEOUT_NN_ORDER_H
#define LEAVEOUT_NN_ORDER_H

#include <stdint.h>

typedef struct lo_order_entry {
    uint64_t key;
    uint32_t example;
} lo_order_entry;

/* order [count]: members sorted by a random key of (seed, model_seed, epoch, example), ties by example when
 * members ascend. A key does not depend on who else is a member, so leaving one out keeps the order of the
 * others. work: 2 * count entries. */
void lo_epoch_order(uint64_t seed, uint64_t model_seed, int64_t epoch, const uint32_t *members, int64_t count,
                    lo_order_entry *work, uint32_t *order);

#endif
