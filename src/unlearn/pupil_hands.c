/* The threads of a pupil: each goes through its slices of a batch with a network of its own, which reads the
 * first one's weights. */
#include "nn/kernels/float_mode.h"
#include "nn/presets/presets.h"
#include "unlearn/pupil_state.h"

#include <stdlib.h>
#include <string.h>

static void do_nothing(void *self, int thread)
{
    (void)self;
    (void)thread;
}

static lo_status make_hand(lo_pupil *pupil, const lo_model_spec *model, int thread, lo_error *err)
{
    const lo_dataset *dataset = pupil->dataset;
    lo_hand *hand = &pupil->hand[thread];
    LO_TRY(lo_network_build(model, dataset->shape, dataset->classes, &hand->network, err));
    pupil->hands = thread + 1;
    hand->network->owner = pupil->network;
    hand->network->slices = (lo_slices){.total = pupil->network->slices.total,
                                        .count = pupil->network->slices.count,
                                        .team = lo_thread_team_member(pupil->threads, thread)};
    return LO_OK;
}

lo_status lo_hands_create(lo_pupil *pupil, const lo_model_spec *model, int threads, lo_error *err)
{
    pupil->hand = calloc((size_t)threads, sizeof(*pupil->hand));
    if (pupil->hand == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for a pupil of %d threads", threads);
    }
    pupil->hand[0].network = pupil->network;
    pupil->hands = 1;
    if (threads == 1) {
        return LO_OK;
    }
    LO_TRY(lo_thread_team_create(pupil->team, threads, &pupil->threads, err));
    LO_TRY(lo_thread_team_call(pupil->threads, do_nothing, NULL, err)); /* are there so many? */
    pupil->network->slices.team = lo_thread_team_member(pupil->threads, 0);
    for (int t = 1; t < threads; t++) {
        LO_TRY(make_hand(pupil, model, t, err));
    }
    return LO_OK;
}

static void reserve(const lo_pupil *pupil, lo_hand *hand, lo_memory *memory)
{
    const lo_slices *slices = &hand->network->slices;
    const size_t slice = (pupil->capacity + slices->total - 1) / slices->total;
    lo_network_reserve(hand->network, lo_kernels_chosen(pupil->precision), slice * slices->count, memory);
    hand->image = lo_memory_floats(memory, lo_network_input_size(hand->network));
}

lo_status lo_hands_make_room(lo_pupil *pupil, lo_error *err)
{
    for (int t = 1; t < pupil->hands; t++) {
        lo_hand *hand = &pupil->hand[t];
        lo_memory memory = {0};
        lo_arena_destroy(&hand->arena);
        reserve(pupil, hand, &memory);
        hand->arena = lo_arena_create(memory.bytes);
        if (hand->arena == NULL) {
            return lo_fail(err, LO_INTERNAL, "no memory for a thread of unlearning: %zu bytes", memory.bytes);
        }
        memory = (lo_memory){.arena = hand->arena};
        reserve(pupil, hand, &memory);
    }
    return LO_OK;
}

void lo_hands_destroy(lo_pupil *pupil)
{
    for (int t = 1; t < pupil->hands; t++) {
        lo_network_destroy(&pupil->hand[t].network);
        lo_arena_destroy(&pupil->hand[t].arena);
    }
    free(pupil->hand);
    lo_thread_team_destroy(&pupil->threads);
}

const lo_tick *lo_hand_tick(const lo_pupil *pupil, const lo_hand *hand)
{
    return hand == pupil->hand ? pupil->tick : NULL;
}

/* What holds for the pupil's network holds for all. */
static void follow(const lo_pupil *pupil, const lo_hand *hand)
{
    const lo_network *first = pupil->network;
    lo_network *network = hand->network;
    network->weights = first->weights;
    memcpy(network->statistics, first->statistics, network->statistic_size * sizeof(float));
    network->draw = first->draw;
    network->slices.batch = first->slices.batch;
    for (int i = 0; i < network->layer_count; i++) {
        network->layer[i]->frozen = first->layer[i]->frozen;
    }
}

typedef struct call {
    lo_pupil *pupil;
    lo_hand_work *work;
    void *self;
    lo_status status; /* of the first thread */
} call;

static void work_as_thread(void *self, int thread)
{
    call *c = self;
    const lo_float_mode mode = lo_flush_denormals();
    const lo_status status = c->work(c->pupil, &c->pupil->hand[thread], c->self);
    lo_restore_floats(mode);
    if (thread == 0) {
        c->status = status;
    }
}

lo_status lo_pupil_on_hands(lo_pupil *pupil, lo_hand_work *work, void *self, lo_error *err)
{
    call c = {.pupil = pupil, .work = work, .self = self};
    if (pupil->threads == NULL) {
        work_as_thread(&c, 0);
        return c.status;
    }
    for (int t = 1; t < pupil->hands; t++) {
        follow(pupil, &pupil->hand[t]);
    }
    LO_TRY(lo_thread_team_call(pupil->threads, work_as_thread, &c, err));
    return c.status;
}
