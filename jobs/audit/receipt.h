/* The receipt of a request to forget: what was to be forgotten, how, which model came of which, what the
 * audit found, and what that cannot promise. STUDY/receipts/MODEL.json, one for each run of unlearning. */
#ifndef LEAVEOUT_JOBS_RECEIPT_H
#define LEAVEOUT_JOBS_RECEIPT_H

#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* Is this the path of a receipt (DIR/receipts/NAME.json)? Then the study's directory is written to `study`.
 */
bool lo_receipt_study(const char *path, char *study, size_t size);

/* Writes the receipts of those runs of unlearning in STUDY/audit.h5 whose row r has r % ranks == rank.
 * Errors: LO_IO, LO_DATA, LO_INTERNAL. */
lo_status lo_receipts_write(const char *study, int rank, int ranks, int64_t *count, lo_error *err);

/* Is the receipt what its study says now: digests of the forget set and of the models' files, settings,
 * figures? It is made again and compared; the files that it is made from and the models' must have their
 * checksums, and the models' their tasks, so that a receipt changed together with one of them does not hold.
 * Errors: LO_DATA with the first line that differs or the file, or for one that is no receipt of a run of
 * this study; LO_IO. */
lo_status lo_receipt_verify(const char *path, const char *study, lo_error *err);

#endif
