#include "plan/cost.h"

#include "base/random.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

/* ---- the farm ---- */

static double over_rate(double bytes, double rate)
{
    return rate > 0 ? bytes / rate : 0;
}

typedef struct worker {
    double free_at;
    bool asks; /* all but rank 0 have to */
} worker;

/* Workers as a heap, the one that is free first on top: it is busy until `then`. */
static void occupy(worker *heap, int64_t workers, double then)
{
    const worker busy = {.free_at = then, .asks = heap[0].asks};
    int64_t at = 0;
    for (int64_t child = 1; child < workers; child = 2 * at + 1) {
        if (child + 1 < workers && heap[child + 1].free_at < heap[child].free_at) {
            child++;
        }
        if (heap[child].free_at >= then) {
            break;
        }
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = busy;
}

static double draw_seconds(const lo_cost_tasks *kind, int64_t repetition, int64_t task)
{
    if (kind->spread <= 0) {
        return kind->seconds;
    }
    const lo_random random = lo_random_make(1, LO_FOR_PLAN);
    const double deviation = lo_random_normal(random, (uint64_t)repetition, (uint64_t)task);
    return fmax(0, kind->seconds + kind->spread * deviation);
}

/* One course of the stage: when its last task ends. */
static double simulate(const lo_cost_machine *machine, const lo_cost_farm *farm, int64_t tasks,
                       int64_t workers, int64_t repetition, worker *heap)
{
    const double record = machine->sync_seconds + over_rate(farm->record_bytes, machine->write_rate);
    double end = 0;
    int64_t task = 0;
    for (int64_t w = 0; w < workers; w++) {
        heap[w] = (worker){.free_at = 0, .asks = w > 0};
    }
    for (int k = 0; k < farm->kinds; k++) {
        for (int64_t i = 0; i < farm->kind[k].count; i++, task++) {
            const bool unhidden = heap[0].asks && (task < workers || task > tasks - workers);
            const double then = heap[0].free_at + (unhidden ? machine->claim_seconds : 0) +
                                draw_seconds(&farm->kind[k], repetition, task) + record;
            end = fmax(end, then);
            occupy(heap, workers, then);
        }
    }
    return end;
}

lo_status lo_cost_farmed(const lo_cost_machine *machine, const lo_cost_farm *farm, int64_t workers,
                         lo_cost *out, lo_error *err)
{
    enum { DRAWS = 400000, MOST_REPETITIONS = 1000 };
    int64_t tasks = 0;
    bool varies = false;
    *out = (lo_cost){0};
    for (int k = 0; k < farm->kinds; k++) {
        tasks += farm->kind[k].count;
        varies = varies || farm->kind[k].spread > 0;
        out->busy += (double)farm->kind[k].count * farm->kind[k].seconds;
    }
    if (tasks == 0) {
        return LO_OK;
    }
    /* Those beyond the number of tasks have nothing to do. */
    const int64_t used = workers < tasks ? workers : tasks;
    worker *heap = malloc((size_t)used * sizeof(*heap));
    if (heap == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory to foresee %lld workers", (long long)used);
    }
    int64_t repetitions = varies ? DRAWS / tasks : 1;
    repetitions = repetitions < 1 ? 1 : repetitions > MOST_REPETITIONS ? MOST_REPETITIONS : repetitions;
    for (int64_t r = 0; r < repetitions; r++) {
        out->wall += simulate(machine, farm, tasks, used, r, heap) / (double)repetitions;
    }
    free(heap);
    const double written = over_rate((double)tasks * farm->record_bytes, machine->write_rate);
    const double served = workers > 1 ? (double)tasks * machine->serve_seconds : 0;
    out->wall = fmax(out->wall, fmax(written, served));
    return LO_OK;
}

/* ---- passes and files ---- */

lo_cost lo_cost_sharded(const lo_cost_machine *machine, double seconds, int64_t items, double bytes,
                        int64_t ranks)
{
    lo_cost cost = {.busy = seconds};
    if (items > 0) {
        cost.wall = seconds * (double)((items + ranks - 1) / ranks) / (double)items;
    }
    if (ranks > 1) {
        cost.wall += 2 * ceil(log2((double)ranks)) * machine->message_seconds +
                     over_rate(2 * bytes * (double)(ranks - 1) / (double)ranks, machine->reduce_rate);
    }
    return cost;
}

double lo_cost_published(const lo_cost_machine *machine, double bytes, int64_t files)
{
    return (double)files * machine->sync_seconds + over_rate(bytes, machine->write_rate);
}
