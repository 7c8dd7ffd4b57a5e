#include "audit/relearn.h"

#include <math.h>

int64_t lo_relearn_epochs(const double *loss, int64_t count, double target, double tolerance)
{
    for (int64_t e = 0; e < count; e++) {
        if (loss[e] <= target + tolerance) {
            return e;
        }
    }
    return -1;
}

double lo_anamnesis(int64_t model_epochs, int64_t oracle_epochs)
{
    return model_epochs < 0 || oracle_epochs <= 0 ? NAN : (double)model_epochs / (double)oracle_epochs;
}
