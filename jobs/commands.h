/* The program's commands. Each returns the exit code: a lo_status. */
#ifndef LEAVEOUT_JOBS_COMMANDS_H
#define LEAVEOUT_JOBS_COMMANDS_H

#include "base/status.h"
#include "jobs/options.h"
#include "jobs/study/study.h"

typedef struct lo_command {
    const char *name;
    const char *arguments;    /* for the usage line */
    const char *summary;      /* one line */
    const lo_option *options; /* ends with a zeroed one */
    int operands_min, operands_max;
    lo_status (*run)(const lo_command_line *line, lo_error *err);
} lo_command;

/* The table, in the order of --help; ends with a zeroed one. */
extern const lo_command lo_commands[];

lo_status lo_command_run(const lo_command_line *line, lo_error *err);
lo_status lo_command_merge(const lo_command_line *line, lo_error *err);
lo_status lo_command_import(const lo_command_line *line, lo_error *err);
lo_status lo_command_check(const lo_command_line *line, lo_error *err);
lo_status lo_command_plan(const lo_command_line *line, lo_error *err);
lo_status lo_command_submit(const lo_command_line *line, lo_error *err);
lo_status lo_command_status(const lo_command_line *line, lo_error *err);
lo_status lo_command_stop(const lo_command_line *line, lo_error *err);
lo_status lo_command_report(const lo_command_line *line, lo_error *err);
lo_status lo_command_export(const lo_command_line *line, lo_error *err);
lo_status lo_command_methods(const lo_command_line *line, lo_error *err);
lo_status lo_command_verify(const lo_command_line *line, lo_error *err);
lo_status lo_command_compact(const lo_command_line *line, lo_error *err);
lo_status lo_command_bench(const lo_command_line *line, lo_error *err);
lo_status lo_command_help(const lo_command_line *line, lo_error *err);

/* What the commands on ranks share. Starts MPI, opens the study, does the work on all ranks, and ends both.
 */
lo_status lo_with_study(const lo_study_options *options,
                        lo_status (*work)(lo_study *study, const void *self, lo_error *err), const void *self,
                        lo_error *err);

/* Collective. Publishes what the journals hold, and what is computed from it, and writes the report. */
lo_status lo_publish_all(lo_study *study, lo_error *err);

#endif
