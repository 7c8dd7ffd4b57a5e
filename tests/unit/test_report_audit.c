/* The report's sections on the audit: what they say, of whole and of empty ones; names are escaped. */
#include "report/audit.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static char *written(const lo_report_privacy *privacy, const lo_report_audit *audit)
{
    enum { MOST = 1 << 20 };
    FILE *out = tmpfile();
    char *text = calloc(MOST, 1);
    assert_true(out != NULL && text != NULL);
    lo_report_write_privacy(out, privacy);
    lo_report_write_audit(out, audit);
    rewind(out);
    assert_true(fread(text, 1, MOST - 1, out) < MOST - 1);
    assert_int_equal(fclose(out), 0);
    return text;
}

static void test_nothing_says_nothing(void **state)
{
    (void)state;
    const lo_report_privacy privacy = {0};
    const lo_report_audit audit = {0};
    char *text = written(&privacy, &audit);
    assert_string_equal(text, "");
    free(text);
}

static void test_privacy(void **state)
{
    (void)state;
    lo_report_privacy privacy = {.attacks = 1};
    privacy.attack[0] = (lo_report_attack){.name = "lira",
                                           .targets = 1200,
                                           .auc = {0.6234, 0.61, 0.64},
                                           .rate = {{0.0521, 0.05, 0.055}, {NAN, NAN, NAN}},
                                           .accuracy = 0.583,
                                           .agreement = 0.7777,
                                           .above = {0.25, 0.125}};
    for (int i = 0; i < LO_REPORT_ROC; i++) {
        privacy.rate[i] = pow(10, -5 * (1 - i / 100.0));
        privacy.attack[0].roc[i] = sqrt(privacy.rate[i]);
    }
    const lo_report_audit audit = {0};
    char *text = written(&privacy, &audit);
    assert_non_null(strstr(text, "0.623<br/><span class=\"soft\">0.610 to 0.640</span>"));
    assert_non_null(strstr(text, "0.0521<br/>"));
    assert_non_null(strstr(text, "<td>–</td><td>58.3\u00a0%</td><td>25.0\u00a0%</td><td>12.5\u00a0%</"
                                 "td><td>+0.778</td><td>1,200</td>"));
    assert_null(strstr(text, "nan"));
    free(text);
}

static void test_methods_beside_oracles(void **state)
{
    (void)state;
    lo_report_audited rows[] = {
        {.forget_set = "a<b",
         .method = "oracle",
         .oracle = true,
         .seeds = 5,
         .value = {{0.03, 0.02, 0.04}},
         .told = {LO_TOLD_NOISE},
         .forgetting = {0.1, NAN, NAN},
         .utility = {0.9, NAN, NAN},
         .time = 1},
        {.forget_set = "a<b",
         .method = "finetune",
         .setting = "epochs: 2",
         .seeds = 3,
         .value = {{0.05, 0.01, 0.09}},
         .told = {LO_TOLD_NOISE},
         .forgetting = {0.05, NAN, NAN},
         .utility = {0.91, NAN, NAN},
         .time = 0.1},
        {.forget_set = "a<b",
         .method = "neggrad",
         .seeds = 3,
         .value = {{0.25, 0.2, 0.3}},
         .told = {LO_TOLD_APART},
         .sides = {12},
         .ceiling = {0.031},
         .forgetting = {0.9, NAN, NAN},
         .utility = {0.4, NAN, NAN},
         .time = NAN},
        {.forget_set = "c",
         .method = "neggrad",
         .seeds = 1,
         .value = {{NAN, NAN, NAN}},
         .told = {LO_TOLD_NOISE},
         .forgetting = {NAN, NAN, NAN},
         .utility = {NAN, NAN, NAN},
         .time = NAN},
    };
    const lo_report_privacy privacy = {0};
    char receipt[] = "{\n  \"method\": \"<b>\"\n}\n";
    const lo_report_audit audit = {.receipts = 1,
                                   .all_receipts = 7,
                                   .receipt = {{"neggrad-c-0.json", receipt}},
                                   .numbers = 1,
                                   .number = {{"avg_gap", "the gap", "0", "needs an oracle"}},
                                   .rows = 4,
                                   .row = rows};
    char *text = written(&privacy, &audit);
    assert_non_null(strstr(text, "Forget set <code>a&lt;b</code>"));
    assert_null(strstr(text, "a<b"));
    const char *oracle = strstr(text, "<code>oracle</code>"), *mark = strstr(oracle, "<td>&#8776; 0.050");
    assert_non_null(mark); /* of finetune; the oracles' row is what is compared with */
    assert_null(
        strstr(mark + 10, "&#8776;")); /* neggrad is far from the oracles, and what is missing has no mark */
    assert_non_null(strstr(mark, "<td>0.250<br/><span class=\"soft\">0.200 to 0.300</span>"));
    assert_non_null(strstr(mark, "12 a side; ceiling 0.031"));
    assert_string_equal(lo_report_mark(LO_TOLD_NOTHING, 0.5), "? "); /* too few to tell is not noise */
    assert_string_equal(lo_report_mark(LO_TOLD_NOTHING, NAN), "");
    assert_non_null(strstr(text, "Where it is missing: needs an oracle"));
    int sets = 0;
    for (const char *at = text; (at = strstr(at, "<h3>Forget set")) != NULL; at++) {
        sets++;
    }
    assert_int_equal(sets, 2);
    assert_null(strstr(text, "nan"));
    assert_non_null(strstr(text, "Each of the 7 runs"));
    assert_non_null(strstr(
        text, "<code>neggrad-c-0.json</code></summary><pre>{\n  &quot;method&quot;: &quot;&lt;b&gt;&quot;"));
    free(text);
}

/* Tables are of one kind of number each, so that they fit; choices of groups have their differences. */
static void test_choices_of_groups(void **state)
{
    (void)state;
    lo_report_choice choices[] = {
        {.forget_set = "mix",
         .by = "memorization",
         .control = "none",
         .reference = true,
         .seeds = 3,
         .score = "el<2n",
         .tow = {{0.9, 0.85, 0.95}, {0.99, 0.98, 1}, {0.9, 0.8, 1}, {0.6, 0.5, 0.7}},
         .less = {{0, 0, 0}}},
        {.forget_set = "mix",
         .by = "memorization",
         .control = "vanilla",
         .seeds = 3,
         .score = "el<2n",
         .tow = {{0.8, 0.7, 0.9}, {0.98, 0.97, 0.99}, {0.9, 0.8, 1}, {0.7, 0.6, 0.8}},
         .less = {{-0.1, -0.15, -0.05}, {-0.01, -0.03, 0.01}, {0, -0.1, 0.1}, {0.1, 0.05, 0.15}}},
        {.forget_set = "mix",
         .by = "el2n",
         .control = "shuffled",
         .seeds = 3,
         .score = "el<2n",
         .tow = {{0.89, 0.8, 0.97}, {0.9, 0.8, 1}, {0.9, 0.8, 1}, {0.9, 0.8, 1}},
         .less = {{-0.01, -0.06, 0.04}, {-0.01, NAN, NAN}, {NAN, NAN, NAN}, {NAN, NAN, NAN}}},
        {.forget_set = "alone",
         .by = "el2n",
         .control = "none",
         .reference = true,
         .seeds = 3,
         .tow = {{0.5, 0.4, 0.6}}},
    };
    lo_report_audited rows[2] = {{.setting = "{name: rum, by: <x>}"}, {.setting = "{name: rum, by: y}"}};
    for (int r = 0; r < 2; r++) { /* names that do not tell them apart */
        (void)snprintf(rows[r].forget_set, sizeof(rows[r].forget_set), "mix");
        (void)snprintf(rows[r].method, sizeof(rows[r].method), "rum");
        rows[r].seeds = 3;
        rows[r].value[0] = (lo_bounded){0.5, NAN, NAN};
        rows[r].value[1] = (lo_bounded){0.25, NAN, NAN};
        rows[r].forgetting = rows[r].utility = (lo_bounded){NAN, NAN, NAN};
        rows[r].time = NAN;
    }
    const lo_report_privacy privacy = {0};
    const lo_report_audit audit = {.numbers = 2,
                                   .number = {{.name = "avg_gap"}, {.name = "mia_loss"}},
                                   .rows = 2,
                                   .row = rows,
                                   .choices = 4,
                                   .choice = choices};
    char *text = written(&privacy, &audit);
    const char *section = strstr(text, "Does the choice of groups matter?");
    assert_non_null(section);
    assert_non_null(strstr(section, "<td>memorization</td>"));
    assert_non_null(strstr(section, "what the others are compared with"));
    const char *vanilla = strstr(section, "<td>all at once</td>"),
               *other = strstr(section, "<td>el2n, shuffled");
    assert_true(vanilla != NULL && other != NULL && vanilla < other);
    assert_true(strstr(vanilla, "worse</td>") < other);
    assert_non_null(strstr(other, "inside the noise</td>"));
    assert_non_null(strstr(section, "cannot be told</td>")); /* one pair of seeds */
    assert_null(strstr(section, "<code>alone</code>"));      /* nothing to compare */
    const char *groups = strstr(section, "Whom does it matter for?");
    assert_non_null(groups);
    assert_non_null(strstr(groups, "by el&lt;2n</p>"));
    const char *once = strstr(groups, "<td>all at once</td>");
    assert_non_null(once);
    const char *noise = strstr(once, "inside the noise</td>"), *better = strstr(once, "better</td>");
    assert_true(noise != NULL && better != NULL && noise < better); /* low score, then high */
    assert_non_null(strstr(once, "<td>0.700<br/>"));
    assert_non_null(strstr(text, "<span class=\"soft\">by: &lt;x&gt;</span>"));
    const char *gap = strstr(text, "avg_<wbr/>gap"), *loss = strstr(text, "mia_<wbr/>loss");
    assert_true(gap != NULL && loss != NULL && strstr(gap, "</table>") < loss);
    free(text);
}

/* A panel for each group, oracles first; what is inside the noise is marked, figures tell methods apart. */
static void test_groups_of_a_forget_set(void **state)
{
    (void)state;
    lo_report_audited rows[] = {{.forget_set = "mix",
                                 .method = "oracle",
                                 .label = "oracle",
                                 .oracle = true,
                                 .seeds = 3,
                                 .score = "memo<rization",
                                 .examples = {20, 20, 21},
                                 .mean_score = {0.01, 0.25, 0.875},
                                 .by_group = {{{0.99, 0.98, 1}, {0.9, 0.8, 1}, {0.31, 0.3, 0.32}}},
                                 .group_told = {{LO_TOLD_NOISE, LO_TOLD_NOISE, LO_TOLD_NOISE}}},
                                {.forget_set = "mix",
                                 .method = "rum",
                                 .label = "rum by memorization, reversed",
                                 .setting = "{name: rum, by: memorization, control: reversed}",
                                 .seeds = 3,
                                 .score = "memo<rization",
                                 .examples = {20, 20, 21},
                                 .mean_score = {0.01, 0.25, 0.875},
                                 .by_group = {{{0.98, 0.97, 0.99}, {NAN, NAN, NAN}, {0.81, 0.8, 0.82}}},
                                 .group_told = {{LO_TOLD_NOISE, LO_TOLD_NOISE, LO_TOLD_APART}}},
                                {.forget_set = "plain", .method = "rum", .label = "rum", .seeds = 3}};
    for (int r = 0; r < 3; r++) {
        rows[r].forgetting = rows[r].utility = (lo_bounded){0.5, NAN, NAN};
        rows[r].time = NAN;
    }
    const lo_report_privacy privacy = {0};
    const lo_report_audit audit = {
        .by_numbers = 1, .by_number = {{.name = "tow", .description = "of a part"}}, .rows = 3, .row = rows};
    char *text = written(&privacy, &audit);
    const char *groups = strstr(text, "By group of the forget set");
    assert_non_null(groups);
    assert_null(strstr(groups + 1, "By group of the forget set")); /* of the other set there are none */
    assert_non_null(strstr(groups, "in the order of <code>memo&lt;rization</code>"));
    const char *low = strstr(groups, "Of low score: 20 examples, mean 0.010"),
               *high = strstr(groups, "Of high score: 21 examples, mean 0.875");
    assert_true(low != NULL && high != NULL && low < high);
    const char *noise = strstr(low, "<td>&#8776; 0.980<br/>");
    assert_true(noise != NULL && noise < high);
    assert_non_null(strstr(high, "<td>0.810<br/>")); /* outside the noise */
    assert_non_null(strstr(text, "<code>tow</code> of a group</dt><dd>of a part"));
    assert_null(strstr(text, "nan"));
    free(text);
}

/* What the sets share is said; curves of an attack begin where the least rate can be told. */
static void test_twins_and_curves(void **state)
{
    (void)state;
    lo_report_audited row = {.forget_set = "part", .method = "finetune", .seeds = 1, .time = NAN};
    row.forgetting = row.utility = (lo_bounded){NAN, NAN, NAN};
    for (int i = 0; i < LO_REPORT_ROC; i++) {
        row.roc[0][i] = i < 60 ? (double)NAN : 0.5;
        row.roc[1][i] = (double)NAN;
    }
    const lo_report_privacy privacy = {0};
    lo_report_audit audit = {.rows = 1, .row = &row, .curve = {"lira", "rmia"}};
    for (int i = 0; i < LO_REPORT_ROC; i++) {
        audit.rate[i] = pow(10, -5 + 0.05 * i);
    }
    char *text = written(&privacy, &audit);
    assert_null(strstr(text, "are in the training set too"));
    assert_non_null(strstr(text, "<code>lira</code>: means over seeds"));
    assert_null(strstr(text, "<code>rmia</code>: means over seeds"));
    free(text);
    audit.test_in_train = 12;
    text = written(&privacy, &audit);
    assert_non_null(strstr(text, "12 test and 0 validation examples are in the training set too"));
    free(text);
}

static int occurrences(const char *text, const char *what)
{
    int count = 0;
    for (const char *at = text; (at = strstr(at, what)) != NULL; at++) {
        count++;
    }
    return count;
}

/* Tables of at most seven columns; those that no row has are named with the reason; u_lira's references in
 * one sentence where they are the same, else grouped; digits as large as numbers are. */
static void test_tables_fit(void **state)
{
    (void)state;
    enum { METHODS = 3, NUMBERS = 14, RELEARN = 9, ENTANGLEMENT, RATE, RATE_1000, PARTLY };
    static lo_report_audited rows[METHODS];
    lo_report_audit audit = {
        .numbers = NUMBERS,
        .number = {[RELEARN] = {.name = "relearn"},
                   [ENTANGLEMENT] = {.name = "entanglement"},
                   [RATE] = {.name = "u_lira_tpr_at_0.01", .refused = "few <models>"},
                   [RATE_1000] = {.name = "u_lira_tpr_at_0.001", .refused = "few <models>"},
                   [PARTLY] = {.name = "u_lira", .refused = "few <models>"}},
        .rows = METHODS,
        .row = rows};
    for (int n = 0; n < RELEARN; n++) { /* of no subject that the report knows */
        (void)snprintf(audit.number[n].name, sizeof(audit.number[n].name), "new_number_%d", n);
    }
    for (int r = 0; r < METHODS; r++) {
        rows[r] =
            (lo_report_audited){.forget_set = "s", .seeds = 4, .rests = 6, .against = "oracles", .time = NAN};
        (void)snprintf(rows[r].method, sizeof(rows[r].method), "m%d", r);
        (void)snprintf(rows[r].setting, sizeof(rows[r].setting), "{name: m%d, steps: 3}", r);
        rows[r].forgetting = rows[r].utility = (lo_bounded){NAN, NAN, NAN};
        for (int n = 0; n < NUMBERS; n++) {
            rows[r].value[n] = (lo_bounded){0.5, NAN, NAN};
        }
        rows[r].value[RELEARN] = (lo_bounded){2.6667, 1.2667, 4.0833};
        rows[r].value[ENTANGLEMENT] = (lo_bounded){r == 0 ? 12345.6 : 99.4, -10.4, 23456.7};
        rows[r].value[RATE] = rows[r].value[RATE_1000] = (lo_bounded){NAN, NAN, NAN};
        rows[r].value[PARTLY].value = r == 1 ? 0.75 : (double)NAN;
    }
    const lo_report_privacy privacy = {0};
    char *text = written(&privacy, &audit);
    for (const char *at = text, *end; (at = strstr(at, "<thead>")) != NULL; at = end) {
        int columns = 0;
        end = strstr(at, "</thead>");
        for (const char *head = at; (head = strstr(head, "class=\"name\"")) != NULL && head < end; head++) {
            columns++;
        }
        assert_in_range(columns, 1, 7);
    }
    assert_int_equal(occurrences(text, "class=\"name\""), NUMBERS - 2);
    assert_int_equal(occurrences(text, "Other numbers."), 2); /* seven and two */
    assert_non_null(strstr(text, "<code>new_<wbr/>number_<wbr/>8</code></th>"));
    assert_non_null(strstr(text, "Left out, as no model here has them: <code>u_lira_tpr_at_0.01</code>, "
                                 "<code>u_lira_tpr_at_0.001</code> (few &lt;models&gt;).</p>"));
    assert_non_null(strstr(text, "2.7<br/><span class=\"soft\">1.3 to 4.1</span>"));
    assert_non_null(strstr(text, "12,346<br/><span class=\"soft\">−10 to 23,457</span>"));
    assert_non_null(strstr(text, "99<br/>"));
    assert_non_null(strstr(text, "<p>4 seeds of each method.</p>"));
    assert_null(strstr(text, ">Seeds</th>"));
    assert_null(strstr(text, "steps: 3")); /* names tell the methods apart */
    assert_non_null(strstr(text,
                           "<p class=\"soft\"><code>u_lira</code> of every method against oracles as they "
                           "are, without the method's mark, 6 models in all.</p>"));
    free(text);
    for (int r = 0; r < METHODS; r++) { /* beside oracles, of which all are compared with oracles */
        (void)snprintf(rows[r].against, sizeof(rows[r].against), r == 0 ? "oracles" : "matched");
        rows[r].oracle = r == 0;
    }
    text = written(&privacy, &audit);
    assert_non_null(strstr(text, "<code>u_lira</code> of every method against <b>matched</b> models"));
    free(text);
    rows[0].oracle = false;
    (void)snprintf(rows[2].against, sizeof(rows[2].against), "oracles");
    rows[1].seeds = 2;
    text = written(&privacy, &audit);
    assert_non_null(
        strstr(text, "<code>u_lira</code> of <code>m0</code>, <code>m2</code> against oracles as"));
    assert_non_null(strstr(text, "; of <code>m1</code> against <b>matched</b> models"));
    assert_non_null(strstr(text, ">Seeds</th>"));
    assert_null(strstr(text, "seeds of each method"));
    free(text);
}

/* Of many methods the five nearest to the oracles are drawn, and said so; a figure's points have numbers
 * whose names are in the caption. */
static void test_figures_of_many_methods(void **state)
{
    (void)state;
    enum { METHODS = 9 };
    static lo_report_audited rows[METHODS];
    /* By distance from the oracles' 0.5: m4, m6, m3, m5, m7; m2 and m8 are too far. */
    static const double auc[METHODS] = {0.9, 0.5, 0.8, 0.53, 0.51, 0.54, 0.48, 0.55, 0.3};
    for (int r = 0; r < METHODS; r++) {
        rows[r] = (lo_report_audited){.forget_set = "s", .seeds = 3, .oracle = r == 1, .time = 1};
        (void)snprintf(rows[r].method, sizeof(rows[r].method),
                       r == 0   ? "original"
                       : r == 1 ? "oracle"
                                : "m%d",
                       r);
        (void)snprintf(rows[r].label, sizeof(rows[r].label), r < 2 ? "%s" : "%s [it's <%d>]", rows[r].method,
                       r);
        rows[r].value[0] = (lo_bounded){auc[r], NAN, NAN};
        rows[r].forgetting = rows[r].utility = (lo_bounded){0.5, NAN, NAN};
        for (int i = 0; i < LO_REPORT_ROC; i++) {
            rows[r].roc[0][i] = 0.01 * (i + 1);
        }
    }
    lo_report_audit audit = {
        .numbers = 1, .number = {{.name = "lira"}}, .curve = {"lira"}, .rows = METHODS, .row = rows};
    for (int i = 0; i < LO_REPORT_ROC; i++) {
        audit.rate[i] = pow(10, -3 * (1 - i / 100.0));
    }
    const lo_report_privacy privacy = {0};
    char *text = written(&privacy, &audit);
    const char *trade = strstr(text, "<figure><div role=\"img\" aria-label=\"Forgetting against utility"),
               *roc = strstr(text, "<figure><div role=\"img\" aria-label=\"ROC curves");
    assert_true(trade != NULL && roc != NULL && trade < roc);
    const char *key =
        strstr(trade, "<b>1</b>&#160;original, <b>2</b>&#160;oracle, <b>3</b>&#160;m2 [it&#39;s");
    assert_true(key != NULL && key < roc);
    assert_non_null(strstr(roc, "of 7 methods the 5 whose AUC is nearest to the oracles'"));
    if (strstr(roc, "<svg") != NULL) { /* where there is gnuplot */
        for (int r = 2; r < METHODS; r++) {
            char name[32];
            (void)snprintf(name, sizeof(name), ">m%d [it's &lt;%d>]<", r, r);
            assert_int_equal(strstr(roc, name) != NULL, r != 2 && r != 8);
        }
        assert_non_null(strstr(roc, ">oracle<"));
        assert_non_null(strstr(roc, ">original<"));
        assert_non_null(strstr(roc, ">guessing<"));
    }
    assert_null(strstr(text, "nan"));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_says_nothing),    cmocka_unit_test(test_privacy),
        cmocka_unit_test(test_methods_beside_oracles),  cmocka_unit_test(test_choices_of_groups),
        cmocka_unit_test(test_groups_of_a_forget_set),  cmocka_unit_test(test_twins_and_curves),
        cmocka_unit_test(test_figures_of_many_methods), cmocka_unit_test(test_tables_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
