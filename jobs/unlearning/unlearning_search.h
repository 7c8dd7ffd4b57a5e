/* Settings to be tried: an element of unlearning.search has, for a method, lists of values of its settings.
 * Every combination is a method of its own, whose tasks are like any other's; which is best is said by the
 * evaluation. */
#ifndef LEAVEOUT_JOBS_UNLEARNING_SEARCH_H
#define LEAVEOUT_JOBS_UNLEARNING_SEARCH_H

#include "base/items.h"
#include "base/job.h"
#include "base/status.h"
#include "unlearn/methods.h"

#include <stdint.h>

typedef struct lo_variants {
    lo_item **item; /* [count], accepted */
    int64_t count;
    lo_item **copy; /* [copies]: what they are made of, one change each; owned */
    int64_t copies;
    lo_setting *lists; /* the method's settings as lists; owned */
} lo_variants;

/* The combinations of `spec`, its settings changed in `base`, the method's accepted item; or, with
 * unlearning.trials above 0, so many of them, by chance: more trials are those and more. spec and base must
 * outlive the variants. Errors: LO_USAGE for what the method does not take, or too many combinations;
 * LO_INTERNAL. Close it in any case, before base. */
lo_status lo_variants_make(const lo_job *job, lo_item *spec, const lo_unlearn_method *method,
                           const lo_item *base, lo_variants *out, lo_error *err);
void lo_variants_close(lo_variants *variants);

#endif
