#include "unlearn/locate.h"

#include "unlearn/flip.h"
#include "unlearn/units.h"

#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* ---- the largest of many ---- */

enum { DIGIT_BITS = 11, DIGITS = 1 << DIGIT_BITS };

/* The bits of a double that is not negative order as the double does. */
static uint64_t bits_of(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof(bits));
    return bits;
}

/* The bits of the count-th largest value, found digit by digit, and how many values are larger. */
static uint64_t find_threshold(const double *value, size_t size, size_t count, size_t *larger)
{
    uint64_t prefix = 0, mask = 0;
    *larger = 0;
    for (int shift = 55; shift >= 0; shift -= DIGIT_BITS) {
        size_t here[DIGITS] = {0};
        for (size_t i = 0; i < size; i++) {
            const uint64_t bits = bits_of(value[i]);
            here[bits >> shift & (DIGITS - 1)] += (bits & mask) == prefix ? 1 : 0;
        }
        size_t digit = DIGITS - 1;
        while (digit > 0 && *larger + here[digit] < count) {
            *larger += here[digit--];
        }
        prefix |= (uint64_t)digit << shift;
        mask |= (uint64_t)(DIGITS - 1) << shift;
    }
    return prefix;
}

void lo_choose_largest(const double *value, size_t size, size_t count, uint8_t *chosen)
{
    size_t larger = 0;
    memset(chosen, 0, size);
    if (count == 0) {
        return;
    }
    const uint64_t threshold = find_threshold(value, size, count, &larger);
    size_t equal = count - larger; /* of those at the threshold, the first */
    for (size_t i = 0; i < size; i++) {
        const uint64_t bits = bits_of(value[i]);
        const bool last = bits == threshold && equal > 0;
        equal -= last ? 1 : 0;
        chosen[i] = bits > threshold || last ? 1 : 0;
    }
}

/* ---- scores ---- */

/* |w sum g|, |sum g| or |w| of every weight: absolute values come after the sum. */
static lo_status score_weights(lo_pupil *pupil, const lo_locate *locate, double *score, lo_error *err)
{
    const size_t size = lo_pupil_size(pupil);
    float *weights = malloc((size + 1) * sizeof(*weights));
    if (weights == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for %zu weights", size);
    }
    lo_pupil_weights(pupil, weights);
    const lo_status status = locate->criterion == LO_BY_WEIGHT
                                 ? LO_OK
                                 : lo_pupil_gradients(pupil, &locate->members, false, score, err);
    for (size_t i = 0; i < size && status == LO_OK; i++) {
        const double w = (double)weights[i];
        score[i] = fabs(locate->criterion == LO_BY_WEIGHT     ? w
                        : locate->criterion == LO_BY_GRADIENT ? score[i]
                                                              : w * score[i]);
    }
    free(weights);
    return status;
}

static int descending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x < y) - (x > y);
}

/* The h largest of scores come first, in no order (Hoare, "Find", CACM 4, 1961). */
static void bring_forward(double *score, size_t count, size_t h)
{
    ptrdiff_t low = 0, high = (ptrdiff_t)count - 1;
    const ptrdiff_t last = (ptrdiff_t)h - 1;
    while (low < high) {
        const double pivot = score[last];
        ptrdiff_t i = low, j = high;
        while (i <= j) {
            while (score[i] > pivot) {
                i++;
            }
            while (score[j] < pivot) {
                j--;
            }
            if (i <= j) {
                const double swap = score[i];
                score[i++] = score[j];
                score[j--] = swap;
            }
        }
        low = j < last ? i : low;
        high = last < i ? j : high;
    }
}

/* The mean of the h largest of a unit's scores, which are put in order. */
static double score_unit(const lo_unit *unit, lo_h_rule rule, double *score)
{
    double sum = 0;
    size_t h = rule == LO_H_ROW ? unit->count : (rule == LO_H_OF_ROWS ? unit->rows : unit->count) / 10;
    h = h < 1 ? 1 : h > unit->count ? unit->count : h;
    if (h < unit->count) {
        bring_forward(score, unit->count, h);
        qsort(score, h, sizeof(*score), descending);
    }
    for (size_t i = 0; i < h; i++) {
        sum += score[i];
    }
    return sum / (double)h;
}

/* Scores that know nothing of examples: they order units by chance or by place. */
static double blind_score(const lo_pupil *pupil, lo_criterion criterion, size_t number, size_t units)
{
    switch (criterion) {
    case LO_BY_CHANCE:
        return (double)lo_pupil_draw(pupil, LO_USE_CHOICE, 0, number, UINT64_C(1) << 53);
    case LO_BY_DEPTH:
        return (double)(units - number);
    default:
        return (double)number;
    }
}

static bool is_blind(lo_criterion criterion)
{
    return criterion == LO_BY_CHANCE || criterion == LO_BY_DEPTH || criterion == LO_BY_HEIGHT;
}

static lo_status choose_channels(lo_pupil *pupil, const lo_locate *locate, const lo_request *request,
                                 size_t most, double *score, uint8_t *chosen, lo_error *err)
{
    lo_units units = {0};
    LO_TRY(lo_units_make(lo_pupil_network(pupil), locate->criterion == LO_BY_FLIPPING, &units, err));
    lo_status status = LO_OK;
    if (locate->criterion == LO_BY_FLIPPING) {
        status = lo_flip_score(pupil, &locate->members, request, locate->flips, &units, err);
    } else if (!is_blind(locate->criterion)) {
        status = score_weights(pupil, locate, score, err);
    }
    for (size_t i = 0; i < units.count && status == LO_OK && locate->criterion != LO_BY_FLIPPING; i++) {
        lo_unit *unit = &units.unit[i];
        unit->score = is_blind(locate->criterion) ? blind_score(pupil, locate->criterion, i, units.count)
                                                  : score_unit(unit, locate->h, score + unit->start);
    }
    if (status == LO_OK) {
        lo_units_choose(&units, most, locate->cut_last, chosen);
    }
    free(units.unit);
    return status;
}

static lo_status choose_weights(lo_pupil *pupil, const lo_locate *locate, size_t most, double *score,
                                uint8_t *chosen, lo_error *err)
{
    const size_t size = lo_pupil_size(pupil);
    if (is_blind(locate->criterion)) {
        for (size_t i = 0; i < size; i++) {
            score[i] = blind_score(pupil, locate->criterion, i, size);
        }
    } else {
        LO_TRY(score_weights(pupil, locate, score, err));
    }
    lo_choose_largest(score, size, most, chosen);
    return LO_OK;
}

lo_status lo_locate_weights(lo_pupil *pupil, const lo_locate *locate, const lo_request *request,
                            uint8_t *chosen, lo_error *err)
{
    const size_t size = lo_pupil_size(pupil);
    const size_t most = (size_t)floor(locate->share * (double)size);
    double *score = calloc(size + 1, sizeof(*score));
    if (score == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for scores of %zu weights", size);
    }
    memset(chosen, 0, size);
    const lo_status status = locate->channels || locate->criterion == LO_BY_FLIPPING
                                 ? choose_channels(pupil, locate, request, most, score, chosen, err)
                                 : choose_weights(pupil, locate, most, score, chosen, err);
    free(score);
    return status;
}
