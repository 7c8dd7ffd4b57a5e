#include "score/moments.h"
#include "score/scores.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

extern const lo_score lo_score_memorization;

static const lo_setting settings[] = {
    {"by", LO_SETTING_CHOICE, "correctness", 0, 0, "correctness probability margin",
     "what of a model is compared: right or not, the label's probability, its margin phi"},
};

static void from_counts(const lo_score_input *input, lo_estimate *out)
{
    const double factor = lo_block_factor(input->block);
    for (int64_t i = 0; i < input->count; i++) {
        if (input->pairs != NULL) {
            const lo_pairs *p = &input->pairs[i];
            out[i] = lo_paired_difference(p->plus, p->minus, p->pairs);
        } else {
            const lo_counts *c = &input->counts[i];
            out[i] = lo_widened(lo_difference(c->in_hit, c->in, c->out_hit, c->out), factor, 1);
        }
    }
}

/* Means over the models with an example and over those without. */
static lo_status from_arms(const lo_score_input *input, lo_measure measure, lo_estimate *out, lo_error *err)
{
    lo_status status = LO_OK;
    const size_t room = (size_t)input->count + 1;
    lo_moments *in = calloc(2 * room, sizeof(*in));
    if (in == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for the moments of %lld examples",
                       (long long)input->count);
    }
    lo_moments *without = in + room;
    const double factor = lo_block_factor(input->block);
    const double most = measure == LO_MEASURE_PROBABILITY ? 1 : INFINITY;
    for (int64_t m = 0; m < input->models; m++) {
        lo_model_outcome o;
        LO_TRY_GOTO(status, input->outcome(input->self, m, &o, err), done);
        lo_moments_add_model(measure, o.in, o.margin, input->count, in, without);
        LO_TRY_GOTO(status, lo_tick_call(input->tick), done);
    }
    for (int64_t i = 0; i < input->count; i++) {
        out[i] = lo_widened(lo_moments_difference(measure, &in[i], &without[i]), factor, most);
    }
done:
    free(in);
    return status;
}

/* Of two models one is kept while the other is read. A twin is read once for all that are compared with it.
 */
typedef struct kept {
    int64_t row; /* -1: none yet */
    uint8_t *in;
    float *margin;
} kept;

static lo_status keep(const lo_score_input *input, int64_t row, kept *k, lo_error *err)
{
    lo_model_outcome o;
    if (k->row == row) {
        return LO_OK;
    }
    LO_TRY(input->outcome(input->self, row, &o, err));
    memcpy(k->in, o.in, (size_t)input->count);
    memcpy(k->margin, o.margin, (size_t)input->count * sizeof(*k->margin));
    k->row = row;
    return LO_OK;
}

/* The mean over pairs of models that differ in being trained on an example. */
static lo_status from_pairs(const lo_score_input *input, lo_measure measure, lo_estimate *out, lo_error *err)
{
    lo_status status = LO_OK;
    const size_t room = (size_t)input->count + 1;
    lo_moments *pairs = calloc(room, sizeof(*pairs));
    kept first = {-1, calloc(room, 1), calloc(room, sizeof(*first.margin))};
    if (pairs == NULL || first.in == NULL || first.margin == NULL) {
        status =
            lo_fail(err, LO_INTERNAL, "no memory for the moments of %lld examples", (long long)input->count);
        goto done;
    }
    for (int64_t p = 0; p < input->row_pairs; p++) {
        int64_t a;
        int64_t b;
        lo_model_outcome o;
        input->row_pair(input->self, p, &a, &b);
        LO_TRY_GOTO(status, keep(input, a, &first, err), done);
        LO_TRY_GOTO(status, input->outcome(input->self, b, &o, err), done);
        lo_moments_add_pair(measure, first.in, first.margin, o.in, o.margin, input->count, pairs);
        LO_TRY_GOTO(status, lo_tick_call(input->tick), done);
    }
    for (int64_t i = 0; i < input->count; i++) {
        out[i] = lo_moments_paired(measure, &pairs[i]);
    }
done:
    free(pairs);
    free(first.in);
    free(first.margin);
    return status;
}

static lo_status compute(const lo_score_input *input, lo_estimate *out, lo_error *err)
{
    const char *by = input->item != NULL ? lo_item_text(input->item, "by") : settings[0].fallback;
    const lo_measure measure = strcmp(by, "margin") == 0 ? LO_MEASURE_MARGIN : LO_MEASURE_PROBABILITY;
    if (strcmp(by, "correctness") == 0) {
        from_counts(input, out);
        return LO_OK;
    }
    return input->pairs != NULL ? from_pairs(input, measure, out, err) : from_arms(input, measure, out, err);
}

/* What is called memorization in files and reports is a difference of two shares of models. */
static lo_status check(const lo_score_input *input, lo_error *err)
{
    const char *by = lo_item_text(input->item, "by");
    return strcmp(by, "correctness") == 0 || lo_item_given(input->item, "as")
               ? LO_OK
               : lo_item_fail(input->item, err,
                              "by: %s needs a name of its own, since memorization alone is by correctness; "
                              "set as, such as memorization_%s",
                              by, by);
}

const lo_score lo_score_memorization = {
    .name = "memorization",
    .description = "how much likelier models are right on an example when they were trained on it",
    .orientation = 1,
    .source = "Feldman and Zhang 2020, arXiv 2008.03703",
    .needs = LO_FROM_COUNTS | LO_FROM_OUTCOMES,
    .gives = LO_GIVES_ERROR | LO_GIVES_INTERVAL,
    .setting = settings,
    .settings = 1,
    .compute = compute,
    .check = check,
};
