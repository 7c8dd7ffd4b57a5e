/* Time. */
#ifndef LEAVEOUT_BASE_CLOCK_H
#define LEAVEOUT_BASE_CLOCK_H

#include <stddef.h>

/* Seconds of a clock that never goes back; its zero means nothing. */
double lo_clock_monotonic(void);

/* Seconds since 1970 in UTC. */
double lo_clock_wall(void);

/* "2026-11-21T09:12:01Z" for a wall time; size at least 21. */
void lo_clock_iso(double wall, char *text, size_t size);

#endif
