/* Command lines by GNU conventions: operands, long options, --help. */
#ifndef LEAVEOUT_JOBS_OPTIONS_H
#define LEAVEOUT_JOBS_OPTIONS_H

#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>

enum { LO_MAX_OPERANDS = 16, LO_MAX_SETTINGS = 64 };

typedef struct lo_option {
    const char *name;  /* "study" for --study */
    const char *value; /* what it takes, for help: "DIR"; NULL: a flag */
    const char *help;
} lo_option;

typedef struct lo_command_line {
    const struct lo_command *command;
    int operand_count;
    const char *operand[LO_MAX_OPERANDS];
    int count; /* of options given, in order; an option may be repeated */
    const char *name[LO_MAX_SETTINGS];
    const char *value[LO_MAX_SETTINGS];
} lo_command_line;

/* Reads the words after the command's name. *help is set by --help. Errors: LO_USAGE. */
lo_status lo_options_read(const struct lo_command *command, int argc, char **argv, lo_command_line *out,
                          bool *help, lo_error *err);

/* The last value given for an option, or NULL. A flag that was given has the value "". */
const char *lo_option_value(const lo_command_line *line, const char *name);

/* The values of a repeatable option, in order; returns how many (at most LO_MAX_SETTINGS). */
int lo_option_values(const lo_command_line *line, const char *name, const char **values);

/* A whole number in [low, high]; fallback when not given. Errors: LO_USAGE. */
lo_status lo_option_int(const lo_command_line *line, const char *name, int64_t low, int64_t high,
                        int64_t fallback, int64_t *out, lo_error *err);

/* Prints usage and options of a command. */
void lo_options_help(const struct lo_command *command);

#endif
