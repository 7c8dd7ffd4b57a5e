/* What the audit's attacks and scores cost on one core, each against what issue and docs promise. */
#include "audit/attack.h"
#include "audit/forgetting_quality.h"
#include "audit/lira.h"
#include "audit/members.h"
#include "audit/rmia.h"
#include "base/random.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Of this process: others may be at work on the machine. */
static double cpu_seconds(void)
{
    return (double)clock() / CLOCKS_PER_SEC;
}

/* 10,000 members and as many others whose confidences overlap as those of a model that has memorized little.
 */
static void support_vectors(void)
{
    enum { N = 10000 };
    const lo_random random = lo_random_make(1, LO_FOR_TEST);
    double *value = malloc((size_t)(3 * N) * sizeof(*value));
    for (uint64_t i = 0; i < 3 * N && value != NULL; i++) {
        const double u = (double)lo_random_unit(random, 0, i);
        value[i] = i < N ? 1 - u * u * u * u : i < 2 * N ? 1 - u * u * u : 1 - u * u * u * u;
    }
    lo_efficacy out;
    lo_error err = {0};
    const double began = cpu_seconds();
    const lo_status status = lo_mia_svc((lo_points){value, N}, (lo_points){value + N, N},
                                        (lo_points){value + 2 * N, N}, 1, 0, 1, NULL, &out, &err);
    printf("attack=mia_svc points=%d seconds=%.3f efficacy=%.4f %s\n", 2 * N, cpu_seconds() - began,
           out.efficacy.value, status == LO_OK ? "" : err.text);
    free(value);
}

enum { MODELS = 200, EXAMPLES = 10000 };

static double summed_up(const lo_references *references, const float *score, const lo_lira *lira,
                        lo_vulnerability *each, float *auc)
{
    lo_members all = {0};
    lo_error err = {0};
    if (lo_members_in_all(references, score, &all, NULL, &err) != LO_OK ||
        (lira != NULL ? lo_lira_vulnerability(references, lira, each, NULL, &err)
                      : lo_members_by_example(references, score, auc, NULL, &err)) != LO_OK) {
        printf("%s\n", err.text);
    }
    return all.pooled.auc.value;
}

/* LiRA online and offline, RMIA and U-LiRA, with figures in all and by example. */
static void many_models(void)
{
    const lo_random random = lo_random_make(2, LO_FOR_TEST);
    const size_t pairs = (size_t)MODELS * EXAMPLES;
    float *phi = malloc(pairs * sizeof(*phi)), *score = malloc(pairs * sizeof(*score));
    float *by_example = malloc(EXAMPLES * sizeof(*by_example));
    lo_vulnerability *each = malloc(EXAMPLES * sizeof(*each));
    lo_columns mask = {0}, halves = {0};
    lo_error err = {0};
    if (phi == NULL || score == NULL || each == NULL || by_example == NULL ||
        lo_columns_create(MODELS, EXAMPLES, &mask, &err) != LO_OK ||
        lo_u_lira_mask(MODELS / 2, EXAMPLES, &halves, &err) != LO_OK) {
        goto end;
    }
    for (uint64_t at = 0; at < pairs; at++) {
        const uint64_t m = at / EXAMPLES, i = at % EXAMPLES;
        const uint64_t in = lo_random_unit(random, 0, at) < 0.7F;
        phi[at] = lo_random_normal(random, 1, at) + (float)in;
        mask.word[(m / 64) * (uint64_t)mask.stride + i] |= in << (m % 64);
    }
    const lo_references references = {phi, MODELS, EXAMPLES, EXAMPLES, &mask, NULL};
    const lo_references matched = {phi, MODELS, EXAMPLES, EXAMPLES, &halves, NULL};
    const lo_lira online = {.offline = false}, offline = {.offline = true};
    const lo_rmia rmia = {0.5, 1};
    double began = cpu_seconds();
    lo_lira_scores(&references, &online, score, NULL, &err);
    double auc = summed_up(&references, score, &online, each, by_example);
    printf("attack=lira models=%d examples=%d seconds=%.3f auc=%.4f\n", MODELS, EXAMPLES,
           cpu_seconds() - began, auc);
    began = cpu_seconds();
    lo_lira_scores(&references, &offline, score, NULL, &err);
    auc = summed_up(&references, score, &offline, each, by_example);
    printf("attack=lira_offline models=%d examples=%d seconds=%.3f auc=%.4f\n", MODELS, EXAMPLES,
           cpu_seconds() - began, auc);
    began = cpu_seconds();
    lo_rmia_scores(&references, &references, &rmia, score, NULL, &err);
    auc = summed_up(&references, score, NULL, each, by_example);
    printf("attack=rmia models=%d examples=%d seconds=%.3f auc=%.4f\n", MODELS, EXAMPLES,
           cpu_seconds() - began, auc);
    began = cpu_seconds();
    lo_lira_scores(&matched, &online, score, NULL, &err);
    auc = summed_up(&matched, score, &online, each, by_example);
    printf("attack=u_lira models=%d examples=%d seconds=%.3f auc=%.4f\n", MODELS, EXAMPLES,
           cpu_seconds() - began, auc);
end:
    free(phi);
    free(score);
    free(each);
    free(by_example);
    lo_columns_destroy(&mask);
    lo_columns_destroy(&halves);
}

/* One example with 512 unlearned models and 512 oracles. */
static void populations(void)
{
    enum { N = 512, TIMES = 50 };
    const lo_random random = lo_random_make(3, LO_FOR_TEST);
    static float margin[2 * N * TIMES];
    for (uint64_t i = 0; i < 2 * N * TIMES; i++) {
        margin[i] = 4 * lo_random_normal(random, 0, i);
    }
    double quality = 0;
    lo_error err = {0};
    const double began = cpu_seconds();
    lo_forgetting_quality(margin, N, margin + N * TIMES, N, TIMES, TIMES, NULL, &quality, NULL, &err);
    printf("metric=forgetting_quality models=%d ms_an_example=%.3f quality=%.4f\n", 2 * N,
           1000 * (cpu_seconds() - began) / TIMES, quality);
}

int main(int argc, char **argv)
{
    populations();
    many_models();
    if (argc < 2 || strcmp(argv[1], "--fast") != 0) {
        support_vectors();
    }
    return 0;
}
