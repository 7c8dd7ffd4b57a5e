/* Refined unlearning: the forget set in groups by a score of memorization, forgotten one after the other,
 * each by a method of its own. */
#include "base/random.h"
#include "unlearn/common.h"
#include "unlearn/groups.h"
#include "unlearn/rescore.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_GROUPS = 16 };

static const lo_setting settings_of[] = {
    {.name = "inner",
     .type = LO_SETTING_ITEMS,
     .fallback = "[none, {name: finetune, epochs: 10, lr: 0.1}, {name: salun, epochs: 5, lr: 0.1}]",
     .help =
         "methods of the groups, from the lowest scores up; one: the same for all (RUM^F); none: left alone"},
    {.name = "groups",
     .type = LO_SETTING_INT,
     .fallback = "3",
     .low = 1,
     .high = MOST_GROUPS,
     .help = "how many"},
    {.name = "by", .type = LO_SETTING_TEXT, .fallback = "", .help = "the score, a name of the job's scores"},
    {.name = "split",
     .type = LO_SETTING_CHOICE,
     .fallback = "rank",
     .choices = "rank median",
     .help = "equal parts in the order of scores; three groups: those nearest to the median in the middle"},
    {.name = "at",
     .type = LO_SETTING_REAL,
     .fallback = "0.5",
     .low = 0,
     .high = 1,
     .help = "split: rank, three groups: where the middle one is, as a share of the forget set in order of "
             "score"},
    {.name = "control",
     .type = LO_SETTING_CHOICE,
     .fallback = "none",
     .choices = "none vanilla shuffled reversed",
     .help =
         "vanilla: the last method on all at once; shuffled: groups by chance; reversed: from the highest "
         "scores down"},
    {.name = "rescore",
     .type = LO_SETTING_TEXT,
     .fallback = "",
     .help = "in a sequence, from the second request on: a score of the job's that is computed anew of the "
             "model as it is then, in place of `by`"},
};

static bool control_is(const lo_item *settings, const char *name)
{
    return strcmp(lo_item_text(settings, "control"), name) == 0;
}

/* Is the forget set taken all at once? */
static bool in_one(const lo_item *settings)
{
    return control_is(settings, "vanilla") || lo_item_int(settings, "groups") == 1;
}

/* The method of a group, its settings accepted; *method NULL: none. */
static lo_status inner_of(const lo_item *settings, int64_t group, const lo_unlearn_method **method,
                          lo_item **item, lo_error *err)
{
    const int64_t methods = lo_item_length(settings, "inner");
    *item = lo_item_inner(settings, "inner", methods == 1 ? 0 : group);
    *method = lo_unlearn_method_find(lo_item_name(*item));
    if (*method != NULL) {
        return lo_item_accept(*item, (*method)->settings, (*method)->setting_count, err);
    }
    if (strcmp(lo_item_name(*item), "none") == 0) {
        return lo_item_accept(*item, settings_of, 0, err);
    }
    return lo_item_fail(*item, err, "there is no such method; a method of unlearning or none is allowed");
}

static lo_status check(const lo_request *request, const lo_item *settings, lo_error *err)
{
    const int64_t methods = lo_item_length(settings, "inner"), groups = lo_item_int(settings, "groups");
    if (methods != 1 && methods != groups) {
        return lo_item_fail(settings, err,
                            "inner: %lld methods for %lld groups; one for each, or one for all",
                            (long long)methods, (long long)groups);
    }
    if (strcmp(lo_item_text(settings, "split"), "median") == 0 && groups != 3) {
        return lo_item_fail(settings, err, "split: median is for 3 groups, found %lld", (long long)groups);
    }
    if (lo_item_given(settings, "at") &&
        (groups != 3 || strcmp(lo_item_text(settings, "split"), "rank") != 0)) {
        return lo_item_fail(settings, err, "at: the position of the middle is for split: rank and 3 groups");
    }
    if (request->forget_count < groups) {
        return lo_item_fail(settings, err, "%lld groups of forget set %s, which has %lld examples",
                            (long long)groups, request->name, (long long)request->forget_count);
    }
    for (int64_t g = 0; g < methods; g++) {
        const lo_unlearn_method *method;
        lo_item *item;
        LO_TRY(inner_of(settings, g, &method, &item, err));
        if (method != NULL && (method->afresh || method == lo_unlearn_method_find("rum"))) {
            return lo_item_fail(item, err, "no method for a group: it does not go on from what is there");
        }
        if (method != NULL) {
            LO_TRY(lo_request_check(request, method, item, err));
        }
    }
    return LO_OK;
}

static const char *inapplicable(const lo_request *request, const lo_pupil *pupil, const lo_item *settings,
                                char *why, size_t size)
{
    const char *reason = NULL;
    lo_request partial = *request; /* groups but the last are no whole classes, whatever the request is */
    partial.whole_class = false;
    for (int64_t g = 0; g < lo_item_length(settings, "inner") && reason == NULL; g++) {
        const lo_unlearn_method *method;
        lo_item *item;
        lo_error err = {{0}};
        if (inner_of(settings, g, &method, &item, &err) == LO_OK && method != NULL &&
            method->inapplicable != NULL) {
            reason = method->inapplicable(request, pupil, item, why, size);
            reason = reason != NULL || in_one(settings)
                         ? reason
                         : method->inapplicable(&partial, pupil, item, why, size);
        }
    }
    return reason;
}

/* A run under way. */
typedef struct course {
    lo_pupil *pupil;
    const lo_request *request;
    const lo_item *settings;
    int *group;                /* [forget_count]; -1: done */
    uint32_t *forget, *retain; /* room for those of a part */
    bool *kept;                /* [classes]: room for those that a part retains */
} course;

/* Sizes stay, members change: by a keyed permutation. */
static lo_status shuffle(course *c, lo_error *err)
{
    const int64_t count = c->request->forget_count;
    int *before = calloc((size_t)count + 1, sizeof(*before));
    if (before == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for groups of %lld examples", (long long)count);
    }
    memcpy(before, c->group, (size_t)count * sizeof(*before));
    const lo_random random = lo_random_make(lo_pupil_key(c->pupil, LO_USE_CHOICE), LO_FOR_UNLEARNING);
    const lo_permutation permutation = lo_permutation_make(random, 0, (uint64_t)count);
    for (int64_t i = 0; i < count; i++) {
        c->group[lo_permutation_at(&permutation, (uint64_t)i)] = before[i];
    }
    free(before);
    return LO_OK;
}

static lo_status group_by(course *c, const double *score, lo_error *err)
{
    const lo_request *request = c->request;
    LO_TRY(lo_group_scores(score, request->forget, request->forget_count,
                           (int)lo_item_int(c->settings, "groups"),
                           strcmp(lo_item_text(c->settings, "split"), "median") == 0,
                           lo_item_real(c->settings, "at"), c->group, err));
    return control_is(c->settings, "shuffled") ? shuffle(c, err) : LO_OK;
}

static lo_status group_anew(course *c, const lo_tick *tick, lo_error *err)
{
    double *score = calloc((size_t)c->request->dataset->train.count + 1, sizeof(*score));
    if (score == NULL) {
        return lo_fail(err, LO_INTERNAL, "no memory for a score");
    }
    lo_status status = lo_rescore(c->pupil, c->request, tick, score, err);
    if (status == LO_OK) {
        status = lo_pupil_begin(c->pupil, c->request, 0, tick, err);
    }
    if (status == LO_OK) {
        status = group_by(c, score, err);
    }
    free(score);
    return status;
}

static lo_status find_groups(course *c, const lo_tick *tick, lo_error *err)
{
    if (control_is(c->settings, "vanilla")) {
        return LO_OK; /* all in group 0 */
    }
    return c->request->rescore != NULL ? group_anew(c, tick, err) : group_by(c, c->request->score, err);
}

/* Of a request for whole classes: does the part leave nothing of its classes? */
static bool is_whole_class(course *c, const lo_request *part)
{
    const int32_t *label = part->dataset->train.label;
    bool whole = part->whole_class;
    memset(c->kept, 0, (size_t)part->dataset->classes * sizeof(*c->kept));
    for (int64_t r = 0; r < part->retain_count; r++) {
        c->kept[label[part->retain[r]]] = true;
    }
    for (int64_t f = 0; f < part->forget_count; f++) {
        whole = whole && !c->kept[label[part->forget[f]]];
    }
    return whole;
}

/* The part of the request that forgets a group: groups still to come are retained so long. */
static lo_request part_of(course *c, int group, int step)
{
    const lo_request *whole = c->request;
    lo_request part = *whole;
    part.whole = whole->whole != NULL ? whole->whole : whole;
    part.forget = c->forget;
    part.retain = c->retain;
    part.forget_count = part.retain_count = 0;
    /* The first step's random numbers are those of the method alone. */
    part.run = step == 0 ? whole->run
                         : lo_random_u64(lo_random_make(whole->seed, LO_FOR_UNLEARNING), whole->run,
                                         1000 + (uint64_t)step);
    int64_t r = 0;
    for (int64_t i = 0; i < whole->forget_count; i++) {
        const uint32_t row = whole->forget[i];
        while (r < whole->retain_count && whole->retain[r] < row) {
            c->retain[part.retain_count++] = whole->retain[r++];
        }
        if (c->group[i] == group) {
            c->forget[part.forget_count++] = row;
        } else if (c->group[i] >= 0) {
            c->retain[part.retain_count++] = row;
        }
    }
    memcpy(c->retain + part.retain_count, whole->retain + r,
           (size_t)(whole->retain_count - r) * sizeof(*c->retain));
    part.retain_count += whole->retain_count - r;
    part.whole_class = is_whole_class(c, &part);
    return part;
}

static lo_status forget_group(course *c, int group, int64_t inner, int step, const lo_tick *tick,
                              lo_error *err)
{
    const lo_unlearn_method *method;
    lo_item *item;
    const unsigned permit = lo_pupil_permitted(c->pupil);
    LO_TRY(inner_of(c->settings, inner, &method, &item, err));
    const lo_request part = part_of(c, group, step);
    if (method != NULL && part.forget_count > 0) {
        lo_pupil_permit(c->pupil, permit & lo_unlearn_reads(method, item));
        const lo_status status = method->run(c->pupil, &part, item, tick, err);
        lo_pupil_permit(c->pupil, permit);
        LO_TRY(status);
    }
    return LO_OK;
}

/* The group is done: neither forgotten nor retained from now on. */
static void leave_out(course *c, int group)
{
    for (int64_t i = 0; i < c->request->forget_count; i++) {
        c->group[i] = c->group[i] == group ? -1 : c->group[i];
    }
}

static lo_status forget_all(course *c, const lo_tick *tick, lo_error *err)
{
    const int groups = control_is(c->settings, "vanilla") ? 1 : (int)lo_item_int(c->settings, "groups");
    const int64_t last = lo_item_length(c->settings, "inner") - 1;
    int64_t done = 0;
    LO_TRY(lo_pupil_resume_part(c->pupil, &done));
    for (int step = 0; step < groups; step++) {
        const int group = control_is(c->settings, "reversed") ? groups - 1 - step : step;
        const int64_t inner = control_is(c->settings, "vanilla") ? last : group;
        if (step >= done) {
            LO_TRY(lo_pupil_save_part(c->pupil, step, groups, err));
            LO_TRY(forget_group(c, group, inner, step, tick, err));
        }
        leave_out(c, group);
    }
    return LO_OK;
}

static lo_status run(lo_pupil *pupil, const lo_request *request, const lo_item *settings, const lo_tick *tick,
                     lo_error *err)
{
    const size_t forget = (size_t)request->forget_count, all = forget + (size_t)request->retain_count;
    lo_status status = LO_OK;
    course c = {.pupil = pupil, .request = request, .settings = settings};
    LO_TRY(lo_pupil_begin(pupil, request, 0, tick, err));
    c.group = calloc(forget + 1, sizeof(*c.group));
    c.forget = calloc(forget + all + 1, sizeof(*c.forget));
    c.kept = calloc((size_t)request->dataset->classes + 1, sizeof(*c.kept));
    if (c.group == NULL || c.forget == NULL || c.kept == NULL) {
        status = lo_fail(err, LO_INTERNAL, "no memory for groups of %zu examples", forget);
        goto done;
    }
    c.retain = c.forget + forget;
    LO_TRY_GOTO(status, find_groups(&c, tick, err), done);
    status = forget_all(&c, tick, err);

done:
    free(c.group);
    free(c.forget);
    free(c.kept);
    return status;
}

/* What its methods read; the forget set is there to be split, and the retain set where neighbours are looked
 * for in it. */
static unsigned reads_with(const lo_item *settings)
{
    const lo_score *rescore = lo_score_find(lo_item_text(settings, "rescore"));
    unsigned reads = LO_READS_FORGET | (rescore != NULL && rescore->among ? LO_READS_RETAIN : 0);
    for (int64_t g = 0; g < lo_item_length(settings, "inner"); g++) {
        const lo_unlearn_method *method;
        lo_item *item;
        lo_error unheard = {{0}}; /* what is wrong is check's to say */
        if (inner_of(settings, g, &method, &item, &unheard) == LO_OK && method != NULL) {
            reads |= lo_unlearn_reads(method, item);
        }
    }
    return reads;
}

/* How many examples group `group` of the forget set has; by median, as where no scores are equal. */
static int64_t size_of(const lo_unlearn_sizes *sizes, const lo_item *settings, int64_t group)
{
    const int64_t count = sizes->forget, groups = lo_item_int(settings, "groups"), part = count / groups;
    if (groups != 3) {
        return (group + 1) * count / groups - group * count / groups;
    }
    const bool median = strcmp(lo_item_text(settings, "split"), "median") == 0;
    const int64_t begin =
        median ? (count + 1) / 2 - (part + 1) / 2 : lo_group_middle(count, lo_item_real(settings, "at"));
    return group == 0 ? begin : group == 1 ? part : count - begin - part;
}

/* A part's retain set has what is still to be forgotten in it: its share of what is read counts there. */
static void add_part(lo_unlearn_work *work, const lo_unlearn_work *part, double to_come, double retained)
{
    const double share = retained > 0 ? to_come / retained : 0;
    work->read[LO_SET_FORGET] += part->read[LO_SET_FORGET] + share * part->read[LO_SET_RETAIN];
    work->read[LO_SET_RETAIN] += (1 - share) * part->read[LO_SET_RETAIN];
    work->read[LO_SET_VALIDATION] += part->read[LO_SET_VALIDATION];
    work->trained += part->trained;
    work->evaluated += part->evaluated;
    work->summed += part->summed;
    work->products += part->products;
    work->drawn += part->drawn;
}

static lo_unlearn_work foresee(const lo_unlearn_sizes *sizes, const lo_item *settings)
{
    const bool vanilla = control_is(settings, "vanilla"), down = control_is(settings, "reversed");
    const int64_t groups = vanilla ? 1 : lo_item_int(settings, "groups");
    const int64_t last = lo_item_length(settings, "inner") - 1;
    int64_t to_come = sizes->forget;
    lo_unlearn_work work = {.trained = 0};
    for (int64_t step = 0; step < groups; step++) {
        const int64_t group = down ? groups - 1 - step : step;
        const lo_unlearn_method *method;
        lo_item *item;
        lo_error unheard = {{0}}; /* what is wrong is check's to say */
        lo_unlearn_sizes part = *sizes;
        part.forget = vanilla ? sizes->forget : size_of(sizes, settings, group);
        to_come -= part.forget;
        part.retain = sizes->retain + to_come;
        if (part.forget > 0 &&
            inner_of(settings, vanilla ? last : group, &method, &item, &unheard) == LO_OK && method != NULL) {
            const lo_unlearn_work inner = method->work(&part, item);
            add_part(&work, &inner, (double)to_come, (double)part.retain);
        }
    }
    return work;
}

const lo_unlearn_method lo_unlearn_rum = {
    .name = "rum",
    .description = "forgets groups of rising memorization one after the other, each by a method of its own",
    .source = "Zhao et al., NeurIPS 2024, arXiv 2406.01257",
    .reads = LO_READS_FORGET | LO_READS_RETAIN | LO_READS_VALIDATION,
    .needs_score = true,
    .reads_with = reads_with,
    .settings = settings_of,
    .setting_count = LO_COUNT(settings_of),
    .check = check,
    .inapplicable = inapplicable,
    .work = foresee,
    .run = run};
