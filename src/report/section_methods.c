#include "report/sections.h"

#include "report/html.h"

/* What the page shows, so that it explains and cites that and no more. */
enum {
    ENSEMBLE = 1,     /* models without some examples */
    SUBSETS = 2,      /* these are random subsets, */
    TWINS = 4,        /* or pairs that differ in one example */
    INFLUENCE = 8,    /* on test examples */
    AREAS = 16,       /* under ROC curves of scores */
    COMPARED = 32,    /* scores with memorization */
    WITHOUT_ONE = 64, /* attribution */
    FORGOTTEN = 128,  /* unlearning */
    ATTACKED = 256,   /* membership inference with reference models */
    MEANS = 512       /* over seeds, with intervals */
};

typedef struct note {
    unsigned when; /* one of these is shown */
    const char *text;
} note;

static const note explanations[] = {
    {TWINS, "<b>Memorization</b>: the mean over seeds of the difference, right or not, between the model "
            "trained on everything and its twin trained without the example (Feldman 2020)."},
    {TWINS, "<b>Standard error and 95&#160;% interval</b>: of paired differences, one pair of either sign "
            "added (Bonett and Price 2012)."},
    {SUBSETS, "<b>Memorization</b>: the difference of two proportions, right with the example in training "
              "and right without it, over one set of models trained on random subsets (Feldman and Zhang "
              "2020). It describes training on subsets of that size, not on everything."},
    {SUBSETS, "<b>Standard error</b>: one success and one failure are added to each of the two groups of "
              "models (Agresti and Caffo 2000), because a plain error would be zero where all models of a "
              "group agree."},
    {SUBSETS, "<b>95&#160;% intervals</b>: on each side the wider end of Newcombe&#8217;s, from "
              "Wilson&#8217;s for each proportion (Newcombe 1998), and of Agresti and Caffo&#8217;s."},
    {ENSEMBLE, "Intervals hold for one example at a time. Among thousands, some values are high by chance: "
               "of examples whose true value is 0.25, about one in forty has its whole interval above it."},
    {SUBSETS, "<b>cscore</b>: how often models that were not trained on an example give its label (the "
              "consistency score of Jiang et al. 2021 at this one subset size), with Wilson&#8217;s "
              "interval."},
    {INFLUENCE, "<b>Influence</b>: the same difference, counted on a test example instead."},
    {AREAS, "<b>ROC area</b>: computed from ranks, ties counting half; its error is DeLong&#8217;s "
            "(DeLong, DeLong and Clarke-Pearson 1988)."},
    {COMPARED, "<b>Somers&#8217; D</b> of a score given memorization (Somers 1962): of the pairs of examples "
               "whose memorization differs, the share that the score puts in that order, less the share in "
               "the other."},
    {WITHOUT_ONE, "<b>Attribution</b>: by each method, the change of an output when the fit is made again "
                  "without one example, exactly or to first order in its weight (Koh and Liang 2017)."},
    {FORGOTTEN, "<b>ToW</b>: (1 &#8722; |difference of forget accuracy|) (1 &#8722; |of retain accuracy|) "
                "(1 &#8722; |of test accuracy|), from each oracle, in the mean over oracles (Zhao et al. "
                "2024)."},
    {MEANS, "<b>Means over seeds</b>: with Student&#8217;s 95&#160;% interval. It has no lower or upper "
            "end where there is one seed only."},
    {ATTACKED, "<b>Attacks with reference models</b>: LiRA (Carlini et al. 2022) and RMIA (Zarifzadeh et al. "
               "2024)."},
};

static const note papers[] = {
    {ENSEMBLE | COMPARED, "V. Feldman: Does learning require memorization? A short tale about a long tail. "
                          "STOC 2020."},
    {ENSEMBLE | INFLUENCE, "V. Feldman, C. Zhang: What neural networks memorize and why: discovering the "
                           "long tail via influence estimation. NeurIPS 2020."},
    {SUBSETS, "Z. Jiang, C. Zhang, K. Talwar, M. C. Mozer: Characterizing structural regularities of labeled "
              "data in overparameterized models. ICML 2021."},
    {SUBSETS, "A. Agresti, B. Caffo: Simple and effective confidence intervals for proportions and "
              "differences of proportions result from adding two successes and two failures. The American "
              "Statistician 54, 2000."},
    {SUBSETS, "R. G. Newcombe: Interval estimation for the difference between independent proportions. "
              "Statistics in Medicine 17, 1998."},
    {TWINS, "D. G. Bonett, R. M. Price: Adjusted Wald confidence interval for a difference of binomial "
            "proportions based on paired data. Journal of Educational and Behavioral Statistics 37, 2012."},
    {AREAS, "E. R. DeLong, D. M. DeLong, D. L. Clarke-Pearson: Comparing the areas under two or more "
            "correlated receiver operating characteristic curves. Biometrics 44, 1988."},
    {COMPARED, "R. H. Somers: A new asymmetric measure of association for ordinal variables. American "
               "Sociological Review 27, 1962."},
    {WITHOUT_ONE, "P. W. Koh, P. Liang: Understanding black-box predictions via influence functions. ICML "
                  "2017."},
    {FORGOTTEN, "K. Zhao, M. Kurmanji, G.-O. B&#259;rbulescu, E. Triantafillou, P. Triantafillou: What makes "
                "unlearning hard and what to do about it. NeurIPS 2024."},
    {ATTACKED, "N. Carlini, S. Chien, M. Nasr, S. Song, A. Terzis, F. Tram&#232;r: Membership inference "
               "attacks from first principles. IEEE S&amp;P 2022."},
    {ATTACKED, "S. Zarifzadeh, P. Liu, R. Shokri: Low-cost high-power membership inference attacks. ICML "
               "2024."},
};

static unsigned shown_on(const lo_page *page)
{
    const lo_report *r = page->report;
    unsigned shown = 0;
    if (lo_page_of_ensemble(page)) {
        shown |= ENSEMBLE | (page->leave_groups ? TWINS : SUBSETS);
    }
    shown |= r->influence_rows > 0 ? INFLUENCE : 0;
    shown |= (r->relabelled > 0 && r->score_count > 0) || r->scaling.rows > 0 ? AREAS : 0;
    shown |= r->scaling.rows > 0 ? COMPARED : 0;
    shown |= r->attribution.methods > 0 ? WITHOUT_ONE : 0;
    shown |= r->unlearned_count > 0 ? FORGOTTEN | MEANS : 0;
    shown |= r->audit.rows > 0 || r->privacy.attacks > 0 ? ATTACKED | MEANS : 0;
    shown |= r->original_count > 1 ? MEANS : 0;
    return shown;
}

static void write_notes(FILE *out, const note *notes, size_t count, unsigned shown)
{
    for (size_t i = 0; i < count; i++) {
        if ((notes[i].when & shown) != 0) {
            (void)fprintf(out, "<li>%s</li>\n", notes[i].text);
        }
    }
}

lo_status lo_section_methods(const lo_page *page, lo_error *err)
{
    (void)err;
    FILE *out = page->out;
    const unsigned shown = shown_on(page);
    (void)fputs("<ul>\n", out);
    write_notes(out, explanations, sizeof(explanations) / sizeof(explanations[0]), shown);
    (void)fputs("<li>Every formula, with its source and cost: <code>docs/methods.md</code> of leaveout. The "
                "numbers of this page as csv: <code>leaveout export STUDY scores</code> (or influence, "
                "attribution, models, scaling, evaluation, audit, privacy).</li>\n</ul>\n"
                "<h3>To cite</h3>\n<p>leaveout ",
                out);
    lo_html_text(out, page->report->version);
    (void)fputs(" (its source holds <code>CITATION.cff</code>)", out);
    if (shown != 0) {
        (void)fputs(", and the papers whose quantities you use:</p>\n<ul class=\"soft\">\n", out);
        write_notes(out, papers, sizeof(papers) / sizeof(papers[0]), shown);
        (void)fputs("<li>The papers of single methods and scores are in <code>docs/methods.md</code>.</li>\n"
                    "</ul>\n",
                    out);
    } else {
        (void)fputs(".</p>\n", out);
    }
    return LO_OK;
}
