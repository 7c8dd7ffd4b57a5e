#include "base/clock.h"

#include <time.h>

static double seconds(clockid_t clock)
{
    struct timespec t;
    (void)clock_gettime(clock, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

double lo_clock_monotonic(void)
{
    return seconds(CLOCK_MONOTONIC);
}

double lo_clock_wall(void)
{
    return seconds(CLOCK_REALTIME);
}

void lo_clock_iso(double wall, char *text, size_t size)
{
    const time_t t = (time_t)wall;
    struct tm parts;
    (void)gmtime_r(&t, &parts);
    if (strftime(text, size, "%Y-%m-%dT%H:%M:%SZ", &parts) == 0) {
        text[0] = '\0';
    }
}
