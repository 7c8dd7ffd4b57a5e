#include "base/status.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *lo_status_text(lo_status code)
{
    switch (code) {
#define LO_STATUS_CASE(name, value, text)                                                                    \
    case name:                                                                                               \
        return text;
        LO_STATUS_LIST(LO_STATUS_CASE)
#undef LO_STATUS_CASE
    }
    return "unknown status";
}

lo_status (lo_fail)(lo_error *err, lo_status code, const char *format, ...)
{
    if (err != NULL) {
        va_list args;
        va_start(args, format);
        (void)vsnprintf(err->text, sizeof(err->text), format, args);
        va_end(args);
    }
    return code;
}

lo_status (lo_fail_errno)(lo_error *err, lo_status code, const char *format, ...)
{
    const int number = errno;
    if (err != NULL) {
        va_list args;
        va_start(args, format);
        (void)vsnprintf(err->text, sizeof(err->text), format, args);
        va_end(args);
        const size_t used = strlen(err->text);
        (void)snprintf(err->text + used, sizeof(err->text) - used, ": %s", strerror(number));
    }
    return code;
}

lo_status (lo_fail_prefix)(lo_error *err, lo_status code, const char *format, ...)
{
    if (err != NULL) {
        char rest[sizeof(err->text)];
        memcpy(rest, err->text, sizeof(rest));
        va_list args;
        va_start(args, format);
        (void)vsnprintf(err->text, sizeof(err->text), format, args);
        va_end(args);
        const size_t used = strlen(err->text);
        (void)snprintf(err->text + used, sizeof(err->text) - used, ": %s", rest);
    }
    return code;
}
