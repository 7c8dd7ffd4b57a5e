#include "unlearn/methods.h"

#include <assert.h>
#include <math.h>
#include <string.h>

/* Every method, in the order in which they are listed: lo_unlearn_NAME is defined in unlearn_NAME.c. */
#define METHODS(X)                                                                                           \
    X(retrain)                                                                                               \
    X(finetune)                                                                                              \
    X(neggrad)                                                                                               \
    X(neggrad_plus)                                                                                          \
    X(random_label)                                                                                          \
    X(amnesiac)                                                                                              \
    X(salun)                                                                                                 \
    X(l1_sparse)                                                                                             \
    X(scrub)                                                                                                 \
    X(bad_teacher)                                                                                           \
    X(ssd)                                                                                                   \
    X(influence)                                                                                             \
    X(del)                                                                                                   \
    X(nabla_tau)                                                                                             \
    X(imu)                                                                                                   \
    X(rum)

#define DECLARE(name) extern const lo_unlearn_method lo_unlearn_##name;
METHODS(DECLARE)

#define REFER(name) &lo_unlearn_##name,
static const lo_unlearn_method *const methods[] = {METHODS(REFER)};

int lo_unlearn_method_count(void)
{
    return (int)(sizeof(methods) / sizeof(methods[0]));
}

const lo_unlearn_method *lo_unlearn_method_at(int i)
{
    assert(i >= 0 && i < lo_unlearn_method_count());
    return methods[i];
}

const lo_unlearn_method *lo_unlearn_method_find(const char *name)
{
    for (int i = 0; i < lo_unlearn_method_count(); i++) {
        if (strcmp(methods[i]->name, name) == 0) {
            return methods[i];
        }
    }
    return NULL;
}

lo_status lo_unlearn_accept(const lo_unlearn_method *method, const char *preset, lo_item *item, lo_error *err)
{
    const lo_suited *suited = NULL;
    for (int i = 0; preset != NULL && i < method->suited_count; i++) {
        suited = strcmp(method->suited[i].preset, preset) == 0 ? &method->suited[i] : suited;
    }
    return suited != NULL ? lo_item_accept_with(item, method->settings, method->setting_count,
                                                suited->defaults, suited->count, err)
                          : lo_item_accept(item, method->settings, method->setting_count, err);
}

unsigned lo_unlearn_reads(const lo_unlearn_method *method, const lo_item *settings)
{
    return method->reads_with != NULL ? method->reads_with(settings) : method->reads;
}

/* Positions that ascend and are below `known`. */
static lo_status check_positions(const lo_request *request, const char *set, const uint32_t *position,
                                 int64_t count, lo_error *err)
{
    const int64_t known = request->dataset->train.count;
    for (int64_t i = 0; i < count; i++) {
        if ((int64_t)position[i] >= known || (i > 0 && position[i] <= position[i - 1])) {
            return lo_fail(err, LO_USAGE,
                           "forget set %s: position %lld of its %s set is %u; positions ascend and are below "
                           "%lld",
                           request->name, (long long)i, set, position[i], (long long)known);
        }
    }
    return LO_OK;
}

static lo_status check_disjoint(const lo_request *request, lo_error *err)
{
    for (int64_t f = 0, r = 0; f < request->forget_count && r < request->retain_count;) {
        if (request->forget[f] == request->retain[r]) {
            return lo_fail(err, LO_USAGE, "forget set %s: training example %u is both forgotten and retained",
                           request->name, request->forget[f]);
        }
        if (request->forget[f] < request->retain[r]) {
            f++;
        } else {
            r++;
        }
    }
    return LO_OK;
}

static lo_status check_score(const lo_request *request, const lo_unlearn_method *method, lo_error *err)
{
    if (request->score == NULL) {
        return lo_fail(err, LO_USAGE, "%s of forget set %s needs a score of every training example",
                       method->name, request->name);
    }
    for (int64_t i = 0; i < request->forget_count; i++) {
        if (isnan(request->score[request->forget[i]])) {
            return lo_fail(err, LO_USAGE, "%s of forget set %s: training example %u has no score",
                           method->name, request->name, request->forget[i]);
        }
    }
    return LO_OK;
}

lo_status lo_request_check(const lo_request *request, const lo_unlearn_method *method,
                           const lo_item *settings, lo_error *err)
{
    const bool reads_retain = (lo_unlearn_reads(method, settings) & LO_READS_RETAIN) != 0;
    if (request->forget_count < 1) {
        return lo_fail(err, LO_USAGE, "forget set %s is empty", request->name);
    }
    if (reads_retain && request->forget_count > request->retain_count) {
        return lo_fail(
            err, LO_USAGE, "forget set %s has %lld examples, more than the %lld retained that %s needs",
            request->name, (long long)request->forget_count, (long long)request->retain_count, method->name);
    }
    LO_TRY(check_positions(request, "forget", request->forget, request->forget_count, err));
    LO_TRY(check_positions(request, "retain", request->retain, request->retain_count, err));
    LO_TRY(check_disjoint(request, err));
    LO_TRY(method->needs_score ? check_score(request, method, err) : LO_OK);
    return method->check != NULL ? method->check(request, settings, err) : LO_OK;
}
