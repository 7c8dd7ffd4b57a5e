/* Status codes and error texts: how every fallible function of leaveout reports. */
#ifndef LEAVEOUT_BASE_STATUS_H
#define LEAVEOUT_BASE_STATUS_H

/* One list of codes: X(name, value, meaning). The values are the program's exit codes. */
#define LO_STATUS_LIST(X)                                                                                    \
    X(LO_OK, 0, "done")                                                                                      \
    X(LO_USAGE, 2, "wrong use: command line or job file")                                                    \
    X(LO_DATA, 65, "bad data: a file that was read is not what it must be")                                  \
    X(LO_INTERNAL, 70, "internal error, or tasks given up")                                                  \
    X(LO_IO, 74, "input or output failed")                                                                   \
    X(LO_STOPPED, 75, "stopped in good order, or busy: run again")

typedef enum lo_status {
#define LO_STATUS_ENUM(name, value, text) name = (value),
    LO_STATUS_LIST(LO_STATUS_ENUM)
#undef LO_STATUS_ENUM
} lo_status;

/* The text of the first error; says what was read, where, what was found and what is allowed. */
typedef struct lo_error {
    char text[2048];
} lo_error;

/* What a code means, for messages and docs. Never NULL. */
const char *lo_status_text(lo_status code);

/* Writes a printf-formatted text into err (may be NULL) and returns code, so that `return lo_fail(...)`
 * works. */
lo_status lo_fail(lo_error *err, lo_status code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The same, with ": " and the text of errno appended. errno is read before anything else. */
lo_status lo_fail_errno(lo_error *err, lo_status code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Puts "context: " before a text that is there already and returns code. */
lo_status lo_fail_prefix(lo_error *err, lo_status code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The static analyzer does not see that these return their code: told so, it reports no impossible paths. */
#ifdef __clang_analyzer__
#define lo_fail(err, code, ...) ((void)(lo_fail)((err), (code), __VA_ARGS__), (code))
#define lo_fail_errno(err, code, ...) ((void)(lo_fail_errno)((err), (code), __VA_ARGS__), (code))
#define lo_fail_prefix(err, code, ...) ((void)(lo_fail_prefix)((err), (code), __VA_ARGS__), (code))
#endif

/* Returns from the calling function when `call` fails. For functions that own nothing yet. */
#define LO_TRY(call)                                                                                         \
    do {                                                                                                     \
        lo_status lo_try_ = (call);                                                                          \
        if (lo_try_ != LO_OK) {                                                                              \
            return lo_try_;                                                                                  \
        }                                                                                                    \
    } while (0)

/* Sets `status` and jumps to the one clean-up label when `call` fails. */
#define LO_TRY_GOTO(status, call, label)                                                                     \
    do {                                                                                                     \
        (status) = (call);                                                                                   \
        if ((status) != LO_OK) {                                                                             \
            goto label;                                                                                      \
        }                                                                                                    \
    } while (0)

#endif
