#include "data/rows.h"

#include <stdlib.h>

enum { FIRST_ROOM = 1 << 12 };

lo_status lo_rows_open(const char *scratch, lo_rows *out, lo_error *err)
{
    *out = (lo_rows){0};
    return lo_spool_open(scratch, &out->spool, err);
}

lo_status lo_rows_put(lo_rows *rows, const float *feature, size_t features, int32_t label, lo_error *err)
{
    if (rows->count == INT32_MAX) {
        return lo_fail(err, LO_DATA, "found more than %d examples", INT32_MAX);
    }
    if (rows->count == rows->room) {
        const int64_t room = rows->room == 0 ? FIRST_ROOM : 2 * rows->room;
        int32_t *larger = realloc(rows->label, (size_t)room * sizeof(*larger));
        if (larger == NULL) {
            return lo_fail(err, LO_INTERNAL, "no memory for %lld labels", (long long)room);
        }
        rows->label = larger;
        rows->room = room;
    }
    rows->label[rows->count++] = label;
    return lo_spool_put(&rows->spool, feature, features * sizeof(*feature), err);
}

lo_status lo_rows_finish(lo_rows *rows, lo_source_part *part, lo_error *err)
{
    LO_TRY(lo_spool_map(&rows->spool, part, err));
    part->feature = part->map;
    part->count = rows->count;
    part->label = rows->label;
    rows->label = NULL;
    return LO_OK;
}

void lo_rows_close(lo_rows *rows)
{
    lo_spool_close(&rows->spool);
    free(rows->label);
    rows->label = NULL;
}
