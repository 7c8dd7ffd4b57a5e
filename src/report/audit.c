#include "report/audit.h"

#include "report/audit_figures.h"
#include "report/audit_tables.h"
#include "report/figure.h"
#include "report/groups.h"
#include "report/html.h"

#include <math.h>
#include <string.h>

static void axis(const lo_figure *figure, const char *commands)
{
    if (figure->script != NULL) {
        (void)fputs(commands, figure->script);
    }
}

static void begin_figure(FILE *out, const char *about)
{
    (void)fputs("<figure><div role=\"img\" aria-label=\"", out);
    lo_html_text(out, about);
    (void)fputs("\">\n", out);
}

/* "0.534" over a smaller "0.520 to 0.548". */
static void write_bounded(FILE *out, const lo_bounded *b, int decimals)
{
    (void)fputs(lo_number_real(b->value, decimals).text, out);
    if (!isnan(b->low) && !isnan(b->high)) {
        (void)fprintf(out, "<br/><span class=\"soft\">%s to %s</span>", lo_number_real(b->low, decimals).text,
                      lo_number_real(b->high, decimals).text);
    }
}

/* ---- privacy ---- */

static void draw_roc(FILE *out, const lo_report_privacy *p)
{
    static const char *const look[LO_REPORT_ATTACKS] = {"linecolor rgb '" LO_FIGURE_FIRST "'",
                                                        "linecolor rgb '" LO_FIGURE_FIRST "' dashtype 2",
                                                        "linecolor rgb '" LO_FIGURE_SECOND "' dashtype 4"};
    lo_figure figure = lo_figure_begin();
    axis(&figure, "set logscale xy\nset xrange [1e-5:1]\nset yrange [1e-5:1]\nset format xy '%g'\nset key "
                  "bottom right\n"
                  "set xlabel 'false positive rate'\nset ylabel 'true positive rate'\n");
    for (int a = 0; a < p->attacks && figure.script != NULL; a++) {
        (void)fprintf(figure.script, "$roc%d << EOD\n", a);
        for (int i = 0; i < LO_REPORT_ROC; i++) {
            if (p->attack[a].roc[i] > 0) {
                (void)fprintf(figure.script, "%.6g %.6g\n", p->rate[i], p->attack[a].roc[i]);
            }
        }
        (void)fputs("1 1\nEOD\n", figure.script);
    }
    if (figure.script != NULL) {
        (void)fputs("plot x with lines linecolor rgb '" LO_FIGURE_INK "' dashtype 3 title 'guessing'",
                    figure.script);
    }
    for (int a = 0; a < p->attacks && figure.script != NULL; a++) {
        (void)fprintf(figure.script, ", $roc%d using 1:2 with lines linewidth 2 %s title ", a, look[a]);
        lo_figure_text(&figure, p->attack[a].name);
    }
    axis(&figure, "\n");
    begin_figure(out, "ROC curves of membership attacks on logarithmic axes");
    (void)lo_figure_end(&figure, out);
    (void)fputs("</div>\n<figcaption>All scores together. What matters is on the left: how many members are "
                "found while "
                "next to nobody is accused wrongly.</figcaption></figure>\n",
                out);
}

void lo_report_write_privacy(FILE *out, const lo_report_privacy *p)
{
    if (p->attacks == 0) {
        return;
    }
    (void)fputs(
        "<p>Whoever has models that were trained on other examples can try to tell from a model's answers "
        "what "
        "it was trained on. Here each model of the ensemble is attacked with all the others as references. "
        "AUC: "
        "the chance that an example that the model was trained on looks more like one than an example that "
        "it "
        "was not; 0.5 is guessing. What counts is how many members are found while next to nobody is accused "
        "wrongly: the columns at 1 and 0.1&#160;% false positives. An example's vulnerability is the AUC "
        "over "
        "pairs of a model trained with it and one trained without.</p>\n<div "
        "class=\"wide\"><table>\n<thead><tr><th "
        "scope=\"col\">Attack</th><th scope=\"col\">AUC</th><th scope=\"col\">Members found<br/>at 1&#160;% "
        "false</th><th scope=\"col\">at 0.1&#160;% false</th><th scope=\"col\">Best "
        "balanced<br/>accuracy</th><th "
        "scope=\"col\">Vulnerable<br/>above 0.6</th><th scope=\"col\">above 0.9</th><th "
        "scope=\"col\">Spearman with<br/>memorization</th><th "
        "scope=\"col\">Models<br/>attacked</th></tr></thead>\n<tbody>\n",
        out);
    for (int a = 0; a < p->attacks; a++) {
        const lo_report_attack *k = &p->attack[a];
        (void)fputs("<tr><td><code>", out);
        lo_html_text(out, k->name);
        (void)fputs("</code></td><td>", out);
        write_bounded(out, &k->auc, 3);
        for (int r = 0; r < LO_REPORT_RATES; r++) {
            (void)fputs("</td><td>", out);
            write_bounded(out, &k->rate[r], 4);
        }
        (void)fprintf(out, "</td><td>%s</td><td>%s</td><td>%s</td><td>%s</td><td>%s</td></tr>\n",
                      lo_number_percent(k->accuracy, 1).text, lo_number_percent(k->above[0], 1).text,
                      lo_number_percent(k->above[1], 1).text, lo_number_signed(k->agreement, 3).text,
                      lo_number_count(k->targets).text);
    }
    (void)fputs(
        "</tbody></table></div>\n<p class=\"soft\">Means over the models as targets, with Student's 95 % "
        "intervals; &#8211;: fewer than 100 (1000) examples that a target has not seen cannot support the "
        "rate.</p>\n<div class=\"figures\">\n",
        out);
    draw_roc(out, p);
    (void)fputs("</div>\n", out);
}

/* ---- unlearned models ---- */

const char *lo_report_mark(lo_told told, double value)
{
    if (isnan(value)) {
        return "";
    }
    return told == LO_TOLD_NOISE ? "&#8776; " : told == LO_TOLD_NOTHING ? "? " : "";
}

static void write_set(FILE *out, const lo_report_audit *a, const lo_report_audited *rows, int64_t count)
{
    (void)fputs("<h3>Forget set <code>", out);
    lo_html_text(out, rows->forget_set);
    (void)fputs("</code></h3>\n", out);
    lo_report_write_audit_tables(out, a, rows, count);
    (void)fputs("<div class=\"figures\">\n", out);
    lo_report_draw_trade_off(out, rows, count);
    for (int k = 0; k < LO_REPORT_CURVES; k++) {
        lo_report_draw_curves(out, a, rows, count, k);
    }
    (void)fputs("</div>\n", out);
    lo_report_write_groups(out, a, rows, count);
}

static void write_definition(FILE *out, const lo_report_number *k, const char *of)
{
    (void)fputs("<dt><code>", out);
    lo_html_text(out, k->name);
    (void)fprintf(out, "</code>%s</dt><dd>", of);
    lo_html_text(out, k->description);
    (void)fputs(". Best: ", out);
    lo_html_text(out, k->best);
    if (k->refused[0] != '\0') {
        (void)fputs(". Where it is missing: ", out);
        lo_html_text(out, k->refused);
    }
    (void)fputs(".</dd>\n", out);
}

static void write_legend(FILE *out, const lo_report_audit *a)
{
    (void)fputs("<details><summary>What the numbers are</summary>\n<dl>\n", out);
    for (int n = 0; n < a->numbers; n++) {
        write_definition(out, &a->number[n], "");
    }
    for (int n = 0; n < a->by_numbers; n++) {
        write_definition(out, &a->by_number[n], " of a group");
    }
    (void)fputs("</dl></details>\n", out);
}

/* What each run can show: the files themselves, folded. */
static void write_receipts(FILE *out, const lo_report_audit *a)
{
    if (a->receipts == 0) {
        return;
    }
    (void)fprintf(out,
                  "<h3>Receipts</h3>\n<p>Each of the %s runs has a receipt, "
                  "<code>receipts/MODEL.json</code>: digests of the "
                  "examples' numbers, of the model before and after and of the oracles, the settings, what "
                  "was found, and "
                  "what that cannot promise. <code>leaveout verify STUDY/receipts/MODEL.json</code> holds it "
                  "against the "
                  "study. %s of them:</p>\n",
                  lo_number_count(a->all_receipts).text, lo_number_count(a->receipts).text);
    for (int i = 0; i < a->receipts; i++) {
        (void)fputs("<details><summary><code>", out);
        lo_html_text(out, a->receipt[i].name);
        (void)fputs("</code></summary><pre>", out);
        lo_html_text(out, a->receipt[i].text);
        (void)fputs("</pre></details>\n", out);
    }
}

void lo_report_write_audit(FILE *out, const lo_report_audit *a)
{
    if (a->rows == 0) {
        return;
    }
    (void)fputs(
        "<p>How far are models that were made to forget from models "
        "that "
        "never saw the forget set? The row <b>oracle</b> is the ceiling: the same numbers of each oracle "
        "against "
        "the others, which is what perfect looks like, seed noise included. &#8776;: the difference from the "
        "oracles, all seeds against all oracles, is inside the noise (its 95 % interval, in which the noise "
        "of the oracles counts too, has 0 in it), so nothing can be said. ?: there are too few models for an "
        "interval of the difference, so that it cannot be told from noise. "
        "Means over seeds with Student's 95 % intervals.</p>\n",
        out);
    if (a->test_in_train + a->validation_in_train > 0) {
        (void)fprintf(
            out,
            "<p><b>%s test and %s validation examples are in the training set too</b>, byte for byte. "
            "Figures "
            "take them for examples that no model has seen, which holds for none that was trained on "
            "their twin: accuracies are too good by as much, and attacks look as weak.</p>\n",
            lo_number_count(a->test_in_train).text, lo_number_count(a->validation_in_train).text);
    }
    write_legend(out, a);
    for (int64_t r = 0, next; r < a->rows; r = next) {
        for (next = r; next < a->rows && strcmp(a->row[next].forget_set, a->row[r].forget_set) == 0; next++) {
        }
        write_set(out, a, a->row + r, next - r);
    }
    lo_report_write_choices(out, a->choice, a->choices);
    write_receipts(out, a);
}
