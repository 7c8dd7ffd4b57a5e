/* What scores with trainings of their own share. */
#include "score/scores.h"

#include <math.h>
#include <stdlib.h>

typedef struct sums {
    double sum, squares;
    int64_t count;
} sums;

static void add(sums *s, float value)
{
    if (!isnan(value)) {
        s->sum += (double)value;
        s->squares += (double)value * (double)value;
        s->count++;
    }
}

static lo_estimate mean_of(const sums *s)
{
    lo_estimate e = {(float)NAN, (float)NAN, (float)NAN, (float)NAN};
    const double count = (double)s->count;
    if (s->count > 0) {
        e.value = (float)(s->sum / count);
    }
    if (s->count > 1) {
        const double variance = fmax(0, s->squares - s->sum * s->sum / count) / (count - 1);
        e.standard_error = (float)sqrt(variance / count);
    }
    return e;
}

lo_status lo_score_mean_of_tasks(const lo_score_input *input, int64_t tasks, lo_estimate *out, lo_error *err)
{
    sums *s = calloc((size_t)input->count + 1, sizeof(*s));
    lo_status status =
        s != NULL ? LO_OK : lo_fail(err, LO_INTERNAL, "no memory for %lld examples", (long long)input->count);
    for (int64_t t = 0; t < tasks && status == LO_OK; t++) {
        const float *values = NULL;
        status = input->result(input->self, t, &values, err);
        for (int64_t i = 0; i < input->count && status == LO_OK; i++) {
            add(&s[i], values[input->first + i]);
        }
    }
    for (int64_t i = 0; i < input->count && status == LO_OK; i++) {
        out[i] = mean_of(&s[i]);
    }
    free(s);
    return status;
}
