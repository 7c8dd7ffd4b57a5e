#include "audit/attack.h"

#include <stdlib.h>

lo_status lo_same_class(const int32_t *test_label, const uint32_t *rows, int64_t count,
                        const int32_t *forget_label, const uint32_t *forget, int64_t forget_count,
                        int32_t classes, uint32_t *out, int64_t *found, lo_error *err)
{
    uint8_t *wanted = calloc((size_t)classes + 1, 1);
    if (wanted == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for %d classes", (int)classes);
    }
    for (int64_t i = 0; i < forget_count; i++) {
        wanted[forget_label[forget[i]]] = 1;
    }
    *found = 0;
    for (int64_t i = 0; i < count; i++) {
        const uint32_t row = rows != NULL ? rows[i] : (uint32_t)i;
        if (wanted[test_label[row]] != 0) {
            out[(*found)++] = row;
        }
    }
    free(wanted);
    return *found > 0
               ? LO_OK
               : lo_fail(
                     err, LO_DATA,
                     "none of %lld examples has a class of the forget set: an attack needs non-members of "
                     "the same classes",
                     (long long)count);
}
