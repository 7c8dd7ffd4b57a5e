#include "unlearn/flip.h"

#include "nn/loss.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct flip {
    lo_pupil *pupil;
    lo_feed *others;
    lo_units *units;
    uint32_t *row;                    /* [capacity]: an example, then others */
    float *original, *now, *gradient; /* [lo_pupil_size] */
    bool *gone;                       /* [units] */
} flip;

/* The mean loss of the batch, the first example's with the weight minus its size. */
static double contrast(void *self, lo_batch *batch)
{
    bool *right = self;
    const double loss = lo_loss_mean(NULL, batch);
    *right = lo_is_correct(batch->logits, batch->classes, batch->label[0]);
    for (size_t k = 0; k < batch->step; k++) {
        batch->slope[k] *= -(float)batch->count;
    }
    return loss;
}

/* The unit to go next, or the number of units where there is none left. Elements of vectors do not go. */
static size_t find_next(const flip *f)
{
    double largest = -(double)INFINITY;
    size_t found = f->units->count;
    for (size_t i = 0; i < f->units->count; i++) {
        const lo_unit *unit = &f->units->unit[i];
        double sum = 0;
        for (size_t j = unit->start; j < unit->start + unit->count; j++) {
            sum += (double)f->now[j] * (double)f->gradient[j];
        }
        if (!unit->vector && !f->gone[i] && sum > largest) {
            largest = sum;
            found = i;
        }
    }
    return found;
}

static lo_status flip_one(flip *f, uint32_t example, int64_t most, lo_error *err)
{
    bool right = true;
    memcpy(f->now, f->original, lo_pupil_size(f->pupil) * sizeof(*f->now));
    memset(f->gone, 0, f->units->count * sizeof(*f->gone));
    for (int64_t k = 0; k <= most; k++) {
        lo_batch batch;
        lo_feed_cycle(f->others, &batch);
        f->row[0] = example;
        memcpy(f->row + 1, batch.row, batch.count * sizeof(*f->row));
        batch = (lo_batch){.row = f->row, .count = batch.count + 1};
        LO_TRY(lo_pupil_learn(f->pupil, &batch, contrast, &right, err));
        lo_pupil_take_gradient(f->pupil, f->gradient);
        const size_t next = right && k < most ? find_next(f) : f->units->count;
        if (next == f->units->count) {
            return LO_OK;
        }
        lo_unit *unit = &f->units->unit[next];
        f->gone[next] = true;
        unit->score = unit->score < 0 ? 1 : unit->score + 1;
        memset(f->now + unit->start, 0, unit->count * sizeof(*f->now));
        lo_pupil_set_weights(f->pupil, f->now);
    }
    return LO_OK;
}

static lo_status flip_all(flip *f, const lo_members *members, int64_t most, lo_error *err)
{
    for (size_t i = 0; i < f->units->count; i++) {
        f->units->unit[i].score = -1;
    }
    lo_pupil_weights(f->pupil, f->original);
    lo_pupil_set_training(f->pupil, false);
    lo_pupil_set_views(f->pupil, false);
    for (int64_t i = 0; i < members->count; i++) {
        LO_TRY(flip_one(f, members->rows[i], most, err));
        lo_pupil_set_weights(f->pupil, f->original);
    }
    lo_pupil_set_training(f->pupil, true);
    lo_pupil_set_views(f->pupil, true);
    return LO_OK;
}

lo_status lo_flip_score(lo_pupil *pupil, const lo_members *members, const lo_request *request, int64_t most,
                        lo_units *units, lo_error *err)
{
    lo_status status = LO_OK;
    const size_t size = lo_pupil_size(pupil), capacity = lo_pupil_network(pupil)->capacity;
    flip f = {.pupil = pupil, .units = units};
    const lo_feed_spec spec = {.rows = request->retain,
                               .count = request->retain_count,
                               .batch = (int64_t)capacity - 1,
                               .key = lo_pupil_key(pupil, LO_USE_CHOICE)};
    LO_TRY(lo_feed_open(pupil, &spec, &f.others, err));
    f.row = calloc(capacity + 1, sizeof(*f.row));
    f.original = calloc(3 * size + 1, sizeof(*f.original));
    f.gone = calloc(units->count + 1, sizeof(*f.gone));
    if (f.row == NULL || f.original == NULL || f.gone == NULL) {
        status = lo_fail(err, LO_INTERNAL, "no memory for %zu weights", size);
        goto done;
    }
    f.now = f.original + size;
    f.gradient = f.now + size;
    status = flip_all(&f, members, most, err);

done:
    lo_feed_close(&f.others);
    free(f.row);
    free(f.original);
    free(f.gone);
    return status;
}
