#include "jobs/watch.h"

#include "base/clock.h"

static lo_status look(void *self)
{
    enum { PER_SECOND = 20 };
    lo_watch *w = self;
    const double now = lo_clock_monotonic();
    if (now - w->last < 1.0 / PER_SECOND) {
        return LO_OK;
    }
    w->last = now;
    if (w->run->rank == 0) {
        lo_run_watch(w->run);
    }
    return w->run->stopping || lo_run_signal() != 0 ? LO_STOPPED : LO_OK;
}

lo_tick lo_watch_tick(lo_watch *watch)
{
    return (lo_tick){look, watch};
}
