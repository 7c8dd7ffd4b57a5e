/* Ticks: how a long loop of src lets the layers above it serve messages and ask it to stop. */
#ifndef LEAVEOUT_BASE_TICK_H
#define LEAVEOUT_BASE_TICK_H

#include "base/status.h"

#include <stddef.h>

/* Every loop that can run longer than 50 ms calls its tick at least that often, cheaply and as often as it
 * likes: a tick that has nothing to do costs some tens of nanoseconds. Anything but LO_OK must be returned at
 * once by the loop (LO_STOPPED: give the work up, in good order). */
typedef struct lo_tick {
    lo_status (*call)(void *self);
    void *self;
} lo_tick;

/* tick may be NULL: nothing is called. */
static inline lo_status lo_tick_call(const lo_tick *tick)
{
    return tick != NULL ? tick->call(tick->self) : LO_OK;
}

#endif
