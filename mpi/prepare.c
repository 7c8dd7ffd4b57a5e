#include "mpi/prepare.h"

#include "base/clock.h"
#include "base/tick.h"
#include "data/readers.h"
#include "data/sharing.h"
#include "mpi/agree.h"

#include <libgen.h>
#include <limits.h>
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>

enum { RECORDS_TAG = 1 };

typedef struct preparation {
    lo_run *run;
    lo_data_spec spec; /* with a tick of our own */
    lo_tick tick;
    const lo_shared_read *shared;
    lo_sharing sharing;
    int64_t grain;
    uint8_t *record; /* [grain, sharing.record] */
    double started, last_look, next_line;
} preparation;

/* Rank 0 beats its heart and sees who asks it to stop; the others see signals, which the next agreement
 * tells all. */
static lo_status on_tick(void *self)
{
    static const double interval = 0.01;
    preparation *p = self;
    if (p->run->rank != 0) {
        return lo_run_signal() != 0 ? LO_STOPPED : LO_OK;
    }
    const double now = lo_clock_monotonic();
    if (now - p->last_look > interval) {
        p->last_look = now;
        lo_run_watch(p->run);
    }
    return p->run->stopping ? LO_STOPPED : LO_OK;
}

static void show_progress(preparation *p, int64_t done)
{
    enum { LINE_SECONDS = 10 };
    const double now = lo_clock_monotonic();
    if (p->run->rank != 0 || now < p->next_line) {
        return;
    }
    p->next_line = now + (p->run->bar ? 1 : LINE_SECONDS);
    const double rate = (double)done / (now - p->started);
    lo_run_progress(p->run, (double)done / (double)p->sharing.examples,
                    "event=progress stage=data done=%lld total=%lld rate=%.0f/s eta_s=%.0f", (long long)done,
                    (long long)p->sharing.examples, rate, (double)(p->sharing.examples - done) / rate);
}

/* What a rank decodes in the round that begins at `first`. */
static int64_t share_of(const preparation *p, int64_t first, int rank, int64_t *from)
{
    *from = first + rank * p->grain;
    const int64_t left = p->sharing.examples - *from;
    return left <= 0 ? 0 : left < p->grain ? left : p->grain;
}

/* Rank 0 takes in what the ranks have decoded, in the order of the list. It receives everything, so that
 * nobody waits for it, even when it can no longer use it. */
static lo_status collect_round(preparation *p, int64_t first, lo_error *err)
{
    lo_status status = LO_OK;
    int64_t from = 0;
    if (p->run->rank != 0) {
        const int64_t count = share_of(p, first, p->run->rank, &from);
        if (count > 0) {
            MPI_Send(p->record, (int)((size_t)count * p->sharing.record), MPI_BYTE, 0, RECORDS_TAG,
                     p->run->comm);
        }
        return LO_OK;
    }
    for (int rank = 0; rank < p->run->ranks; rank++) {
        const int64_t count = share_of(p, first, rank, &from);
        if (count > 0 && rank > 0) {
            MPI_Recv(p->record, (int)((size_t)count * p->sharing.record), MPI_BYTE, rank, RECORDS_TAG,
                     p->run->comm, MPI_STATUS_IGNORE);
        }
        if (count > 0 && status == LO_OK) {
            status = p->shared->collect(&p->sharing, from, count, p->record, err);
        }
        if (status == LO_OK) {
            status = lo_tick_call(&p->tick);
        }
    }
    return status;
}

/* All ranks decode a block each and hand it over, until nothing is left. A failure, of whomever, ends the
 * round for all; of several the lowest rank's counts, which has the first of the files. */
static lo_status decode_all(preparation *p, lo_error *err)
{
    const int64_t round = p->grain * p->run->ranks;
    lo_status status = LO_OK;
    for (int64_t first = 0; first < p->sharing.examples; first += round) {
        int64_t from = 0;
        const int64_t count = share_of(p, first, p->run->rank, &from);
        if (status == LO_OK && count > 0) {
            status = p->shared->decode(&p->sharing, from, count, p->record, err);
        }
        LO_TRY(lo_agree(p->run->comm, status, err));
        status = collect_round(p, first, err);
        show_progress(p, first + round < p->sharing.examples ? first + round : p->sharing.examples);
    }
    return lo_agree(p->run->comm, status, err);
}

/* Rank 0 looks what there is; all get its list. */
static lo_status open_listing(preparation *p, lo_error *err)
{
    lo_listing listing = {0};
    lo_status status = LO_OK;
    if (p->run->rank == 0) {
        status = p->shared->list(p->spec.path, &p->spec.read, &listing, err);
    }
    status = lo_agree(p->run->comm, status, err);
    if (status == LO_OK) {
        status = lo_broadcast_buffer(p->run->comm, &listing.text, &listing.size, err);
    }
    if (status == LO_OK) {
        status = p->shared->open(p->spec.path, &p->spec.read, &listing, &p->sharing, err);
    }
    free(listing.text);
    if (status == LO_OK) {
        p->grain = lo_sharing_grain(&p->sharing);
        p->record = malloc((size_t)p->grain * p->sharing.record);
        status =
            p->record != NULL ? LO_OK : lo_fail(err, LO_INTERNAL, "%s: no memory to decode it", p->spec.path);
    }
    return lo_agree(p->run->comm, status, err);
}

/* Rank 0: the file, from what was collected. */
static lo_status write_collected(preparation *p, const char *file, lo_error *err)
{
    lo_source source = {0};
    lo_status status = p->shared->finish(&p->sharing, &source, err);
    if (status == LO_OK) {
        status = lo_dataset_prepare_source(&p->spec, &source, file, err);
    }
    lo_source_free(&source);
    return status;
}

static lo_status prepare_shared(preparation *p, const char *file, lo_error *err)
{
    LO_TRY(open_listing(p, err));
    LO_TRY(decode_all(p, err));
    const lo_status status = p->run->rank == 0 ? write_collected(p, file, err) : LO_OK;
    return lo_agree(p->run->comm, status, err);
}

/* Rank 0 says why it stops, though another rank may have got the signal. */
static lo_status explain_stop(lo_run *run, lo_error *err)
{
    int number = lo_run_signal();
    MPI_Allreduce(MPI_IN_PLACE, &number, 1, MPI_INT, MPI_MAX, run->comm);
    if (run->rank == 0 && !run->stopping && number != 0) {
        lo_run_pass_signal(number);
        lo_run_watch(run);
    }
    return lo_fail(err, LO_STOPPED, "stopped while the data set was prepared");
}

lo_status lo_prepare(lo_run *run, const lo_data_spec *spec, const char *file, lo_error *err)
{
    preparation p = {.run = run, .spec = *spec, .started = lo_clock_monotonic()};
    p.tick = (lo_tick){on_tick, &p};
    p.spec.read.tick = &p.tick;
    p.shared = spec->reader != NULL ? spec->reader->shared : NULL; /* none: refused below */
    p.next_line = p.started + 1;
    lo_status status = LO_OK;
    char directory[PATH_MAX];
    (void)snprintf(directory, sizeof(directory), "%s", file);
    p.spec.read.scratch = spec->read.scratch != NULL ? spec->read.scratch : dirname(directory);
    LO_TRY(lo_data_spec_check(spec, err)); /* the same on all ranks */
    if (p.shared != NULL) {
        status = prepare_shared(&p, file, err);
        p.shared->close(&p.sharing);
        free(p.record);
    } else {
        status = run->rank == 0 ? lo_dataset_prepare(&p.spec, file, err) : LO_OK;
        status = lo_agree(run->comm, status, err);
    }
    return status == LO_STOPPED ? explain_stop(run, err) : status;
}
