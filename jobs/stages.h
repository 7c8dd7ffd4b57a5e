/* The stages of a job, each one file: how its work is cut into tasks, shards and slabs, and what it
 * publishes. */
#ifndef LEAVEOUT_JOBS_STAGES_H
#define LEAVEOUT_JOBS_STAGES_H

#include "base/status.h"
#include "jobs/study/study.h"

/* All are collective and return the same status on every rank. Each does nothing when its section is not in
 * the job, or when what it would publish is there and was made from the same input. */

/* Trains the ensemble's models by the farm and publishes ensemble.h5. LO_STOPPED after a stop: what is
 * finished is published then too. */
lo_status lo_stage_ensemble(lo_study *study, lo_error *err);

/* ensemble.h5 from what the journals hold (for `leaveout report`, `compact`, `merge`). */
lo_status lo_publish_ensemble(lo_study *study, lo_ledger *ledger, bool *damaged, lo_error *err);

/* Trains the originals by the farm, keeps their weights and publishes training.h5. LO_STOPPED as above. */
lo_status lo_stage_originals(lo_study *study, lo_error *err);

/* training.h5 from what the journals hold. */
lo_status lo_publish_originals(lo_study *study, lo_ledger *ledger, bool *damaged, lo_error *err);

/* scores.h5 from ensemble.h5, training.h5 and the originals' weights: examples sharded over ranks, after the
 * trainings that scores have of their own. Nothing is kept of a pass that is stopped; trainings are. */
lo_status lo_stage_scores(lo_study *study, lo_error *err);

/* The same for `leaveout report`: what scores.h5 does not hold and takes more than reading is left out. */
lo_status lo_publish_scores(lo_study *study, lo_error *err);

/* scaling.h5 from scores.h5 and ensemble.h5: every score against memorization. Ranks share the bootstrap. */
lo_status lo_stage_scaling(lo_study *study, lo_error *err);

/* influence.h5 from ensemble.h5: test examples sharded over ranks. */
lo_status lo_stage_influence(lo_study *study, lo_error *err);

/* attribution.h5 from the prepared data: training examples sharded over ranks. Nothing is kept of a run that
 * is stopped. Errors: LO_USAGE for what does not fit into memory, with the number of ranks that would do. */
lo_status lo_stage_attribution(lo_study *study, lo_error *err);

/* Says before anything is trained what lo_stage_attribution would refuse: keys, and what does not fit. */
lo_status lo_stage_attribution_foresee(lo_study *study, lo_error *err);

/* forget.h5; oracles and originals that are made to forget, by the farm, and their weights; outputs.h5 and
 * evaluation.h5. After originals, and after the scores that forget sets are chosen by. LO_STOPPED as above.
 */
lo_status lo_stage_unlearning(lo_study *study, lo_error *err);

/* privacy.h5 from ensemble.h5: how well membership attacks tell which models were trained on an example; audit.h5 from
 * outputs.h5, evaluation.h5 and forget.h5. After unlearning. LO_STOPPED: what was not published is done again. */
lo_status lo_stage_audit(lo_study *study, lo_error *err);

/* manifest.json and report.html, by rank 0. */
lo_status lo_stage_report(lo_study *study, lo_error *err);

/* Test examples that a rank's block of the influence stage holds, for n training examples: its buffers are
 * this many rows of n floats, twice with errors. */
int64_t lo_influence_block(int64_t n);

#endif
