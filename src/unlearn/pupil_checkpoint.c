/* A pupil between two epochs: saved, and gone on with. */
#include "base/clock.h"
#include "unlearn/pupil_state.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* In front of the floats, as it lies in the file. Which method and request it is says the checkpoint's
 * digest.
 */
typedef struct position {
    char processor[128];                    /* type of processor; another one has other bits */
    int64_t weights, statistics, optimizer; /* floats in memory; the optimizer's arrays of `weights` floats */
    int64_t done;                           /* epochs */
    int64_t steps, passes;                  /* of the optimizer; passes forward in training */
    int64_t shown[LO_SETS];
    double seconds; /* spent so far, over all parts */
} position;

static position position_of(const lo_pupil *pupil)
{
    const lo_network *network = pupil->network;
    position at = {.weights = (int64_t)network->weight_size,
                   .statistics = (int64_t)network->statistic_size,
                   .optimizer = lo_optimizer_of(&pupil->pace)->arrays,
                   .steps = pupil->optimizer.steps,
                   .passes = (int64_t)network->draw.step};
    static_assert(sizeof(at) == 208, "as docs/study-format.md has it");
    (void)snprintf(at.processor, sizeof(at.processor), "%s", lo_processor_type());
    memcpy(at.shown, pupil->shown, sizeof(at.shown));
    return at;
}

/* The floats behind it: weights, statistics, the optimizer's arrays. */
enum { MOST = 2 + LO_OPTIMIZER_STATES };
typedef struct piece {
    float *data;
    size_t size; /* bytes */
} piece;

static int list_pieces(const lo_pupil *pupil, piece list[MOST])
{
    const lo_network *network = pupil->network;
    const int arrays = lo_optimizer_of(&pupil->pace)->arrays;
    list[0] = (piece){network->weights, network->weight_size * sizeof(float)};
    list[1] = (piece){network->statistics, network->statistic_size * sizeof(float)};
    for (int i = 0; i < arrays; i++) {
        list[2 + i] = (piece){pupil->optimizer.array[i], network->weight_size * sizeof(float)};
    }
    return 2 + arrays;
}

void lo_pupil_checkpoint(lo_pupil *pupil, lo_checkpoint *checkpoint)
{
    pupil->checkpoint = checkpoint != NULL && checkpoint->file[0] != '\0' ? checkpoint : NULL;
    pupil->begun = lo_clock_monotonic();
}

/* ---- saving ---- */

static lo_status write_file(const lo_pupil *pupil, position *at, lo_error *err)
{
    piece list[MOST];
    const int pieces = list_pieces(pupil, list);
    uint64_t size = sizeof(*at);
    for (int i = 0; i < pieces; i++) {
        size += list[i].size;
    }
    lo_checkpoint_writer to;
    lo_status status = lo_checkpoint_begin(pupil->checkpoint, size, pupil->tick, &to, err);
    if (status == LO_OK) {
        status = lo_checkpoint_put(&to, at, sizeof(*at), err);
    }
    for (int i = 0; i < pieces && status == LO_OK; i++) {
        status = lo_checkpoint_put(&to, list[i].data, list[i].size, err);
    }
    return lo_checkpoint_end(&to, status, err);
}

static bool has_failed(lo_status status)
{
    return status == LO_DATA || status == LO_IO;
}

static lo_status save_alone(lo_pupil *pupil, int64_t done, int64_t epochs)
{
    lo_checkpoint *checkpoint = pupil->checkpoint;
    lo_error why = {{0}};
    if (checkpoint == NULL || checkpoint->ask == NULL) {
        return LO_OK;
    }
    const double share = (double)done / (double)epochs;
    const lo_save wish = checkpoint->ask(checkpoint->self, share);
    if (wish == LO_SAVE_NOTHING) {
        return LO_OK;
    }
    position at = position_of(pupil);
    at.done = done;
    at.seconds = lo_clock_monotonic() - pupil->begun + checkpoint->seconds;
    const lo_status status = write_file(pupil, &at, &why);
    if (has_failed(status) && !checkpoint->complained) {
        checkpoint->complained = true;
        lo_checkpoint_complain(checkpoint, &why, "unlearning goes on without a checkpoint");
    } else if (status == LO_OK) {
        checkpoint->there = true;
        if (checkpoint->saved != NULL) {
            checkpoint->saved(checkpoint->self, share);
        }
    }
    if (status != LO_OK && !has_failed(status)) {
        return status;
    }
    return wish == LO_SAVE_AND_STOP ? LO_STOPPED : LO_OK;
}

/* A part of a request (RUM's groups) is not saved: what came before it in the run would be lost. */
static bool is_whole(const lo_pupil *pupil)
{
    return pupil->request->whole == NULL;
}

lo_status lo_pupil_save(lo_pupil *pupil, int64_t done, int64_t epochs)
{
    if (done == 0 || pupil->diverged || !is_whole(pupil)) {
        return LO_OK;
    }
    return lo_pupil_agree(pupil, lo_team_leads(pupil->team) ? save_alone(pupil, done, epochs) : LO_OK);
}

/* ---- going on ---- */

static lo_status check_position(const position *found, const position *expected, const char *file,
                                lo_error *err)
{
    if (memcmp(found->processor, expected->processor, sizeof(found->processor)) != 0) {
        return lo_fail(err, LO_DATA, "%s: was made on processor '%.*s', and this is '%s'", file,
                       (int)sizeof(found->processor) - 1, found->processor, expected->processor);
    }
    const bool same = found->weights == expected->weights && found->statistics == expected->statistics &&
                      found->optimizer == expected->optimizer;
    return same ? LO_OK : lo_fail(err, LO_DATA, "%s: is of another network or optimizer", file);
}

/* Everything is read before anything of the pupil is changed. */
static lo_status read_pieces(lo_pupil *pupil, lo_checkpoint_reader *from, position *at, lo_error *err)
{
    const position expected = position_of(pupil);
    piece list[MOST];
    const int pieces = list_pieces(pupil, list);
    size_t size = 0;
    for (int i = 0; i < pieces; i++) {
        size += list[i].size;
    }
    LO_TRY(lo_checkpoint_get(from, at, sizeof(*at), err));
    LO_TRY(check_position(at, &expected, from->file, err));
    char *values = malloc(size + 1);
    if (values == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for a checkpoint of %zu bytes", size);
    }
    const lo_status status = lo_checkpoint_get(from, values, size, err);
    for (size_t i = 0, before = 0; i < (size_t)pieces && status == LO_OK; before += list[i++].size) {
        memcpy(list[i].data, values + before, list[i].size);
    }
    free(values);
    return status;
}

static lo_status load_alone(lo_pupil *pupil, position *at)
{
    lo_checkpoint *checkpoint = pupil->checkpoint;
    lo_checkpoint_reader from;
    lo_error why = {{0}};
    if (checkpoint == NULL) {
        return LO_OK;
    }
    lo_status status = lo_checkpoint_open(checkpoint, pupil->tick, &checkpoint->there, &from, &why);
    if (status == LO_OK && checkpoint->there) {
        status = lo_checkpoint_close(&from, read_pieces(pupil, &from, at, &why), &why);
    }
    if (has_failed(status)) {
        at->done = 0;
        lo_checkpoint_complain(checkpoint, &why, "unlearning begins again");
        return LO_OK;
    }
    checkpoint->seconds = at->done > 0 ? at->seconds : checkpoint->seconds;
    return status;
}

lo_status lo_pupil_resume(lo_pupil *pupil, int64_t *done)
{
    position at = {.done = 0};
    *done = 0;
    if (!is_whole(pupil)) {
        return LO_OK;
    }
    LO_TRY(lo_pupil_agree(pupil, lo_team_leads(pupil->team) ? load_alone(pupil, &at) : LO_OK));
    lo_pupil_share(pupil, &at, sizeof(at));
    if (at.done == 0) {
        return LO_OK;
    }
    piece list[MOST];
    const int pieces = list_pieces(pupil, list);
    for (int i = 0; i < pieces; i++) {
        lo_pupil_share(pupil, list[i].data, list[i].size);
    }
    pupil->optimizer.steps = at.steps;
    pupil->network->draw.step = (uint64_t)at.passes;
    memcpy(pupil->shown, at.shown, sizeof(at.shown));
    *done = at.done;
    return LO_OK;
}
