#include "score/neighbours.h"
#include "score/probe.h"

#include <math.h>
#include <stdlib.h>

extern const lo_score lo_score_knn_disagreement;

static const lo_setting settings[] = {
    {"k", LO_SETTING_INT, "30", 1, 10000, NULL, "neighbours that are asked"},
    {"value", LO_SETTING_TEXT, "", 0, 0, NULL,
     "where they are looked for: input or the name of a layer; default: what the last layer takes"},
};

static float disagreement(const lo_examples *train, int64_t example, const int64_t *nearest, int64_t k)
{
    int64_t others = 0, asked = 0;
    for (; asked < k && nearest[asked] >= 0; asked++) {
        others += train->label[nearest[asked]] != train->label[example];
    }
    return asked > 0 ? (float)((double)others / (double)asked) : (float)NAN;
}

static lo_status find_value(const lo_score_input *input, int *value, lo_error *err)
{
    const lo_network *network = input->network;
    const char *name = lo_item_text(input->item, "value");
    *value = network->layer[network->layer_count - 1]->value[0];
    return name[0] != '\0' ? lo_network_value(network, name, value, err) : LO_OK;
}

static lo_status compute(const lo_score_input *input, lo_estimate *out, lo_error *err)
{
    const int64_t k = lo_item_int(input->item, "k");
    int value = 0;
    lo_per_example *pass = NULL;
    lo_status status = LO_OK;
    int64_t *nearest = calloc((size_t)(input->count * k) + 1, sizeof(*nearest));
    if (nearest == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for %lld neighbours", (long long)k);
    }
    LO_TRY_GOTO(status, find_value(input, &value, err), done);
    LO_TRY_GOTO(status, input->load(input->self, 0, err), done);
    LO_TRY_GOTO(status, lo_per_example_create(input->network, input->data, NULL, 0, &pass, err), done);
    LO_TRY_GOTO(status, lo_probe_neighbours(input, pass, value, k, nearest, err), done);
    for (int64_t i = 0; i < input->count; i++) {
        out[i].value = disagreement(&input->data->train, input->first + i, nearest + i * k, k);
    }
done:
    lo_per_example_destroy(&pass);
    free(nearest);
    return status;
}

static lo_score_work work(const lo_score_input *input)
{
    lo_score_input with = *input;
    lo_score_work work = {0};
    lo_error unheard = {{0}};
    int value = 0;
    with.network = lo_probe_network(input);
    if (with.network != NULL && find_value(&with, &value, &unheard) == LO_OK) {
        lo_probe_add_work(&with, value, lo_item_int(input->item, "k"), &work);
    }
    lo_network_destroy(&with.network);
    return work;
}

const lo_score lo_score_knn_disagreement = {
    .name = "knn_disagreement",
    .description = "share of an example's nearest neighbours, by the last hidden layer, with another label",
    .orientation = 1,
    .source =
        "Papernot and McDaniel 2018, arXiv 1803.04765, have the neighbours; here of the example's own label",
    .needs = LO_FROM_WEIGHTS,
    .among = true,
    .setting = settings,
    .settings = 2,
    .compute = compute,
    .work = work,
};
