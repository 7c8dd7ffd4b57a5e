/* The scores that a job asks for: what they need, and whether the job has it. */
#ifndef LEAVEOUT_JOBS_SCORE_LIST_H
#define LEAVEOUT_JOBS_SCORE_LIST_H

#include "base/job.h"
#include "base/status.h"
#include "data/dataset.h"
#include "mpi/h5file.h"
#include "score/scores.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct lo_listed_score {
    const lo_score *score;
    char name[64]; /* of its group in scores.h5 */
    int orientation;
    lo_item *item;     /* its settings */
    char *settings;    /* as one text: lo_item_canonical */
    lo_setting *table; /* what settings it can have */
} lo_listed_score;

/* In the order in which they can be computed: scores that use others come after all the rest, and after
 * those that they use. */
typedef struct lo_score_list {
    int count;
    lo_listed_score *listed; /* [count] */
    lo_items *items;
} lo_score_list;

/* What the job lists; where it lists nothing and has an ensemble, all that its counts give, because the
 * report wants them and they cost nothing. Errors: as lo_items_read and lo_item_accept; LO_INTERNAL without
 * memory. The caller destroys it in any case. */
lo_status lo_score_list_read(const lo_job *job, lo_score_list *out, lo_error *err);
void lo_score_list_destroy(lo_score_list *list);

/* All that the scores of a list need. */
unsigned lo_score_list_needs(const lo_score_list *list);

/* What a score may know before anything is trained: data, settings, recipe, how many checkpoints and
 * originals. model and recipe are the caller's. */
lo_score_input lo_score_foresee(const lo_job *job, const lo_dataset *data, const lo_listed_score *listed,
                                const lo_model_spec *model, const lo_recipe *recipe);

/* Before anything is trained: does the job have what its scores need? data NULL: what can be said without.
 * Errors: LO_USAGE, which names the score and the key to set. */
lo_status lo_score_list_check(const lo_job *job, const lo_dataset *data, lo_error *err);

/* The names of the scores that a scores.h5 holds, separated by spaces; of a file that does not list them,
 * those of the table. Errors: LO_DATA. */
enum { LO_SCORE_NAMES_SIZE = 4096 };
lo_status lo_score_names(const lo_h5_reader *reader, char names[LO_SCORE_NAMES_SIZE], lo_error *err);

#endif
