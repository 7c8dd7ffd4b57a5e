/* Files derived from ensemble.h5 (scores.h5, influence.h5): made when the ensemble or the keys have changed,
 * else left. */
#ifndef LEAVEOUT_JOBS_DERIVED_H
#define LEAVEOUT_JOBS_DERIVED_H

#include "base/status.h"
#include "jobs/ensemble/ensemble_file.h"
#include "jobs/study/study.h"
#include "mpi/h5file.h"

#include <stdint.h>

typedef struct lo_derived {
    const char *name; /* "scores.h5" */
    uint64_t digest;  /* of the keys it depends on */
    /* Local: reads and computes what this rank needs before the file is begun, and says how large it will be.
     */
    lo_status (*prepare)(const lo_study *study, const lo_ensemble_file *ensemble, void *self, uint64_t *bytes,
                         lo_error *err);
    /* Collective: adds datasets and attributes, then writes this rank's slabs. */
    lo_status (*write)(lo_study *study, const lo_ensemble_file *ensemble, void *self, lo_h5 *h5,
                       lo_error *err);
    void *self;
} lo_derived;

/* Collective. Publishes the file unless it is there and was made from this ensemble with this digest, or
 * there is no ensemble yet. Returns the same status on every rank. */
lo_status lo_derive(lo_study *study, const lo_derived *derived, lo_error *err);

#endif
