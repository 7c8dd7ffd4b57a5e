#include "data/sharing.h"

#include <stdlib.h>

int64_t lo_sharing_grain(const lo_sharing *sharing)
{
    enum { BYTES = 4 << 20, MOST = 1024 };
    const int64_t fit = (int64_t)(BYTES / sharing->record);
    return fit < 1 ? 1 : fit < MOST ? fit : MOST;
}

lo_status lo_read_alone(const lo_shared_read *shared, const char *path, const lo_read_options *options,
                        lo_source *out, lo_error *err)
{
    lo_listing listing = {0};
    lo_sharing sharing = {0};
    uint8_t *record = NULL;
    lo_status status = LO_OK;
    LO_TRY_GOTO(status, shared->list(path, options, &listing, err), end);
    LO_TRY_GOTO(status, shared->open(path, options, &listing, &sharing, err), end);
    const int64_t grain = lo_sharing_grain(&sharing);
    record = malloc((size_t)grain * sharing.record);
    if (record == NULL) {
        status = lo_fail(err, LO_INTERNAL, "%s: no memory to decode it", path);
        goto end;
    }
    for (int64_t first = 0; first < sharing.examples; first += grain) {
        const int64_t left = sharing.examples - first;
        const int64_t count = left < grain ? left : grain;
        LO_TRY_GOTO(status, shared->decode(&sharing, first, count, record, err), end);
        LO_TRY_GOTO(status, shared->collect(&sharing, first, count, record, err), end);
    }
    status = shared->finish(&sharing, out, err);
end:
    shared->close(&sharing);
    free(record);
    free(listing.text);
    return status;
}
