#include "jobs/unlearning/unlearning_matched.h"

#include "base/file.h"
#include "jobs/unlearning/forget_items.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Runs of matched models draw other random numbers than any run of a sequence (depth << 32). */
#define MATCHED_RUN (UINT64_C(1) << 56)

static lo_status check_job(const lo_unlearning *u, lo_error *err)
{
    if (u->oracles == 0 || u->listed_methods == 0) {
        return lo_fail(err, LO_USAGE,
                       "unlearning.matched: oracles are made to forget by methods, and the job has %s; raise "
                       "unlearning.oracles, or list unlearning.methods",
                       u->oracles == 0 ? "no oracles" : "no methods");
    }
    return lo_job_bool(u->job, "unlearning.keep_models")
               ? LO_OK
               : lo_fail(err, LO_USAGE,
                         "unlearning.matched: begins with the weights of the oracles, and "
                         "unlearning.keep_models is false");
}

static lo_status match(const lo_unlearning *u, lo_forgotten *f, const char *study, lo_error *err)
{
    if (f->item == NULL) {
        (void)snprintf(f->unmatched, sizeof(f->unmatched),
                       "a later step of a sequence: oracles would have to forget several other sets");
        return LO_OK;
    }
    if (f->set.count == 0) { /* its score is not known: where it is, there nearly always is such a set */
        f->matched = true;
        return LO_OK;
    }
    const int64_t count = study != NULL ? u->oracles : 1;
    f->other = calloc((size_t)count + 1, sizeof(*f->other));
    if (f->other == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for %lld sets", (long long)count);
    }
    f->others = count;
    LO_TRY(lo_forget_item_matched(f->item, u->job, u->data, study, &f->set, count, f->other, f->unmatched,
                                  sizeof(f->unmatched), err));
    f->matched = f->unmatched[0] == '\0';
    return LO_OK;
}

lo_status lo_unlearning_match(lo_unlearning *u, const char *study, lo_error *err)
{
    u->matched = lo_job_bool(u->job, "unlearning.matched");
    if (!u->matched) {
        return LO_OK;
    }
    LO_TRY(check_job(u, err));
    for (int f = 0; f < u->forgotten_count; f++) {
        LO_TRY(match(u, &u->forgotten[f], study, err));
    }
    return LO_OK;
}

bool lo_matched_has(const lo_unlearning *u, int forgotten, int unlearner)
{
    return u->forgotten[forgotten].matched && unlearner < u->listed_methods;
}

uint64_t lo_matched_digest(const lo_unlearning *u, uint64_t digest)
{
    for (int f = 0; f < u->forgotten_count && u->matched; f++) {
        const lo_forgotten *g = &u->forgotten[f];
        digest = lo_digest(digest, g->unmatched);
        for (int64_t k = 0; k < g->others; k++) {
            digest = lo_unlearning_digest_set(digest, u->data, &g->other[k]);
        }
    }
    return digest;
}

lo_status lo_matched_request(const lo_unlearning *u, const lo_unlearning_task *task, lo_request *request,
                             uint32_t **retained, lo_error *err)
{
    const lo_forgotten *f = &u->forgotten[task->forgotten];
    const lo_forget_set *other = &f->other[task->seed];
    const int64_t n = u->data->train.count;
    uint32_t *kept = lo_forget_retained(&f->set, n);
    int64_t next = 0, count = 0;
    *retained = kept;
    if (kept == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for a retain set");
    }
    for (int64_t i = 0; i < n - f->set.count; i++) { /* both ascend, and the oracle has seen all of both */
        if (next < other->count && other->position[next] == kept[i]) {
            next++;
        } else {
            kept[count++] = kept[i];
        }
    }
    *request = (lo_request){.dataset = u->data,
                            .name = f->name,
                            .forget = other->position,
                            .forget_count = other->count,
                            .retain = kept,
                            .retain_count = count,
                            .whole_class = other->whole_class,
                            .seed = (uint64_t)lo_job_int(u->job, "seed"),
                            .run = MATCHED_RUN + (uint64_t)task->seed,
                            .score = u->unlearner[task->unlearner].score};
    return LO_OK;
}

/* ---- forget.h5 ---- */

static int64_t total(const lo_forgotten *f)
{
    int64_t count = 0;
    for (int64_t k = 0; k < f->others; k++) {
        count += f->other[k].count;
    }
    return count;
}

uint64_t lo_matched_bytes(const lo_unlearning *u)
{
    uint64_t bytes = 0;
    for (int f = 0; f < u->forgotten_count; f++) {
        bytes += (uint64_t)(total(&u->forgotten[f]) + u->forgotten[f].others) * sizeof(int64_t) + 1024;
    }
    return bytes;
}

lo_status lo_matched_add(lo_h5 *h, const lo_unlearning *u, int forgotten, bool first, lo_matched_sets *sets,
                         lo_error *err)
{
    const lo_forgotten *f = &u->forgotten[forgotten];
    char path[LO_NAME_OF_SET + 32];
    if (!u->matched) {
        return LO_OK;
    }
    (void)snprintf(path, sizeof(path), "/%s", f->name);
    LO_TRY(lo_h5_text(h, path, "unmatched", f->unmatched, err));
    if (!f->matched) {
        return LO_OK;
    }
    (void)snprintf(path, sizeof(path), "/%s/matched_index", f->name);
    LO_TRY(lo_h5_add(h, path, LO_H5_I64, total(f), 0, 0, first ? total(f) : 0, &sets->index, err));
    (void)snprintf(path, sizeof(path), "/%s/matched_count", f->name);
    return lo_h5_add(h, path, LO_H5_I64, f->others, 0, 0, first ? f->others : 0, &sets->count, err);
}

lo_status lo_matched_write(lo_h5 *h, const lo_unlearning *u, int forgotten, bool first,
                           const lo_matched_sets *sets, lo_error *err)
{
    const lo_forgotten *f = &u->forgotten[forgotten];
    if (!u->matched || !f->matched) {
        return LO_OK;
    }
    const int64_t all = total(f);
    int64_t *index = malloc((size_t)(all + f->others) * sizeof(*index) + 1), written = 0;
    lo_status status =
        index != NULL ? LO_OK : lo_fail(err, LO_INTERNAL, "no memory for the other sets of forget.h5");
    for (int64_t k = 0; k < f->others && index != NULL; k++) {
        const lo_forget_set *other = &f->other[k];
        for (int64_t i = 0; i < other->count; i++) {
            index[written++] = u->data->train.index[other->position[i]];
        }
        index[all + k] = other->count;
    }
    status = lo_h5_write(h, sets->index, first ? all : 0, index, status, err);
    if (status == LO_OK) {
        status = lo_h5_write(h, sets->count, first ? f->others : 0, index + all, LO_OK, err);
    }
    free(index);
    return status;
}
