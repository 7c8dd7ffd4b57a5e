#include "score/neighbours.h"
#include "score/probe.h"

#include <stdlib.h>

extern const lo_score lo_score_prediction_depth;

static const lo_setting settings[] = {
    {"k", LO_SETTING_INT, "30", 1, 10000, NULL, "neighbours that vote"},
    {"values", LO_SETTING_TEXTS, "[]", 0, 0, NULL,
     "where probes are, in the network's order: input, names of layers, logits; default: after each block"},
};

typedef struct probes {
    lo_per_example *pass;
    int *value; /* [count] */
    int count;
    int32_t *prediction, *votes; /* [examples]: the network's own; [classes] */
    int64_t *nearest;            /* [examples, k] */
    float *logits;
} probes;

static void release(probes *p)
{
    lo_per_example_destroy(&p->pass);
    free(p->value);
    free(p->prediction);
    free(p->votes);
    free(p->nearest);
    free(p->logits);
}

static lo_status choose_values(const lo_score_input *input, probes *p, lo_error *err)
{
    p->count = (int)lo_item_length(input->item, "values");
    for (int i = 0; i < p->count; i++) {
        LO_TRY(
            lo_network_value(input->network, lo_item_text_at(input->item, "values", i), &p->value[i], err));
    }
    if (p->count == 0) {
        p->count = lo_probe_values(input->network, p->value);
    }
    return p->count > 0 ? LO_OK
                        : lo_item_fail(input->item, err,
                                       "the network has no hidden layer; set `values`, to [input] say");
}

static lo_status reserve_values(const lo_score_input *input, probes *p, lo_error *err)
{
    const size_t listed = (size_t)lo_item_length(input->item, "values");
    p->value = calloc((size_t)input->network->layer_count + listed, sizeof(*p->value));
    return p->value != NULL ? LO_OK : lo_fail(err, LO_INTERNAL, "no memory for probes");
}

static lo_status reserve(const lo_score_input *input, int64_t k, probes *p, lo_error *err)
{
    const size_t room = (size_t)input->count + 1, classes = (size_t)input->data->classes;
    LO_TRY(reserve_values(input, p, err));
    p->prediction = calloc(room, sizeof(*p->prediction));
    p->votes = calloc(classes, sizeof(*p->votes));
    p->nearest = calloc(room * (size_t)k, sizeof(*p->nearest));
    p->logits = calloc(room * classes, sizeof(*p->logits));
    if (p->prediction == NULL || p->votes == NULL || p->nearest == NULL || p->logits == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for %lld neighbours of %lld examples", (long long)k,
                       (long long)input->count);
    }
    return lo_per_example_create(input->network, input->data, NULL, 0, &p->pass, err);
}

static lo_status predict(const lo_score_input *input, probes *p, lo_error *err)
{
    const lo_example_list mine = {&input->data->train, NULL, input->first, input->count};
    const int32_t classes = input->data->classes;
    LO_TRY(lo_per_example_features(p->pass, &mine, input->network->layer_count, p->logits, input->tick, err));
    for (int64_t i = 0; i < input->count; i++) {
        const float *z = p->logits + i * classes;
        for (int32_t c = 1; c < classes; c++) {
            p->prediction[i] = z[c] > z[p->prediction[i]] ? c : p->prediction[i];
        }
    }
    return LO_OK;
}

static lo_status compute(const lo_score_input *input, lo_estimate *out, lo_error *err)
{
    const int64_t k = lo_item_int(input->item, "k");
    probes p = {0};
    lo_status status = LO_OK;
    LO_TRY_GOTO(status, reserve(input, k, &p, err), done);
    LO_TRY_GOTO(status, choose_values(input, &p, err), done);
    LO_TRY_GOTO(status, input->load(input->self, 0, err), done);
    LO_TRY_GOTO(status, predict(input, &p, err), done);
    for (int64_t i = 0; i < input->count; i++) {
        out[i].value = 0;
    }
    for (int probe = 0; probe < p.count; probe++) {
        LO_TRY_GOTO(status, lo_probe_neighbours(input, p.pass, p.value[probe], k, p.nearest, err), done);
        for (int64_t i = 0; i < input->count; i++) {
            const int32_t vote =
                lo_vote(p.nearest + i * k, k, input->data->train.label, input->data->classes, p.votes);
            out[i].value = vote != p.prediction[i] ? (float)(probe + 1) : out[i].value;
        }
    }
done:
    release(&p);
    return status;
}

static lo_score_work work(const lo_score_input *input)
{
    lo_score_input with = *input;
    lo_score_work work = {.evaluated = (double)input->n}; /* what the network itself says */
    lo_error unheard = {{0}};
    probes p = {0};
    with.network = lo_probe_network(input);
    if (with.network != NULL && reserve_values(&with, &p, &unheard) == LO_OK &&
        choose_values(&with, &p, &unheard) == LO_OK) {
        for (int i = 0; i < p.count; i++) {
            lo_probe_add_work(&with, p.value[i], lo_item_int(input->item, "k"), &work);
        }
    }
    release(&p);
    lo_network_destroy(&with.network);
    return work;
}

const lo_score lo_score_prediction_depth = {
    .name = "prediction_depth",
    .description = "how many blocks it takes until nearest neighbours agree with the prediction, to the end",
    .orientation = 1,
    .source = "Baldock, Maennel and Neyshabur 2021, arXiv 2106.09647",
    .needs = LO_FROM_WEIGHTS,
    .among = true,
    .setting = settings,
    .settings = 2,
    .compute = compute,
    .work = work,
};
