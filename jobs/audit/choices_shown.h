/* What the report shows of runs of rum whose groups were chosen in different ways. */
#ifndef LEAVEOUT_JOBS_CHOICES_SHOWN_H
#define LEAVEOUT_JOBS_CHOICES_SHOWN_H

#include "base/status.h"
#include "mpi/h5file.h"
#include "report/choices.h"

#include <stddef.h>
#include <stdint.h>

/* From evaluation.h5, and groups of forget sets from audit.h5: a row for each choice on each forget set, in
 * the files' order. The reference of a set and of all other settings being equal is the one by memorization
 * without a control, else the first without one. The caller frees *choices, also after an error. Errors:
 * LO_IO, LO_DATA, LO_INTERNAL. */
lo_status lo_choices_show(const lo_h5_reader *evaluation, const lo_h5_reader *audit,
                          lo_report_choice **choices, int64_t *count, lo_error *err);

/* A short name of a method that tells its choices of groups apart: "rum by memorization", "rum by
 * memorization, shuffled", "rum vanilla"; of others their own. setting, model: as of lo_read_setting. */
void lo_choice_label(const lo_h5_reader *evaluation, const char *method, const char *setting,
                     const char *model, char *label, size_t size);

#endif
