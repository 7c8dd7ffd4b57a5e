#include "audit/weight_distance.h"

#include <math.h>

static lo_weight_distance finished(lo_weight_distance d)
{
    d.distance = sqrt(d.squares);
    d.relative = 2 * d.distance / (sqrt(d.squares_a) + sqrt(d.squares_b));
    return d;
}

lo_weight_distance lo_weights_apart(const float *a, const float *b, int64_t count)
{
    lo_weight_distance d = {0};
    for (int64_t i = 0; i < count; i++) {
        const double x = a[i], y = b[i];
        d.squares += (x - y) * (x - y);
        d.squares_a += x * x;
        d.squares_b += y * y;
    }
    return finished(d);
}

lo_weight_distance lo_weights_apart_in_all(const lo_weight_distance *layer, int64_t layers)
{
    lo_weight_distance d = {0};
    for (int64_t i = 0; i < layers; i++) {
        d.squares += layer[i].squares;
        d.squares_a += layer[i].squares_a;
        d.squares_b += layer[i].squares_b;
    }
    return finished(d);
}
