#include "audit/lira.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

typedef struct item {
    double phi;
    int64_t row;
} item;

/* The models of one side for one example, sorted by margin. */
typedef struct side {
    item *item;
    int64_t count;
    double mean, squares; /* sum of squared distances from the mean */
} side;

typedef struct sides {
    item *room; /* [2 models] */
    side in, out;
} sides;

static int by_margin(const void *a, const void *b)
{
    const double x = ((const item *)a)->phi, y = ((const item *)b)->phi;
    return (x > y) - (x < y);
}

static void finish(side *s)
{
    qsort(s->item, (size_t)s->count, sizeof(*s->item), by_margin);
    double sum = 0;
    for (int64_t k = 0; k < s->count; k++) {
        sum += s->item[k].phi;
    }
    s->mean = s->count > 0 ? sum / (double)s->count : NAN;
    s->squares = 0;
    for (int64_t k = 0; k < s->count; k++) {
        s->squares += (s->item[k].phi - s->mean) * (s->item[k].phi - s->mean);
    }
}

static lo_status sides_create(int64_t models, sides *s, lo_error *err)
{
    *s = (sides){.room = malloc((2 * (size_t)models + 1) * sizeof(*s->room))};
    if (s->room == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for the margins of %lld models", (long long)models);
    }
    s->in.item = s->room;
    s->out.item = s->room + models;
    return LO_OK;
}

static void sides_of(const lo_references *references, int64_t example, sides *s)
{
    s->in.count = s->out.count = 0;
    for (int64_t m = 0; m < references->models; m++) {
        const float phi = lo_margin_of(references, m, example);
        if (!isnan(phi)) {
            side *own = lo_trained_on(references, m, example) ? &s->in : &s->out;
            own->item[own->count++] = (item){phi, m};
        }
    }
    finish(&s->in);
    finish(&s->out);
}

/* A side as the attacker of item k knows it: without it (k < 0: all of it). */
typedef struct gaussian {
    double centre, deviation;
} gaussian;

static double median_without(const side *s, int64_t k)
{
    const int64_t n = s->count - (k >= 0);
    double sum = 0;
    for (int64_t middle = (n - 1) / 2; middle <= n / 2; middle++) {
        sum += s->item[k >= 0 && middle >= k ? middle + 1 : middle].phi;
    }
    return n % 2 == 1 ? sum : sum / 2;
}

/* A deviation of all examples, or 0: each its own; its degrees of freedom, or 0. */
typedef struct spread {
    double deviation;
    int64_t degrees;
} spread;

static spread in_spread(const lo_lira *options)
{
    return (spread){options->in_deviation, options->in_degrees};
}

static spread out_spread(const lo_lira *options)
{
    return (spread){options->out_deviation, options->out_degrees};
}

static gaussian known(const side *s, int64_t k, bool median, spread all)
{
    const int64_t n = s->count - (k >= 0);
    if (n < (all.deviation != 0 ? 1 : 2)) {
        return (gaussian){NAN, NAN};
    }
    const double off = k >= 0 ? s->item[k].phi - s->mean : 0;
    const double mean = s->mean - off / (double)n;
    const double out = off * off * (double)(n + 1) / (double)n; /* of the squares */
    double deviation = all.deviation;
    if (deviation == 0) {
        deviation = n > 1 ? sqrt(fmax(s->squares - out, 0) / (double)(n - 1)) : 0;
    } else if (k >= 0 && all.degrees > 1) {
        const double squares = deviation * deviation * (double)all.degrees - out;
        deviation = sqrt(fmax(squares, 0) / (double)(all.degrees - 1));
    }
    gaussian g = {median ? median_without(s, k) : mean, deviation};
    /* Margins are float32: a deviation below their last digits is one of rounding. */
    g.deviation = fmax(g.deviation, 1e-6 * (1 + fabs(g.centre)));
    return g;
}

static double log_density(gaussian g, double x)
{
    const double z = (x - g.centre) / g.deviation;
    return -z * z / 2 - log(g.deviation);
}

static float score_of(const sides *s, const lo_lira *options, double phi, int64_t in_k, int64_t out_k)
{
    const gaussian out = known(&s->out, out_k, options->median, out_spread(options));
    if (options->offline) {
        return (float)((phi - out.centre) / out.deviation);
    }
    const gaussian in = known(&s->in, in_k, options->median, in_spread(options));
    return (float)(log_density(in, phi) - log_density(out, phi));
}

lo_status lo_lira_spread(const lo_references *references, lo_lira_sums *sums, const lo_tick *tick,
                         lo_error *err)
{
    sides s;
    LO_TRY(sides_create(references->models, &s, err));
    lo_status status = LO_OK;
    for (int64_t i = 0; i < references->n && status == LO_OK; i++) {
        status = lo_tick_call(tick);
        sides_of(references, i, &s);
        sums[i] = (lo_lira_sums){s.in.squares, s.out.squares, s.in.count > 0 ? s.in.count - 1 : 0,
                                 s.out.count > 0 ? s.out.count - 1 : 0};
    }
    free(s.room);
    return status;
}

void lo_lira_pool(const lo_lira_sums *sums, int64_t n, double *in_deviation, double *out_deviation)
{
    lo_lira_sums all = {0};
    for (int64_t i = 0; i < n; i++) {
        all.in_squares += sums[i].in_squares;
        all.out_squares += sums[i].out_squares;
        all.in_degrees += sums[i].in_degrees;
        all.out_degrees += sums[i].out_degrees;
    }
    *in_deviation = all.in_degrees > 0 ? sqrt(all.in_squares / (double)all.in_degrees) : NAN;
    *out_deviation = all.out_degrees > 0 ? sqrt(all.out_squares / (double)all.out_degrees) : NAN;
}

/* The place of a row in the side of the other kind; -1: it is not there. */
static int64_t place_of(const side *s, int64_t row)
{
    int64_t k = s->count - 1;
    while (k >= 0 && s->item[k].row != row) {
        k--;
    }
    return k;
}

lo_status lo_lira_paired_scores(const lo_references *references, const lo_lira *options,
                                const int64_t *partner, float *score, const lo_tick *tick, lo_error *err)
{
    const int64_t models = references->models;
    sides s;
    LO_TRY(sides_create(models, &s, err));
    lo_status status = LO_OK;
    for (int64_t i = 0; i < references->n && status == LO_OK; i++) {
        status = lo_tick_call(tick);
        sides_of(references, i, &s);
        float *row = score + i * models;
        for (int64_t m = 0; m < models; m++) {
            row[m] = NAN;
        }
        for (int k = 0; k < 2; k++) {
            const side *own = k == 0 ? &s.in : &s.out, *other = k == 0 ? &s.out : &s.in;
            for (int64_t a = 0; a < own->count; a++) {
                const int64_t with = partner != NULL ? partner[own->item[a].row] : -1;
                const int64_t b = with >= 0 ? place_of(other, with) : -1;
                if (with < 0 || b >= 0) {
                    row[own->item[a].row] =
                        score_of(&s, options, own->item[a].phi, k == 0 ? a : b, k == 0 ? b : a);
                }
            }
        }
    }
    free(s.room);
    return status;
}

lo_status lo_lira_scores(const lo_references *references, const lo_lira *options, float *score,
                         const lo_tick *tick, lo_error *err)
{
    return lo_lira_paired_scores(references, options, NULL, score, tick, err);
}

lo_status lo_lira_target(const lo_references *references, const lo_lira *options, const float *phi,
                         float *score, const lo_tick *tick, lo_error *err)
{
    sides s;
    LO_TRY(sides_create(references->models, &s, err));
    lo_status status = LO_OK;
    for (int64_t i = 0; i < references->n && status == LO_OK; i++) {
        status = lo_tick_call(tick);
        sides_of(references, i, &s);
        score[i] = score_of(&s, options, phi[i], -1, -1);
    }
    free(s.room);
    return status;
}

/* What the sides without one of their models say, ready for many density evaluations. */
typedef struct judge {
    double centre, scale, log_deviation;
} judge;

static judge judge_of(gaussian g)
{
    return (judge){g.centre, 1 / g.deviation, log(g.deviation)};
}

static double judged(const judge *j, double x)
{
    const double z = (x - j->centre) * j->scale;
    return -z * z / 2 - j->log_deviation;
}

/* Wins of a model in over all models out, and right guesses, into sums. in: the in side without it; out
 * [count]: the out side without each of its models. */
static void meet(const sides *s, bool offline, double phi, const judge *in, const judge *out, double *wins,
                 double *right)
{
    for (int64_t b = 0; b < s->out.count; b++) {
        const double other = s->out.item[b].phi;
        double mine, its;
        if (offline) {
            mine = (phi - out[b].centre) * out[b].scale;
            its = (other - out[b].centre) * out[b].scale;
        } else {
            mine = judged(in, phi) - judged(&out[b], phi);
            its = judged(in, other) - judged(&out[b], other);
        }
        *wins += mine > its ? 1 : mine == its ? 0.5 : isnan(mine) || isnan(its) ? NAN : 0;
        *right += (mine > 0 ? 1 : mine == 0 ? 0.5 : 0) + (its < 0 ? 1 : its == 0 ? 0.5 : 0);
    }
}

static lo_vulnerability vulnerability(const sides *s, const lo_lira *options, judge *out)
{
    for (int64_t b = 0; b < s->out.count; b++) {
        out[b] = judge_of(known(&s->out, b, options->median, out_spread(options)));
    }
    double wins = 0, right = 0;
    for (int64_t a = 0; a < s->in.count; a++) {
        const judge in = judge_of(known(&s->in, a, options->median, in_spread(options)));
        meet(s, options->offline, s->in.item[a].phi, &in, out, &wins, &right);
    }
    const double pairs = (double)s->in.count * (double)s->out.count;
    return (lo_vulnerability){(float)(wins / pairs),
                              options->offline || isnan(wins) ? NAN : (float)(right / (2 * pairs))};
}

lo_status lo_lira_vulnerability(const lo_references *references, const lo_lira *options,
                                lo_vulnerability *out, const lo_tick *tick, lo_error *err)
{
    sides s;
    LO_TRY(sides_create(references->models, &s, err));
    judge *judges = malloc(((size_t)references->models + 1) * sizeof(*judges));
    lo_status status = judges != NULL ? LO_OK
                                      : lo_fail(err, LO_INTERNAL, "no memory for %lld models",
                                                (long long)references->models);
    for (int64_t i = 0; i < references->n && status == LO_OK; i++) {
        status = lo_tick_call(tick);
        sides_of(references, i, &s);
        out[i] = vulnerability(&s, options, judges);
    }
    free(judges);
    free(s.room);
    return status;
}
