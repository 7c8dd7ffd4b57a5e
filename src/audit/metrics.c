#include "audit/metrics.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

static const lo_metric table[] = {
    {"accuracy",
     "accuracy on forget, retain, validation and test set, UA = 1 - forget accuracy: in evaluation.h5",
     "the oracles'", 0},
    {"tow", "ToW: product over forget, retain and test set of 1 - |accuracy - an oracle's|: in evaluation.h5",
     "1", LO_NEEDS_ORACLE},
    {"tow_mia", "ToW with the efficacy of mia_svc in the place of the forget accuracy", "1",
     LO_NEEDS_ORACLE | LO_NEEDS_MIA},
    {"avg_gap", "mean of |model - oracle| over UA, retain and test accuracy and the efficacy of mia_svc", "0",
     LO_NEEDS_ORACLE | LO_NEEDS_MIA},
    {"accuracy_delta",
     "the papers' deltas: an oracle's accuracy less the model's, on forget, retain, validation "
     "and test set",
     "0", LO_NEEDS_ORACLE},
    {"aus", "adaptive unlearning score: test accuracy kept, over distance of the forget accuracy", "larger",
     LO_NEEDS_ORIGINAL},
    {"disagreement", "share of the forget set on which model and oracle name different classes", "0",
     LO_NEEDS_ORACLE},
    {"activation_distance", "mean distance of the probabilities on the forget set from an oracle's", "0",
     LO_NEEDS_ORACLE},
    {"js", "mean Jensen-Shannon divergence on the forget set from an oracle, summed over classes, nats", "0",
     LO_NEEDS_ORACLE},
    {"weight_distance", "relative distance of the weights from an oracle's, in all and by layer",
     "the oracles'", LO_NEEDS_ORACLE},
    {"zrf", "zero retrain forgetting: 1 - js from a network of random weights, on the forget set",
     "the oracles'", 0},
    {"relearn", "epochs until the forget set is learned again, and that over the oracles'", "the oracles'; 1",
     LO_NEEDS_ORACLE | LO_NEEDS_ORIGINAL},
    {"entanglement", "how far embeddings of forget and retain set spread into each other", "none", 0},
    {"mia_svc", "efficacy against a support-vector machine on the confidence, or other features",
     "the oracles'", 0},
    {"mia_loss", "accuracy of logistic regression on the loss, forget set against test set", "0.5", 0},
    {"mia_entropy", "the same on the entropy", "0.5", 0},
    {"mia_population", "share of the forget set with a loss below that of 1 % of a population never seen",
     "0.01", 0},
    {"lira", "likelihood-ratio attack: Gaussians of the margins of models with and without the example",
     "AUC 0.5", LO_NEEDS_REFERENCES},
    {"u_lira", "the same between models that forgot the example and models that never saw it", "AUC 0.5",
     LO_NEEDS_POPULATION},
    {"rmia",
     "robust membership attack: the label's probability, over that of other models and other examples",
     "AUC 0.5", LO_NEEDS_REFERENCES},
    {"klom", "Kullback-Leibler divergence of margins, unlearned models from oracles, 95th percentile",
     "the oracles'", LO_NEEDS_POPULATION},
    {"forgetting_quality", "the 2023 competition's, from margins of unlearned models and oracles",
     "0.18 to 0.20 of 512 + 512 models", LO_NEEDS_POPULATION},
};

int lo_metric_count(void)
{
    return (int)(sizeof(table) / sizeof(table[0]));
}

const lo_metric *lo_metric_at(int i)
{
    assert(i >= 0 && i < lo_metric_count());
    return &table[i];
}

const lo_metric *lo_metric_find(const char *name)
{
    for (int i = 0; i < lo_metric_count(); i++) {
        if (strcmp(table[i].name, name) == 0) {
            return &table[i];
        }
    }
    return NULL;
}
