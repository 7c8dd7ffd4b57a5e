/* The sections of report.html. Each is a file, a declaration here and a line of the table in report.c, which
 * gives it its place and title; it writes itself to page->out, or nothing where the study has nothing of the
 * kind. Errors: LO_INTERNAL without memory; failed writes are left in the stream's error flag. */
#ifndef LEAVEOUT_REPORT_SECTIONS_H
#define LEAVEOUT_REPORT_SECTIONS_H

#include "report/page.h"

typedef lo_status lo_section(const lo_page *page, lo_error *err);

lo_section lo_section_headline;    /* the answer, and what limits it */
lo_section lo_section_meaning;     /* what memorization means */
lo_section lo_section_accuracy;    /* how good the models are */
lo_section lo_section_scores;      /* tables and distributions of the scores */
lo_section lo_section_scaling;     /* what a score costs, and what it is worth */
lo_section lo_section_labels;      /* replaced labels, and who finds them */
lo_section lo_section_gallery;     /* the most and the least memorized examples of each class */
lo_section lo_section_influence;   /* training examples that decide a test example */
lo_section lo_section_attribution; /* models without one example */
lo_section lo_section_unlearning;  /* methods beside oracles */
lo_section lo_section_audit;       /* unlearned models, by attacks and distances */
lo_section lo_section_privacy;     /* membership attacks on the ensemble's models */
lo_section lo_section_originals;   /* models of the whole training set */
lo_section lo_section_run;         /* what was run, where, and what it cost */
lo_section lo_section_methods;     /* how the numbers are computed, and what to cite */

#endif
