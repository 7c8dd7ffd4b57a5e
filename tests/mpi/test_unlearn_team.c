/* Methods of unlearning by teams of ranks, and of threads of ranks, that share the slices of a batch: the
 * bits of one thread of one rank, and of training where a method is that. */
#include "mpi/team.h"
#include "mpi_test.h"
#include "nn/trainer.h"
#include "score/scores.h"
#include "unit/nn_data.h"
#include "unlearn/methods.h"

enum { TRAIN = 90, VALIDATION = 30, SLICES = 4 };

static const char *const texts[] = {
    "retrain",
    "{name: finetune, epochs: 2}",
    "{name: neggrad, epochs: 2, mode: eval}",
    "{name: neggrad_plus, epochs: 1, optimizer: adamw, lr: 1.0e-3}",
    "{name: salun, epochs: 1}",
    "{name: l1_sparse, epochs: 1}",
    "{name: scrub, epochs: 2, rewind: true, lr: 0.01}",
    "{name: bad_teacher, lr: 1.0e-3}",
    "{name: ssd, alpha: 1}",
    "{name: ssd, alpha: 1, importance: batch, batch: 7}",
    "{name: influence, iterations: 3}",
    "{name: random_label, epochs: 2}",
    "{name: random_label, epochs: 2, passes: mixed, wrong_only: true}",
    "{name: amnesiac, epochs: 2}",
    "{name: del, epochs: 2}",
    "{name: del, epochs: 1, criterion: greedy, flips: 3}",
    "{name: nabla_tau, epochs: 4, batch: 6}",
    "{name: nabla_tau, epochs: 2, mode: train, gate: sq}",
    "{name: imu, epochs: 2, l1: 0.001}",
    "{name: imu, epochs: 2, weights: all, top: 0.5, l1: 0.0001}",
    "{name: imu, epochs: 2, refresh: batch, top: 0.7, l1: 0.001}",
    "{name: imu, epochs: 2, weights: all, refresh: batch, top: 0.7, l1: 0.0001, batch: 6}",
    "{name: rum, inner: [none, {name: finetune, epochs: 1}, {name: del, epochs: 1}]}",
    "{name: rum, inner: [{name: finetune, epochs: 1}, {name: neggrad, epochs: 1}, none], rescore: "
    "final_loss}"};
enum { TEXTS = sizeof(texts) / sizeof(texts[0]) };

typedef struct scene {
    nn_data *data;
    lo_model_spec model;
    lo_recipe recipe;
    uint32_t forget[TRAIN], retain[TRAIN];
    double score[TRAIN];
    lo_request request;
} scene;

static void make_scene(scene *s)
{
    memset(s, 0, sizeof(*s));
    s->data = nn_data_create((lo_shape){2, 8, 7}, 3, TRAIN, VALIDATION);
    s->data->dataset.validation = s->data->dataset.test;
    s->model = (lo_model_spec){
        .preset = "layers",
        .layers = "[{conv: 5}, batch_norm, relu, {max_pool: 2}, {conv: 4}, relu, flatten, {dropout: 0.2}, "
                  "{linear: 3}]"};
    s->recipe = (lo_recipe){.epochs = 2,
                            .batch = 12,
                            .lr = 0.05,
                            .momentum = 0.9,
                            .beta1 = 0.9,
                            .beta2 = 0.999,
                            .epsilon = 1e-8,
                            .seed = 4,
                            .augment = {.flip = LO_FLIP_RANDOM, .crop = 1},
                            .slices = SLICES};
    s->request = (lo_request){.dataset = &s->data->dataset,
                              .name = "fifths",
                              .forget = s->forget,
                              .retain = s->retain,
                              .seed = 4,
                              .run = 3,
                              .score = s->score};
    for (uint32_t i = 0; i < TRAIN; i++) {
        s->score[i] = (double)(i * 41 % TRAIN);
        if (i % 5 == 2) {
            s->forget[s->request.forget_count++] = i;
        } else {
            s->retain[s->request.retain_count++] = i;
        }
    }
}

typedef struct counter {
    int calls, stop_at;
} counter;

static lo_status count_down(void *self)
{
    counter *c = self;
    return ++c->calls == c->stop_at ? LO_STOPPED : LO_OK;
}

/* Weights and statistics after a method that begins with weights of its own; NULL where it failed. */
static float *run(const scene *s, const lo_team *team, int threads, const char *text, counter *left,
                  lo_status *status)
{
    char list[256];
    lo_items *items = NULL;
    lo_pupil *pupil = NULL;
    lo_error err = {""};
    float *values = NULL;
    const lo_tick tick = {count_down, left};
    lo_request request = s->request;
    request.rescore = strstr(text, "rescore") != NULL ? lo_score_find("final_loss") : NULL;
    (void)snprintf(list, sizeof(list), "[%s]", text);
    *status = lo_pupil_create_team(&s->model, &s->recipe, &s->data->dataset, team, threads, &pupil, &err);
    *status = *status == LO_OK ? lo_items_parse(list, NULL, "methods", &items, &err) : *status;
    if (*status == LO_OK) {
        lo_item *item = lo_items_at(items, 0);
        const lo_unlearn_method *method = lo_unlearn_method_find(lo_item_name(item));
        const lo_network *network = lo_pupil_network(pupil);
        *status = lo_item_accept(item, method->settings, method->setting_count, &err);
        (void)lo_pupil_begin(pupil, &request, 0, NULL, &err);
        (void)lo_pupil_renew(pupil, 1);
        *status = *status == LO_OK ? method->run(pupil, &request, item, &tick, &err) : *status;
        values = calloc(network->weight_size + network->statistic_size, sizeof(*values));
        memcpy(values, network->weights, network->weight_size * sizeof(*values));
        memcpy(values + network->weight_size, network->statistics, network->statistic_size * sizeof(*values));
    }
    mpi_test_check(*status == LO_OK || left->stop_at > 0, __FILE__, __LINE__, "%s: %s", text, err.text);
    lo_items_destroy(&items);
    lo_pupil_destroy(&pupil);
    return values;
}

static void check_training(const scene *s, const float *retrained)
{
    lo_error err = {""};
    lo_trainer *trainer = NULL;
    lo_pupil *pupil = NULL;
    lo_training training;
    CHECK_OK(lo_pupil_create(&s->model, &s->recipe, &s->data->dataset, &pupil, &err));
    CHECK_OK(lo_pupil_begin(pupil, &s->request, 0, NULL, &err));
    CHECK_OK(lo_trainer_create(&s->model, &s->recipe, &s->data->dataset, &trainer, &err));
    CHECK_OK(lo_trainer_run(trainer, lo_pupil_key(pupil, LO_USE_WEIGHTS), s->request.retain,
                            s->request.retain_count, NULL, &training, &err));
    const lo_network *network = lo_trainer_network(trainer);
    CHECK(memcmp(network->weights, retrained, network->weight_size * sizeof(float)) == 0);
    CHECK(memcmp(network->statistics, retrained + network->weight_size,
                 network->statistic_size * sizeof(float)) == 0);
    lo_trainer_destroy(&trainer);
    lo_pupil_destroy(&pupil);
}

/* By a team, with so many threads a rank, as by one. */
static void check_team(const scene *s, const lo_team *team, int threads, const char *text, const float *one,
                       size_t floats)
{
    counter counts = {0};
    lo_status together;
    const int members = team != NULL ? team->members : 1;
    float *all = run(s, team, threads, text, &counts, &together);
    mpi_test_check(one != NULL && all != NULL && memcmp(one, all, floats * sizeof(float)) == 0, __FILE__,
                   __LINE__, "%s: other bits by a team of %d with %d threads", text, members, threads);
    if (strcmp(text, "retrain") == 0) {
        check_training(s, all);
    }
    free(all);
    /* The leader's tick alone counts, and all leave, early or in the midst of something else, or all come
     * to the end: how often it is called depends on who waits for whom. */
    for (int stop = 5; stop <= 35; stop += 15) {
        counter stops = {0, lo_team_leads(team) ? stop : 3};
        all = run(s, team, threads, text, &stops, &together);
        CHECK(together == LO_STOPPED || (stop > 5 && together == LO_OK));
        free(all);
    }
}

int main(int argc, char **argv)
{
    scene s;
    lo_error err = {""};
    lo_rank_team *ranks = NULL;
    mpi_test_begin(&argc, &argv);
    make_scene(&s);
    const int size = mpi_test.ranks % 4 == 0 ? 4 : mpi_test.ranks % 2 == 0 ? 2 : 1;
    CHECK_OK(lo_rank_team_create(MPI_COMM_WORLD, size, &ranks, &err));
    const lo_team *team = lo_rank_team_view(ranks);
    size_t floats = 0;
    for (int i = 0; i < TEXTS; i++) {
        counter first = {0};
        lo_status alone;
        if (floats == 0) {
            lo_pupil *pupil = NULL;
            CHECK_OK(lo_pupil_create(&s.model, &s.recipe, &s.data->dataset, &pupil, &err));
            floats = lo_pupil_network(pupil)->weight_size + lo_pupil_network(pupil)->statistic_size;
            lo_pupil_destroy(&pupil);
        }
        float *one = run(&s, NULL, 1, texts[i], &first, &alone);
        check_team(&s, team, 1, texts[i], one, floats);
        if (size < 4) { /* slices for two threads each */
            check_team(&s, team, 2, texts[i], one, floats);
        }
        if (size == 1) {
            check_team(&s, NULL, 4, texts[i], one, floats);
        }
        free(one);
    }
    lo_pupil *pupil = NULL;
    s.recipe.slices = 3;
    CHECK_INT(lo_pupil_create(&s.model, &s.recipe, &s.data->dataset, &pupil, &err), LO_USAGE);
    lo_rank_team_destroy(&ranks);
    nn_data_destroy(s.data);
    return mpi_test_end("test_unlearn_team");
}
