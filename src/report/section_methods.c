#include "report/sections.h"

#include "report/html.h"

lo_status lo_section_methods(const lo_page *page, lo_error *err)
{
    (void)err;
    FILE *out = page->out;
    (void)fputs("<section>\n<h2>How the numbers are computed</h2>\n<ul>\n", out);
    if (page->leave_groups) {
        (void)fputs("<li><b>Memorization</b>: the mean over seeds of the difference, right or not, between "
                    "the model trained "
                    "on everything and its twin trained without the example (Feldman 2020).</li>\n"
                    "<li><b>Standard error and 95&#160;% interval</b>: of paired differences, one pair of "
                    "either sign added (Bonett and Price 2012).</li>\n",
                    out);
    } else {
        (void)fputs("<li><b>Memorization</b>: the difference of two proportions, right with the example in "
                    "training and right "
                    "without it, over one set of models trained on random subsets (Feldman and Zhang 2020). "
                    "It describes "
                    "training on subsets of that size, not on everything.</li>\n"
                    "<li><b>Standard error</b>: one success and one failure are added to each of the two "
                    "groups of models "
                    "(Agresti and Caffo 2000), because a plain error would be zero where all models of a "
                    "group agree.</li>\n"
                    "<li><b>95&#160;% intervals</b>: on each side the wider end of Newcombe&#8217;s, from "
                    "Wilson&#8217;s for each proportion (Newcombe 1998), and of Agresti and "
                    "Caffo&#8217;s.</li>\n",
                    out);
    }
    (void)fputs(
        "<li>Intervals hold for one example at a time. Among thousands, some values are high by chance: of "
        "examples "
        "whose true value is 0.25, about one in forty has its whole interval above it.</li>\n"
        "<li><b>cscore</b>: how often models that were not trained on an example give its label (the "
        "consistency "
        "score of Jiang et al. 2021 at this one subset size), with Wilson&#8217;s interval.</li>\n"
        "<li><b>Influence</b>: the same difference, counted on a test example instead.</li>\n"
        "<li><b>ROC area</b>: computed from ranks, ties counting half; its error is "
        "DeLong&#8217;s.</li>\n</ul>\n"
        "<h3>To cite</h3>\n<p>leaveout ",
        out);
    lo_html_text(out, page->report->version);
    (void)fputs(
        " (its source holds <code>CITATION.cff</code>), and the papers whose quantities you use:</p>\n<ul "
        "class=\"soft\">\n"
        "<li>V. Feldman: Does learning require memorization? A short tale about a long tail. STOC "
        "2020.</li>\n"
        "<li>V. Feldman, C. Zhang: What neural networks memorize and why: discovering the long tail via "
        "influence "
        "estimation. NeurIPS 2020.</li>\n"
        "<li>Z. Jiang, C. Zhang, K. Talwar, M. C. Mozer: Characterizing structural regularities of labeled "
        "data in "
        "overparameterized models. ICML 2021.</li>\n"
        "<li>A. Agresti, B. Caffo: Simple and effective confidence intervals for proportions and differences "
        "of "
        "proportions result from adding two successes and two failures. The American Statistician 54, "
        "2000.</li>\n"
        "<li>R. G. Newcombe: Interval estimation for the difference between independent proportions. "
        "Statistics in "
        "Medicine 17, 1998.</li>\n"
        "<li>D. G. Bonett, R. M. Price: Adjusted Wald confidence interval for a difference of binomial "
        "proportions based on paired data. Journal of Educational and Behavioral Statistics 37, "
        "2012.</li>\n</ul>\n</section>\n",
        out);
    return LO_OK;
}
