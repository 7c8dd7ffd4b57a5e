#include "unlearn/units.h"

#include "nn/layers/layer.h"

#include <stdlib.h>
#include <string.h>

/* Elements of a unit of a parameter. */
static size_t length_of(const lo_network *network, const lo_parameter *p, bool single)
{
    const bool rows = !single || strcmp(network->layer[p->layer]->type->name, "conv") == 0;
    return rows ? p->in * p->taps : 1;
}

lo_status lo_units_make(const lo_network *network, bool single, lo_units *units, lo_error *err)
{
    size_t count = 0, at = 0;
    *units = (lo_units){0};
    for (int k = 0; k < network->parameter_count; k++) {
        const lo_parameter *p = &network->parameter[k];
        count += p->statistic ? 0 : p->out * p->in * p->taps / length_of(network, p, single);
    }
    units->unit = calloc(count + 1, sizeof(*units->unit));
    if (units->unit == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for %zu channels", count);
    }
    for (int k = 0; k < network->parameter_count; k++) {
        const lo_parameter *p = &network->parameter[k];
        const size_t length = length_of(network, p, single), rows = p->out * p->in * p->taps / length;
        for (size_t row = 0; !p->statistic && row < rows; row++) {
            units->unit[units->count++] =
                (lo_unit){.start = at, .count = length, .rows = rows, .vector = p->in * p->taps == 1};
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
