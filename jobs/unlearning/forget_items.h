/* Forget sets as a job file writes them: {name: random10, select: random, share: 0.1}. */
#ifndef LEAVEOUT_JOBS_FORGET_ITEMS_H
#define LEAVEOUT_JOBS_FORGET_ITEMS_H

#include "base/items.h"
#include "base/job.h"
#include "base/status.h"
#include "unlearn/forget.h"

extern const lo_setting lo_forget_settings[];
extern const int lo_forget_setting_count;

/* Takes the settings and says what is wrong with them, as far as that can be said without the data: settings,
 * sizes, lists and files of numbers, scores. Errors: LO_USAGE with the item's place; those of
 * lo_score_named_check; LO_IO. */
lo_status lo_forget_item_check(lo_item *item, const lo_job *job, lo_error *err);

/* Takes the settings and chooses. study NULL: nothing was computed yet; a set that goes by a score of the
 * study is then checked as far as it can be, and comes out empty. *size: of the set, in that case what it
 * will be. Errors: LO_USAGE with the item's place; those of lo_forget_select and lo_score_named_read. The
 * caller frees the set. */
lo_status lo_forget_item_select(lo_item *item, const lo_job *job, const lo_dataset *data, const char *study,
                                lo_forget_set *out, int64_t *size, lo_error *err);

/* The other sets for models 0 .. count - 1 beside an item's set (unlearn/matched.h), into out [count], which
 * is zeros; the item was accepted, its score is known. Where there is no such set, why says so. Errors: as
 * before. The caller frees the sets. */
lo_status lo_forget_item_matched(const lo_item *item, const lo_job *job, const lo_dataset *data,
                                 const char *study, const lo_forget_set *set, int64_t count,
                                 lo_forget_set *out, char *why, size_t size, lo_error *err);

#endif
