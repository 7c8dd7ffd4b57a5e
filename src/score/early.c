#include "score/early.h"

#include <stdlib.h>

const lo_setting lo_early_settings[LO_EARLY_SETTINGS] = {
    {"epoch", LO_SETTING_INT, "0", 0, 100000, NULL,
     "After which epoch; 0: a tenth of train.epochs, at least 1."},
    {"seeds", LO_SETTING_INT, "5", 1, 10000, NULL, "How many trainings, from other weights each."},
};

static int64_t epoch_of(const lo_score_input *input)
{
    const int64_t epoch = lo_item_int(input->item, "epoch");
    const int64_t epochs = input->recipe->epochs;
    return epoch > 0 ? epoch : (epochs + 9) / 10;
}

lo_status lo_early_check(const lo_score_input *input, lo_error *err)
{
    const int64_t epochs = input->recipe->epochs;
    return epoch_of(input) <= epochs
               ? LO_OK
               : lo_item_fail(input->item, err, "epoch: found %lld; allowed: up to train.epochs, %lld",
                              (long long)epoch_of(input), (long long)epochs);
}

int64_t lo_early_tasks(const lo_score_input *input)
{
    return lo_item_int(input->item, "seeds");
}

lo_status lo_early_compute(const lo_score_input *input, lo_estimate *out, lo_error *err)
{
    return lo_score_mean_of_tasks(input, lo_early_tasks(input), out, err);
}

double lo_early_work(const lo_score_input *input)
{
    return (double)(lo_early_tasks(input) * epoch_of(input) * input->n);
}

/* The rest of the training is not wanted: it is told to stop. */
typedef struct end {
    int64_t epoch;
    bool reached;
} end;

static lo_status after_epoch(void *self, int64_t epochs, lo_error *err)
{
    (void)err;
    end *e = self;
    e->reached = epochs == e->epoch;
    return e->reached ? LO_STOPPED : LO_OK;
}

lo_status lo_early_train(const lo_score_input *input, int64_t seed, lo_trainer **out, bool *diverged,
                         lo_error *err)
{
    end e = {.epoch = epoch_of(input)};
    const lo_observer observer = {.after_epoch = after_epoch, .self = &e};
    lo_training training = {0};
    uint32_t *members = malloc((size_t)input->n * sizeof(*members) + 1);
    *out = NULL;
    if (members == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for %lld examples", (long long)input->n);
    }
    for (int64_t i = 0; i < input->n; i++) {
        members[i] = (uint32_t)i;
    }
    lo_status status = input->trainer(input->self, input->recipe, input->data, out, err);
    if (status == LO_OK) {
        lo_trainer_observe(*out, &observer);
        lo_trainer_checkpoint(*out, input->saving);
        status = lo_trainer_run(*out, (uint64_t)seed, members, input->n, input->tick, &training, err);
        lo_trainer_observe(*out, NULL);
        lo_trainer_checkpoint(*out, NULL);
    }
    *diverged = training.diverged;
    free(members);
    return status == LO_STOPPED && e.reached ? LO_OK : status;
}
