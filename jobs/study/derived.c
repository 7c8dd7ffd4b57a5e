#include "jobs/study/derived.h"

#include "base/clock.h"
#include "mpi/agree.h"

#include <limits.h>
#include <stdio.h>
#include <unistd.h>

/* Rank 0 looks, all do what it finds. */
static bool is_wanted(const lo_study *study, const lo_derived *derived, const lo_ensemble_file *ensemble)
{
    char path[PATH_MAX];
    (void)snprintf(path, sizeof(path), "%s/%s", study->run.study, derived->name);
    bool wanted = study->run.rank == 0 && !lo_ensemble_is_source_of(ensemble, path, derived->digest);
    MPI_Bcast(&wanted, 1, MPI_C_BOOL, 0, study->run.comm);
    return wanted;
}

static bool has_ensemble(const lo_study *study)
{
    char path[PATH_MAX];
    (void)snprintf(path, sizeof(path), "%s/ensemble.h5", study->run.study);
    bool there = study->run.rank == 0 && access(path, F_OK) == 0;
    MPI_Bcast(&there, 1, MPI_C_BOOL, 0, study->run.comm);
    return there;
}

static lo_status write_common(const lo_derived *derived, const lo_ensemble_file *ensemble, lo_h5 *h5,
                              lo_error *err)
{
    char digest[32];
    (void)snprintf(digest, sizeof(digest), "%016llx", (unsigned long long)derived->digest);
    LO_TRY(lo_h5_int(h5, "/", "format", LO_STUDY_FORMAT, err));
    LO_TRY(lo_h5_text(h5, "/", "version", LEAVEOUT_VERSION, err));
    LO_TRY(lo_h5_text(h5, "/", "digest", digest, err));
    LO_TRY(lo_h5_text(h5, "/", "ensemble", ensemble->identity, err));
    LO_TRY(lo_h5_int(h5, "/", "models", ensemble->rows - ensemble->diverged, err));
    LO_TRY(lo_h5_int(h5, "/", "models_diverged", ensemble->diverged, err));
    return lo_h5_real(h5, "/", "shared_training_core_seconds", ensemble->seconds, err);
}

static lo_status make(lo_study *study, const lo_derived *derived, const lo_ensemble_file *ensemble,
                      lo_error *err)
{
    const double start = lo_clock_monotonic();
    char path[PATH_MAX];
    uint64_t bytes = 0;
    lo_h5 h5 = {.id = -1};
    (void)snprintf(path, sizeof(path), "%s/%s", study->run.study, derived->name);
    LO_TRY(lo_agree(study->run.comm, derived->prepare(study, ensemble, derived->self, &bytes, err), err));
    LO_TRY(lo_h5_create(study->run.comm, path, bytes, &h5, err));
    lo_status status = write_common(derived, ensemble, &h5, err);
    if (status == LO_OK) {
        status = derived->write(study, ensemble, derived->self, &h5, err);
    }
    status = lo_h5_commit(&h5, status, err);
    if (status == LO_OK) {
        study->news = true;
        lo_run_say(&study->run, "event=published file=%s models=%lld seconds=%.2f", derived->name,
                   (long long)(ensemble->rows - ensemble->diverged), lo_clock_monotonic() - start);
    }
    return status;
}

lo_status lo_derive(lo_study *study, const lo_derived *derived, lo_error *err)
{
    lo_ensemble_file ensemble;
    if (!has_ensemble(study)) {
        return LO_OK;
    }
    LO_TRY(lo_study_lock(study, err));
    lo_status status = lo_agree(study->run.comm, lo_ensemble_open(study->run.study, &ensemble, err), err);
    if (status == LO_OK && is_wanted(study, derived, &ensemble)) {
        status = make(study, derived, &ensemble, err);
    }
    lo_ensemble_close(&ensemble);
    lo_study_unlock(study);
    return status;
}
