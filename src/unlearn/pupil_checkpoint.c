/* A pupil between two epochs, or two parts of a request: saved, and gone on with. */
#include "base/clock.h"
#include "unlearn/pupil_state.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* In front of the rest, as it lies in the file. Which method and request it is says the checkpoint's digest.
 */
typedef struct position {
    char processor[128];                    /* type of processor; another one has other bits */
    int64_t weights, statistics, optimizer; /* floats in memory; the optimizer's arrays of `weights` floats */
    int64_t done;                           /* epochs, of this part; 0: the part has not begun */
    int64_t steps, passes;                  /* of the optimizer; passes forward in training */
    int64_t shown[LO_SETS];
    double seconds;      /* spent so far, over all parts of the task */
    int64_t part, start; /* of the request, from 0; 1: what it began with is there too */
    int64_t kept;        /* bytes of the method's own */
} position;

void lo_pupil_checkpoint(lo_pupil *pupil, lo_checkpoint *checkpoint)
{
    pupil->checkpoint = checkpoint != NULL && checkpoint->file[0] != '\0' ? checkpoint : NULL;
    pupil->begun = lo_clock_monotonic();
    pupil->refused = false;
}

void lo_pupil_keep(lo_pupil *pupil, const lo_kept *list, int count)
{
    assert(count <= LO_MOST_KEPT);
    for (int i = 0; i < count; i++) {
        pupil->kept[i] = list[i];
    }
    pupil->kept_count = count;
}

/* ---- what there is to save ---- */

static size_t bytes_kept(const lo_kept *kept, int64_t done)
{
    return kept->each ? kept->size * (size_t)done : kept->size;
}

/* After `done` epochs of the part. */
static position position_of(const lo_pupil *pupil, int64_t done)
{
    const lo_network *network = pupil->network;
    position at = {.weights = (int64_t)network->weight_size,
                   .statistics = (int64_t)network->statistic_size,
                   .optimizer = done > 0 ? lo_optimizer_of(&pupil->pace)->arrays : 0,
                   .done = done,
                   .steps = pupil->optimizer.steps,
                   .passes = (int64_t)network->draw.step,
                   .part = pupil->part_number,
                   .start = pupil->part_number > 0 && done > 0};
    static_assert(sizeof(at) == 232, "as docs/study-format.md has it");
    (void)snprintf(at.processor, sizeof(at.processor), "%s", lo_processor_type());
    memcpy(at.shown, pupil->shown, sizeof(at.shown));
    for (int i = 0; i < pupil->kept_count && done > 0; i++) {
        at.kept += (int64_t)bytes_kept(&pupil->kept[i], done);
    }
    return at;
}

/* The pieces behind it: weights, statistics, the optimizer's arrays; what the part began with; the method's.
 */
enum { MOST = 3 + LO_OPTIMIZER_STATES + LO_MOST_KEPT };
typedef struct piece {
    void *data;
    size_t size; /* bytes */
} piece;

static int list_pieces(const lo_pupil *pupil, const position *at, piece list[MOST])
{
    const size_t weights = (size_t)at->weights * sizeof(float),
                 statistics = (size_t)at->statistics * sizeof(float);
    int count = 0;
    list[count++] = (piece){pupil->network->weights, weights};
    list[count++] = (piece){pupil->network->statistics, statistics};
    for (int i = 0; i < at->optimizer; i++) {
        list[count++] = (piece){pupil->optimizer.array[i], weights};
    }
    if (at->start != 0) {
        list[count++] = (piece){pupil->part_start, weights + statistics};
    }
    for (int i = 0; i < pupil->kept_count && at->done > 0; i++) {
        list[count++] = (piece){pupil->kept[i].data, bytes_kept(&pupil->kept[i], at->done)};
    }
    return count;
}

static size_t size_of(const position *at)
{
    const size_t weights = (size_t)at->weights, statistics = (size_t)at->statistics;
    const size_t floats =
        weights * (size_t)(1 + at->optimizer + at->start) + statistics * (size_t)(1 + at->start);
    return floats * sizeof(float) + (size_t)at->kept;
}

/* ---- saving ---- */

static lo_status write_file(const lo_pupil *pupil, position *at, lo_error *err)
{
    piece list[MOST];
    const int pieces = list_pieces(pupil, at, list);
    lo_checkpoint_writer to;
    lo_status status =
        lo_checkpoint_begin(pupil->checkpoint, sizeof(*at) + size_of(at), pupil->tick, &to, err);
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

/* share: of the whole request that is done. */
static lo_status save_alone(lo_pupil *pupil, int64_t done, double share)
{
    lo_checkpoint *checkpoint = pupil->checkpoint;
    lo_error why = {{0}};
    if (checkpoint == NULL || checkpoint->ask == NULL) {
        return LO_OK;
    }
    const lo_save wish = checkpoint->ask(checkpoint->self, share);
    if (wish == LO_SAVE_NOTHING) {
        return LO_OK;
    }
    position at = position_of(pupil, done);
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

static lo_status save(lo_pupil *pupil, int64_t done, double share_of_part)
{
    const double share = ((double)pupil->part_number + share_of_part) / (double)pupil->part_count;
    return lo_pupil_agree(pupil, lo_team_leads(pupil->team) ? save_alone(pupil, done, share) : LO_OK);
}

lo_status lo_pupil_save(lo_pupil *pupil, int64_t done, int64_t epochs)
{
    if (done == 0 || pupil->diverged) {
        return LO_OK;
    }
    return save(pupil, done, (double)done / (double)epochs);
}

static lo_status remember_start(lo_pupil *pupil)
{
    const lo_network *network = pupil->network;
    if (pupil->part_start == NULL) {
        pupil->part_start = malloc((network->weight_size + network->statistic_size) * sizeof(float));
    }
    if (pupil->part_start == NULL) {
        return LO_INTERNAL;
    }
    memcpy(pupil->part_start, network->weights, network->weight_size * sizeof(float));
    memcpy(pupil->part_start + network->weight_size, network->statistics,
           network->statistic_size * sizeof(float));
    return LO_OK;
}

lo_status lo_pupil_save_part(lo_pupil *pupil, int64_t part, int64_t parts, lo_error *err)
{
    const bool reached = part != pupil->part_number; /* else it was begun before, and is gone on with */
    pupil->part_number = part;
    pupil->part_count = parts;
    if (part == 0 || pupil->diverged) {
        return LO_OK;
    }
    if (remember_start(pupil) != LO_OK) {
        return lo_fail(err, LO_INTERNAL, "no memory for the weights that a part of a request begins with");
    }
    return reached ? save(pupil, 0, 0) : LO_OK;
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
                      found->optimizer >= 0 && found->optimizer <= LO_OPTIMIZER_STATES && found->done >= 0 &&
                      found->part >= 0 && (found->start == 0 || found->start == 1) && found->kept >= 0;
    return same ? LO_OK : lo_fail(err, LO_DATA, "%s: is of another network", file);
}

/* *rest: all that comes behind the position; malloc'ed. */
static lo_status read_file(lo_pupil *pupil, lo_checkpoint_reader *from, position *at, char **rest,
                           lo_error *err)
{
    const position expected = position_of(pupil, 1);
    LO_TRY(lo_checkpoint_get(from, at, sizeof(*at), err));
    LO_TRY(check_position(at, &expected, from->file, err));
    if (from->left != size_of(at)) {
        return lo_fail(err, LO_DATA, "%s: has %llu bytes of weights and state; %zu are expected", from->file,
                       (unsigned long long)from->left, size_of(at));
    }
    *rest = malloc(size_of(at) + 1);
    return *rest != NULL ? lo_checkpoint_get(from, *rest, size_of(at), err)
                         : lo_fail(err, LO_INTERNAL, "no memory for a checkpoint of %zu bytes", size_of(at));
}

/* Is it what the part's method, which is about to go on, would save after so many epochs? */
static lo_status check_method(const lo_pupil *pupil, const position *at, lo_error *err)
{
    const position expected = position_of(pupil, at->done);
    return at->optimizer == expected.optimizer && at->kept == expected.kept && at->start == expected.start
               ? LO_OK
               : lo_fail(err, LO_DATA, "%s: is of another method or optimizer", pupil->checkpoint->file);
}

/* The position, and what comes behind it; at->done and at->part are 0 where there is nothing to go on from.
 * within: by the method of a part, for which a file of another part says nothing. */
static lo_status load_alone(lo_pupil *pupil, bool within, position *at, char **rest)
{
    lo_checkpoint *checkpoint = pupil->checkpoint;
    lo_checkpoint_reader from;
    lo_error why = {{0}};
    if (checkpoint == NULL || pupil->refused) {
        return LO_OK;
    }
    lo_status status = lo_checkpoint_open(checkpoint, pupil->tick, &checkpoint->there, &from, &why);
    if (status == LO_OK && checkpoint->there) {
        status = lo_checkpoint_close(&from, read_file(pupil, &from, at, rest, &why), &why);
    }
    if (status == LO_OK && within && (at->part != pupil->part_number || at->done == 0)) {
        *at = (position){.done = 0};
        return LO_OK;
    }
    if (status == LO_OK && within) {
        status = check_method(pupil, at, &why);
    }
    if (status != LO_OK) {
        *at = (position){.done = 0};
    }
    if (has_failed(status)) {
        pupil->refused = true;
        lo_checkpoint_complain(checkpoint, &why, "unlearning begins again");
        return LO_OK;
    }
    checkpoint->seconds = at->done > 0 || at->part > 0 ? at->seconds : checkpoint->seconds;
    return status;
}

/* The same for all members of a team. *rest NULL: there is nothing. */
static lo_status load(lo_pupil *pupil, bool within, position *at, char **rest)
{
    lo_status status = lo_team_leads(pupil->team) ? load_alone(pupil, within, at, rest) : LO_OK;
    status = lo_pupil_agree(pupil, status);
    lo_pupil_share(pupil, at, sizeof(*at));
    if (status != LO_OK || (at->done == 0 && at->part == 0)) {
        free(*rest);
        *rest = NULL;
        return status;
    }
    *rest = *rest != NULL ? *rest : malloc(size_of(at) + 1);
    LO_TRY(*rest != NULL ? LO_OK : LO_INTERNAL);
    lo_pupil_share(pupil, *rest, size_of(at));
    return LO_OK;
}

lo_status lo_pupil_resume(lo_pupil *pupil, int64_t *done)
{
    position at = {.done = 0};
    char *rest = NULL;
    piece list[MOST];
    *done = 0;
    LO_TRY(load(pupil, true, &at, &rest));
    if (rest == NULL) {
        return LO_OK;
    }
    const int pieces = list_pieces(pupil, &at, list);
    size_t before = 0;
    for (int i = 0; i < pieces; before += list[i++].size) {
        memcpy(list[i].data, rest + before, list[i].size);
    }
    free(rest);
    pupil->optimizer.steps = at.steps;
    pupil->network->draw.step = (uint64_t)at.passes;
    memcpy(pupil->shown, at.shown, sizeof(at.shown));
    *done = at.done;
    return LO_OK;
}

lo_status lo_pupil_resume_part(lo_pupil *pupil, int64_t *part)
{
    const lo_network *network = pupil->network;
    const size_t weights = network->weight_size * sizeof(float),
                 statistics = network->statistic_size * sizeof(float);
    position at = {.done = 0};
    char *rest = NULL;
    *part = 0;
    LO_TRY(load(pupil, false, &at, &rest));
    if (rest != NULL && at.part > 0) {
        const size_t before = at.start == 0 ? 0 : weights * (size_t)(1 + at.optimizer) + statistics;
        memcpy(network->weights, rest + before, weights);
        memcpy(network->statistics, rest + before + weights, statistics);
        memcpy(pupil->shown, at.shown, sizeof(at.shown));
        *part = pupil->part_number = at.part;
    }
    free(rest);
    return LO_OK;
}
