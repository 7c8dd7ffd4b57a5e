/* Batches of examples, epoch after epoch. */
#include "unlearn/pupil_state.h"

#include <stdlib.h>

struct lo_feed {
    lo_feed_spec spec;
    uint64_t seed;
    int64_t epoch, at; /* of the next batch */
    lo_order_entry *work;
    uint32_t *order;
};

lo_status lo_feed_open(lo_pupil *pupil, const lo_feed_spec *spec, lo_feed **out, lo_error *err)
{
    const size_t count = (size_t)spec->count;
    lo_feed *feed = calloc(1, sizeof(*feed));
    *out = feed;
    if (feed != NULL) {
        *feed = (lo_feed){.spec = *spec, .seed = pupil->recipe.seed, .epoch = spec->epoch};
        const int64_t room = (int64_t)pupil->capacity;
        const int64_t batch = spec->batch > 0 ? spec->batch : pupil->batch;
        feed->spec.batch = batch < room ? batch : room;
        feed->work = calloc(2 * count + 1, sizeof(*feed->work));
        feed->order = calloc(count + 1, sizeof(*feed->order));
    }
    if (feed == NULL || feed->work == NULL || feed->order == NULL) {
        lo_feed_close(out);
        return lo_fail(err, LO_INTERNAL, "no memory for batches of %zu examples", count);
    }
    return LO_OK;
}

void lo_feed_close(lo_feed **feed)
{
    if (*feed != NULL) {
        free((*feed)->work);
        free((*feed)->order);
        free(*feed);
        *feed = NULL;
    }
}

int64_t lo_feed_batches(const lo_feed *feed)
{
    return (feed->spec.count + feed->spec.batch - 1) / feed->spec.batch;
}

static void put_in_order(lo_feed *feed)
{
    const lo_feed_spec *spec = &feed->spec;
    lo_epoch_order(feed->seed, spec->key, feed->epoch, spec->rows, spec->count, feed->work, feed->order);
}

bool lo_feed_next(lo_feed *feed, lo_batch *batch)
{
    const lo_feed_spec *spec = &feed->spec;
    if (feed->at >= spec->count) {
        feed->at = 0;
        feed->epoch++;
        return false;
    }
    if (feed->at == 0) {
        put_in_order(feed);
    }
    const int64_t left = spec->count - feed->at;
    *batch = (lo_batch){.row = feed->order + feed->at,
                        .count = (size_t)(left < spec->batch ? left : spec->batch),
                        .epoch = feed->epoch,
                        .key = spec->key,
                        .stand_in = spec->label};
    feed->at += (int64_t)batch->count;
    return true;
}

void lo_feed_skip(lo_feed *feed, int64_t epochs)
{
    feed->epoch += epochs;
}

void lo_feed_skip_batches(lo_feed *feed, int64_t batches)
{
    const int64_t each = lo_feed_batches(feed);
    feed->epoch += batches / each;
    feed->at = batches % each * feed->spec.batch;
    if (feed->at > 0) {
        put_in_order(feed);
    }
}

void lo_feed_cycle(lo_feed *feed, lo_batch *batch)
{
    if (!lo_feed_next(feed, batch)) {
        (void)lo_feed_next(feed, batch);
    }
}
