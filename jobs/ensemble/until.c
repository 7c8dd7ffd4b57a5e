#include "jobs/ensemble/until.h"

#include "base/tick.h"
#include "jobs/ensemble/ensemble_file.h"
#include "jobs/study/farmed.h"
#include "jobs/study/outcome.h"
#include "mpi/agree.h"
#include "score/scores.h"
#include "score/subset.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* What one model was trained on and right on. */
typedef struct model_bits {
    uint8_t *mask, *correct; /* [ceil(n/8)] */
    bool counts;             /* finished, and did not diverge */
} model_bits;

struct lo_until {
    lo_until_rule rule;
    lo_design design; /* with as many models as are allowed */
    int64_t n;
    lo_counts *counts;     /* [n] */
    lo_pairs *pairs;       /* [n]: complementary */
    model_bits now, first; /* first: the first model of a pair */
    float *error;          /* [n] */
    int64_t counted;       /* models that are in the counts */
    lo_until_answer answer;
};

bool lo_until_of(const lo_job *job, lo_until_rule *out)
{
    *out = (lo_until_rule){0};
    if (!lo_job_has(job, "ensemble") || !lo_job_has(job, "ensemble.until")) {
        return false;
    }
    *out = (lo_until_rule){.target = lo_job_real(job, "ensemble.until.standard_error"),
                           .over = lo_over_named(lo_job_text(job, "ensemble.until.over")),
                           .first = lo_job_int(job, "ensemble.until.first")};
    return true;
}

void lo_until_destroy(lo_until **until)
{
    lo_until *u = *until;
    if (u != NULL) {
        free(u->counts);
        free(u->pairs);
        free(u->now.mask);
        free(u->now.correct);
        free(u->first.mask);
        free(u->first.correct);
        free(u->error);
        free(u);
        *until = NULL;
    }
}

static bool bits_create(int64_t n, model_bits *out)
{
    out->mask = calloc(lo_bit_bytes(n) + 1, 1);
    out->correct = calloc(lo_bit_bytes(n) + 1, 1);
    return out->mask != NULL && out->correct != NULL;
}

lo_status lo_until_create(const lo_study *study, lo_until **out, lo_error *err)
{
    const int64_t n = study->data.train.count;
    lo_until *u = calloc(1, sizeof(*u));
    *out = u;
    bool room = u != NULL;
    if (room && study->run.rank == 0) { /* who counts */
        u->counts = calloc((size_t)n, sizeof(*u->counts));
        u->pairs = calloc((size_t)n, sizeof(*u->pairs));
        u->error = calloc((size_t)n, sizeof(*u->error));
        room = u->counts != NULL && u->pairs != NULL && u->error != NULL && bits_create(n, &u->now) &&
               bits_create(n, &u->first);
    }
    if (!room) {
        lo_until_destroy(out);
        return lo_fail(err, LO_INTERNAL, "no memory for the counts of %lld examples", (long long)n);
    }
    (void)lo_until_of(study->job, &u->rule);
    u->n = n;
    u->design = study->design;
    u->answer.models = lo_stopping_next(&u->design, u->rule.first, 0);
    return LO_OK;
}

/* ---- one model ---- */

/* Of a model whose record was compacted: its row of ensemble.h5. */
static lo_status read_published(const lo_study *study, int64_t model, model_bits *out, lo_error *err)
{
    lo_ensemble_file file;
    lo_status status = lo_ensemble_open(study->run.study, &file, err);
    int64_t row = -1;
    for (int64_t r = 0; status == LO_OK && r < file.rows; r++) {
        row = file.model[r] == model ? r : row;
    }
    if (status == LO_OK && row < 0) {
        status = lo_fail(err, LO_DATA, "%s does not hold model %lld, which was compacted out of the journal",
                         file.reader.file, (long long)model);
    }
    if (status == LO_OK) {
        out->counts = (file.use[model / 8] >> (model % 8) & 1) != 0;
        status = lo_h5_read(&file.reader, "/mask", LO_H5_U8, row, 1, out->mask, err);
    }
    if (status == LO_OK) {
        status = lo_h5_read(&file.reader, "/train/correct", LO_H5_U8, row, 1, out->correct, err);
    }
    lo_ensemble_close(&file);
    return status;
}

static lo_status read_model(lo_study *study, const lo_ledger *ledger, int64_t model, model_bits *out,
                            bool *damaged, lo_error *err)
{
    const lo_entry *e = &ledger->entry[model];
    out->counts = false;
    if (e->file < 0) {
        return LO_OK; /* given up */
    }
    if (e->compacted) {
        return read_published(study, model, out, err);
    }
    lo_record record;
    char *payload = NULL;
    lo_outcome o;
    lo_status status = lo_ledger_payload(ledger, model, &record, &payload, err);
    if (status == LO_OK) {
        status = lo_outcome_read(payload, record.payload_size, study->data.train.count,
                                 study->data.test.count, &o, err);
    }
    if (status == LO_OK) {
        out->counts = o.diverged == 0;
        memcpy(out->mask, o.mask, lo_bit_bytes(o.n_train));
        memcpy(out->correct, o.train_correct, lo_bit_bytes(o.n_train));
    } else if (status == LO_DATA) {
        *damaged = true;
        const lo_error why = *err;
        status = lo_farmed_void(study, ledger, model, why.text, err);
    }
    free(payload);
    return status;
}

static bool bit(const uint8_t *bits, int64_t i)
{
    return (bits[i / 8] >> (i % 8) & 1) != 0;
}

static void count_model(lo_until *u)
{
    for (int64_t i = 0; i < u->n && u->now.counts; i++) {
        lo_counts *c = &u->counts[i];
        const bool right = bit(u->now.correct, i);
        if (bit(u->now.mask, i)) {
            c->in++;
            c->in_hit += right;
        } else {
            c->out++;
            c->out_hit += right;
        }
    }
}

/* The two halves of a pair; every example is in one of them. */
static void count_pair(lo_until *u)
{
    for (int64_t i = 0; i < u->n && u->now.counts && u->first.counts; i++) {
        const int first = bit(u->first.correct, i);
        const int second = bit(u->now.correct, i);
        const int gain = bit(u->first.mask, i) ? first - second : second - first;
        u->pairs[i].pairs++;
        u->pairs[i].plus += gain > 0;
        u->pairs[i].minus += gain < 0;
    }
}

/* Reads and counts models until `models` are in the counts. */
static lo_status count_models(lo_until *u, lo_study *study, const lo_ledger *ledger, int64_t models,
                              bool *damaged, lo_error *err)
{
    const bool paired = u->design.kind == LO_DESIGN_COMPLEMENTARY;
    for (; u->counted < models; u->counted++) {
        lo_run_watch(&study->run);
        LO_TRY(read_model(study, ledger, u->counted, &u->now, damaged, err));
        if (*damaged) {
            /* The pair is begun again when its model was made anew. */
            u->counted -= paired ? u->counted % 2 : 0;
            return LO_OK;
        }
        if (!paired) {
            count_model(u);
        } else if (u->counted % 2 == 1) {
            count_pair(u);
        } else {
            const model_bits swap = u->first;
            u->first = u->now;
            u->now = swap;
        }
    }
    return LO_OK;
}

/* ---- decisions ---- */

static lo_status error_now(lo_until *u, bool paired, double *out, lo_error *err)
{
    const double factor = u->design.kind == LO_DESIGN_BALANCED ? lo_block_factor(u->design.block) : 1;
    for (int64_t i = 0; i < u->n; i++) {
        const lo_counts *c = &u->counts[i];
        const lo_pairs *p = &u->pairs[i];
        const lo_estimate e = paired ? lo_paired_difference(p->plus, p->minus, p->pairs)
                                     : lo_difference(c->in_hit, c->in, c->out_hit, c->out);
        u->error[i] = (float)(factor * (double)e.standard_error);
    }
    return lo_stopping_error(u->error, u->n, u->rule.over, out, err);
}

/* Are the first so many models finished, or given up? */
static bool are_there(const lo_ledger *ledger, int64_t models)
{
    for (int64_t k = 0; k < models; k++) {
        if (ledger->entry[k].file < 0 && !ledger->entry[k].given_up) {
            return false;
        }
    }
    return true;
}

/* Rank 0: looks at one number of models after the other, until one is enough or not there. */
static lo_status decide(lo_until *u, lo_study *study, const lo_ledger *ledger, bool *damaged, lo_error *err)
{
    const bool paired = u->design.kind == LO_DESIGN_COMPLEMENTARY;
    lo_until_answer *a = &u->answer;
    while (!a->decided && are_there(ledger, a->models)) {
        LO_TRY(count_models(u, study, ledger, a->models, damaged, err));
        if (*damaged) {
            return LO_OK;
        }
        LO_TRY(error_now(u, paired, &a->error, err));
        const bool enough = a->error <= u->rule.target;
        const bool last = a->models == u->design.models;
        lo_run_say(&study->run, "event=until models=%lld standard_error=%.5f target=%g over=%s enough=%s",
                   (long long)a->models, a->error, u->rule.target, lo_over_name(u->rule.over),
                   enough ? "yes"
                   : last ? "no, and no more are allowed"
                          : "no");
        a->decided = enough || last;
        if (!a->decided) {
            a->models = lo_stopping_next(&u->design, u->rule.first, a->models);
        }
    }
    return LO_OK;
}

lo_status lo_until_look(lo_until *until, lo_study *study, const lo_ledger *ledger, lo_until_answer *out,
                        bool *damaged, lo_error *err)
{
    *damaged = false;
    const lo_status status =
        study->run.rank == 0 && !until->answer.decided ? decide(until, study, ledger, damaged, err) : LO_OK;
    LO_TRY(lo_agree(study->run.comm, status, err));
    MPI_Bcast(damaged, 1, MPI_C_BOOL, 0, study->run.comm);
    lo_broadcast(study->run.comm, &until->answer, sizeof(until->answer));
    *out = until->answer;
    return LO_OK;
}
