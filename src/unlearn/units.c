#include "unlearn/units.h"

#include <stdlib.h>
#include <string.h>

lo_status lo_units_make(const lo_network *network, lo_units *units, lo_error *err)
{
    size_t count = 0, at = 0;
    *units = (lo_units){0};
    for (int k = 0; k < network->parameter_count; k++) {
        count += network->parameter[k].statistic ? 0 : network->parameter[k].out;
    }
    units->unit = calloc(count + 1, sizeof(*units->unit));
    if (units->unit == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for %zu channels", count);
    }
    for (int k = 0; k < network->parameter_count; k++) {
        const lo_parameter *p = &network->parameter[k];
        const size_t length = p->in * p->taps;
        for (size_t row = 0; !p->statistic && row < p->out; row++) {
            units->unit[units->count++] = (lo_unit){.start = at, .count = length, .rows = p->out};
            at += length;
        }
    }
    return LO_OK;
}

static int compare(const void *a, const void *b)
{
    const lo_unit *x = a, *y = b;
    if (x->score != y->score) {
        return x->score > y->score ? -1 : 1;
    }
    return x->start < y->start ? -1 : 1;
}

void lo_units_choose(lo_units *units, size_t most, bool cut, uint8_t *chosen)
{
    size_t taken = 0;
    qsort(units->unit, units->count, sizeof(*units->unit), compare);
    for (size_t i = 0; i < units->count && units->unit[i].score >= 0; i++) {
        const lo_unit *unit = &units->unit[i];
        const size_t left = most - taken;
        if (unit->count > left) {
            memset(chosen + unit->start, 1, cut ? left : 0);
            return;
        }
        memset(chosen + unit->start, 1, unit->count);
        taken += unit->count;
    }
}
