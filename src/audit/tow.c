#include "audit/tow.h"

#include <math.h>

static double nearness(double model, double oracle)
{
    return 1 - fabs(model - oracle);
}

double lo_tow(lo_accuracies model, lo_accuracies oracle)
{
    return nearness(model.forget, oracle.forget) * nearness(model.retain, oracle.retain) *
           nearness(model.test, oracle.test);
}

double lo_tow_mia(lo_accuracies model, double model_mia, lo_accuracies oracle, double oracle_mia)
{
    return nearness(model_mia, oracle_mia) * nearness(model.retain, oracle.retain) *
           nearness(model.test, oracle.test);
}

double lo_avg_gap(lo_accuracies model, double model_mia, lo_accuracies oracle, double oracle_mia)
{
    /* |UA - UA'| is |FA - FA'|. */
    return (fabs(model.forget - oracle.forget) + fabs(model.retain - oracle.retain) +
            fabs(model.test - oracle.test) + fabs(model_mia - oracle_mia)) /
           4;
}

double lo_aus(double original_test, lo_accuracies model, bool whole_class)
{
    const double target = whole_class ? 0 : model.test;
    return (1 - (original_test - model.test)) / (1 + fabs(target - model.forget));
}
