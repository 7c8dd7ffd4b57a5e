/* Teams of ranks, and of ranks with threads: their sums, and whole trainings with the bits of one rank. */
#include "mpi/team.h"
#include "mpi_test.h"
#include "team_scene.h"

#include <math.h>
#include <stdint.h>

/* A value of an array that member m brings. */
static double value_of(int m, size_t i)
{
    return sin(1.0 + (double)i * 0.37 + 7.1 * m) * pow(10, (double)((i + (size_t)m) % 7));
}

/* The tree, written out. */
static double tree_of(size_t i, int first, int count, bool floats)
{
    if (count == 1) {
        return floats ? (double)(float)value_of(first, i) : value_of(first, i);
    }
    const double a = tree_of(i, first, count / 2, floats),
                 b = tree_of(i, first + count / 2, count / 2, floats);
    return floats ? (double)((float)a + (float)b) : a + b;
}

static void check_sums(const lo_team *team)
{
    static const size_t sizes[] = {0, 1, 3, 17, 1000, 700001};
    for (size_t k = 0; k < sizeof(sizes) / sizeof(sizes[0]); k++) {
        const size_t count = sizes[k];
        double *x = malloc((count + 1) * sizeof(*x));
        float *g = malloc((count + 1) * sizeof(*g));
        for (size_t i = 0; i < count; i++) {
            x[i] = value_of(team->member, i);
            g[i] = (float)x[i];
        }
        team->sum(team, x, count, NULL);
        team->sum_gradient(team, g, count, NULL);
        size_t wrong = 0;
        for (size_t i = 0; i < count; i++) {
            wrong += x[i] != tree_of(i, 0, team->members, false);
            wrong += (double)g[i] != tree_of(i, 0, team->members, true);
        }
        CHECK_INT(wrong, 0);
        free(x);
        free(g);
    }
}

static void check_gathering(const lo_team *team)
{
    enum { MOST = 3000000 };
    uint8_t *data = calloc(MOST, 1);
    size_t from[LO_MAX_SLICES + 1];
    for (int m = 0; m <= team->members; m++) { /* member 1 has none, the others more and more */
        from[m] = m == 0 ? 0 : m == 1 ? 5 : m == 2 ? 5 : (size_t)(m - 1) * 900001;
    }
    for (size_t i = from[team->member]; i < from[team->member + 1]; i++) {
        data[i] = (uint8_t)(i * 31 + 7);
    }
    team->gather(team, data, from, NULL);
    size_t wrong = 0;
    for (size_t i = 0; i < from[team->members]; i++) {
        wrong += data[i] != (uint8_t)(i * 31 + 7);
    }
    CHECK_INT(wrong, 0);
    memset(data, team->member == 0 ? 42 : 0, MOST);
    team->share(team, data, MOST, NULL);
    for (size_t i = 0; i < MOST; i++) {
        wrong += data[i] != 42;
    }
    CHECK_INT(wrong, 0);
    free(data);
}

/* Training and evaluation leave the same everywhere: on the leader all, on the others weights and outcomes.
 */
static void check_training(const team_scene *scene, const nn_data *data, const lo_team *team, int threads)
{
    lo_error err = {""};
    team_trace alone, together;
    CHECK_OK(team_play(scene, data, NULL, 1, NULL, NULL, &alone, &err));
    CHECK_OK(team_play(scene, data, team, threads, NULL, NULL, &together, &err));
    const char *difference = team_difference(&alone, &together);
    const bool leads = lo_team_leads(team);
    mpi_test_check(difference == NULL || (!leads && strstr(difference, "log") != NULL), __FILE__, __LINE__,
                   "%s, %d threads a rank: other %s", scene->what, threads, difference);
    free(alone.weights);
    free(together.weights);
}

typedef struct counter {
    int calls, stop_at;
} counter;

static lo_status count_down(void *self)
{
    counter *c = self;
    return ++c->calls >= c->stop_at ? LO_STOPPED : LO_OK;
}

static lo_save stop_soon(void *self, double share)
{
    int *left = self;
    (void)share;
    return --*left == 0 ? LO_SAVE_AND_STOP : LO_SAVE_NOTHING;
}

/* The leader's tick stops all, the others' do not; its checkpoint is gone on with by anybody. */
static void check_stops(const team_scene *scene, const nn_data *data, const lo_team *team)
{
    lo_error err = {""};
    team_trace alone, t;
    counter c = {.stop_at = 40};
    const lo_tick tick = {count_down, &c};
    CHECK_OK(team_play(scene, data, NULL, 1, NULL, NULL, &alone, &err));
    CHECK_INT(team_play(scene, data, team, 1, NULL, lo_team_leads(team) ? &tick : NULL, &t, &err),
              LO_STOPPED);
    c = (counter){.stop_at = 2};
    if (!lo_team_leads(team)) {
        CHECK_OK(team_play(scene, data, team, 1, NULL, &tick, &t, &err));
        CHECK(c.calls > 10);
        free(t.weights);
    } else {
        CHECK_OK(team_play(scene, data, team, 1, NULL, NULL, &t, &err));
        CHECK(team_difference(&alone, &t) == NULL);
        free(t.weights);
    }
    int left = 4;
    lo_checkpoint checkpoint = {.digest = 7, .ask = stop_soon, .self = &left};
    (void)snprintf(checkpoint.file, sizeof(checkpoint.file), "%s/%d.ckpt", mpi_test.folder,
                   mpi_test.rank / team->members);
    CHECK_INT(team_play(scene, data, team, 2, lo_team_leads(team) ? &checkpoint : NULL, NULL, &t, &err),
              LO_STOPPED);
    if (lo_team_leads(team)) { /* alone */
        CHECK_OK(team_play(scene, data, NULL, 1, &checkpoint, NULL, &t, &err));
        CHECK(team_difference(&alone, &t) == NULL);
        free(t.weights);
        left = 2;
        lo_checkpoint_remove(&checkpoint);
        CHECK_INT(team_play(scene, data, NULL, 1, &checkpoint, NULL, &t, &err), LO_STOPPED);
    }
    CHECK_OK(team_play(scene, data, team, 1, lo_team_leads(team) ? &checkpoint : NULL, NULL, &t, &err));
    CHECK(!lo_team_leads(team) || team_difference(&alone, &t) == NULL);
    free(t.weights);
    free(alone.weights);
}

int main(int argc, char **argv)
{
    mpi_test_begin(&argc, &argv);
    lo_error err = {""};
    lo_rank_team *team = NULL;
    CHECK_INT(lo_rank_team_create(MPI_COMM_WORLD, 3 * mpi_test.ranks, &team, &err), LO_USAGE);
    CHECK_TEXT(err.text, "a power of two and divides their number");
    CHECK_OK(lo_rank_team_create(MPI_COMM_WORLD, 1, &team, &err));
    CHECK(team == NULL && lo_rank_team_view(team) == NULL);
    nn_data *data = team_data();
    for (int size = 2; size <= mpi_test.ranks; size *= 2) {
        if (mpi_test.ranks % size != 0) {
            CHECK_INT(lo_rank_team_create(MPI_COMM_WORLD, size, &team, &err), LO_USAGE);
            continue;
        }
        CHECK_OK(lo_rank_team_create(MPI_COMM_WORLD, size, &team, &err));
        const lo_team *view = lo_rank_team_view(team);
        CHECK_INT(view->members, size);
        CHECK_INT(view->member, mpi_test.rank % size);
        check_sums(view);
        check_gathering(view);
        if (size * 2 <= mpi_test.ranks) { /* two teams beside each other */
            check_training(&team_scenes[1], data, view, 1);
            lo_rank_team_destroy(&team);
            continue;
        }
        for (int i = 0; i < (size == 2 ? TEAM_SCENES : 2); i++) {
            check_training(&team_scenes[i], data, view, 1);
        }
        check_training(&team_scenes[0], data, view, 2);
        check_training(&team_scenes[2], data, view, size == 2 ? 4 : 1);
        check_stops(&team_scenes[2], data, view);
        lo_rank_team_destroy(&team);
    }
    nn_data_destroy(data);
    return mpi_test_end("test_team");
}
