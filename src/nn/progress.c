#include "nn/progress.h"

#include <string.h>

typedef struct piece {
    void *data;
    size_t size;
} piece;

enum { MOST = 4 + LO_OPTIMIZER_STATES + 3 + LO_LOG_QUANTITIES };

/* The rows that have been begun; the others are as new. */
static int list_log(const lo_progress *progress, piece list[])
{
    int count = 0;
    const lo_training_log *log = progress->observer->log;
    const lo_training_identity *id = &progress->identity;
    const int64_t begun = progress->at.epoch + (progress->at.epoch < id->epochs);
    const size_t rows = (size_t)begun;
    const size_t cells = rows * (size_t)id->members;
    if (id->logged > 0) {
        list[count++] = (piece){log->loss, rows * sizeof(double)};
        list[count++] = (piece){log->accuracy, rows * sizeof(double)};
    }
    if (id->logged > 1) {
        for (int q = 0; q < LO_LOG_QUANTITIES; q++) {
            list[count++] = (piece){log->example[q], log->example[q] != NULL ? cells * sizeof(float) : 0};
        }
        list[count++] = (piece){log->correct, cells};
    }
    return count;
}

/* Everything behind identity and position. */
static int list_pieces(const lo_progress *progress, piece list[])
{
    int count = 0;
    const lo_network *network = progress->network;
    const size_t bytes = network->weight_size * sizeof(float);
    list[count++] = (piece){network->weights, bytes};
    list[count++] = (piece){network->statistics, network->statistic_size * sizeof(float)};
    for (int i = 0; i < LO_OPTIMIZER_STATES && progress->optimizer->array[i] != NULL; i++) {
        list[count++] = (piece){progress->optimizer->array[i], bytes};
    }
    count += list_log(progress, list + count);
    list[count++] = (piece){progress->observer->kept, progress->observer->kept_size};
    return count;
}

double lo_progress_share(const lo_progress *progress)
{
    const lo_training_identity *id = &progress->identity;
    const lo_position *at = &progress->at;
    return id->epochs > 0 ? ((double)at->epoch + (double)at->batch / (double)id->batches) / (double)id->epochs
                          : 1;
}

lo_status lo_progress_save(const lo_progress *progress, lo_checkpoint *checkpoint, const lo_tick *tick,
                           lo_error *err)
{
    piece list[MOST];
    const int pieces = list_pieces(progress, list);
    uint64_t size = sizeof(progress->identity) + sizeof(progress->at);
    for (int i = 0; i < pieces; i++) {
        size += list[i].size;
    }
    lo_checkpoint_writer to;
    lo_status status = lo_checkpoint_begin(checkpoint, size, tick, &to, err);
    if (status == LO_OK) {
        status = lo_checkpoint_put(&to, &progress->identity, sizeof(progress->identity), err);
    }
    if (status == LO_OK) {
        status = lo_checkpoint_put(&to, &progress->at, sizeof(progress->at), err);
    }
    for (int i = 0; i < pieces && status == LO_OK; i++) {
        status = lo_checkpoint_put(&to, list[i].data, list[i].size, err);
    }
    LO_TRY(lo_checkpoint_end(&to, status, err));
    checkpoint->there = true;
    return LO_OK;
}

static lo_status check_identity(const lo_training_identity *found, const lo_training_identity *expected,
                                const char *file, lo_error *err)
{
    if (memcmp(found->processor, expected->processor, sizeof(found->processor)) != 0) {
        return lo_fail(err, LO_DATA, "%s: was made on processor '%.*s', and this is '%s'", file,
                       (int)sizeof(found->processor) - 1, found->processor, expected->processor);
    }
    return memcmp(found, expected, sizeof(*found)) == 0
               ? LO_OK
               : lo_fail(err, LO_DATA, "%s: is of another training", file);
}

static lo_status read_pieces(lo_progress *progress, lo_checkpoint_reader *from, lo_error *err)
{
    lo_training_identity found;
    LO_TRY(lo_checkpoint_get(from, &found, sizeof(found), err));
    LO_TRY(check_identity(&found, &progress->identity, from->file, err));
    LO_TRY(lo_checkpoint_get(from, &progress->at, sizeof(progress->at), err));
    piece list[MOST];
    const int pieces = list_pieces(progress, list);
    for (int i = 0; i < pieces; i++) {
        LO_TRY(lo_checkpoint_get(from, list[i].data, list[i].size, err));
    }
    return LO_OK;
}

lo_status lo_progress_load(lo_progress *progress, lo_checkpoint *checkpoint, const lo_tick *tick, bool *found,
                           lo_error *err)
{
    lo_checkpoint_reader from;
    lo_status status = lo_checkpoint_open(checkpoint, tick, found, &from, err);
    checkpoint->there = *found;
    if (status != LO_OK || !*found) {
        return status;
    }
    status = lo_checkpoint_close(&from, read_pieces(progress, &from, err), err);
    if (status == LO_OK) {
        const lo_training_identity *id = &progress->identity;
        progress->optimizer->steps = progress->at.epoch * id->batches + progress->at.batch;
        checkpoint->seconds = progress->at.seconds;
    }
    return status;
}
