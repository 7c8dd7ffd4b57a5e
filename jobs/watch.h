/* The tick of stages that farm nothing: the heart beats, and a stop, which comes to every rank or to rank 0,
 * ends the work at once. */
#ifndef LEAVEOUT_JOBS_WATCH_H
#define LEAVEOUT_JOBS_WATCH_H

#include "base/tick.h"
#include "mpi/run.h"

typedef struct lo_watch {
    lo_run *run;
    double last;
} lo_watch;

/* The watch must outlive the tick. */
lo_tick lo_watch_tick(lo_watch *watch);

#endif
