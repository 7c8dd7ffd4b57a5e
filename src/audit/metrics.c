#include "audit/metrics.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

static const lo_metric table[] = {
    {"lira", "likelihood-ratio attack: Gaussians of the margins of models with and without the example",
     "AUC 0.5", LO_NEEDS_ENSEMBLE},
    {"rmia",
     "robust membership attack: the label's probability, over that of other models and other examples",
     "AUC 0.5", LO_NEEDS_ENSEMBLE | LO_NEEDS_TEST},
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
