/* Vectors of the level portable: GNU C vectors of four floats, which every compiler target has or imitates.
 * See kernels_body.h. */
#include <math.h>

#define VEC  4
#define ROWS 4
typedef float V __attribute__((vector_size(16)));
typedef int lane_mask __attribute__((vector_size(16)));

static inline V select_lanes(lane_mask mask, V a, V b)
{
    return (V)((mask & (lane_mask)a) | (~mask & (lane_mask)b));
}

static inline V lanes_(unsigned bits, V a, V b)
{
    const int all = (int)bits;
    const lane_mask lane = {1, 2, 4, 8};
    return select_lanes(((lane_mask){all, all, all, all} & lane) == lane, a, b);
}

static inline V sqrt_(V x)
{
    return (V){sqrtf(x[0]), sqrtf(x[1]), sqrtf(x[2]), sqrtf(x[3])};
}

#define all(x)               ((V){(x), (x), (x), (x)})
#define fma_(a, b, c)        ((a) * (b) + (c))
#define max_(a, b)           select_lanes((a) > (b), a, b)
#define greater_(x, y, a, b) select_lanes((x) > (y), a, b)
#define pick_(x, a, b)       greater_(x, (V){0}, a, b)
