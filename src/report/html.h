/* Text and numbers for the report's page, and nothing else: the page itself is written with fprintf. */
#ifndef LEAVEOUT_REPORT_HTML_H
#define LEAVEOUT_REPORT_HTML_H

#include <stdint.h>
#include <stdio.h>

/* Writes text with &, <, >, " and ' escaped, fit for element content and for attribute values in either
 * quotes. Control characters (but for newline and tab) and bytes that are not UTF-8 become U+FFFD. NULL
 * writes nothing. */
void lo_html_text(FILE *out, const char *text);

/* A method's settings as the study has them, "{name: rum, by: memorization}", without braces and name. */
void lo_html_settings(FILE *out, const char *settings);

/* A printed number, returned by value so that it can be an argument of fprintf. "–" stands for NaN. */
typedef struct lo_number {
    char text[40];
} lo_number;

/* "12,345" */
lo_number lo_number_count(int64_t value);

/* "−0.25": fixed decimals (at most 9), with a minus sign. Never "−0.00". */
lo_number lo_number_real(double value, int decimals);

/* The same with its sign always there: "+0.25". */
lo_number lo_number_signed(double value, int decimals);

/* A share as "12.3 %". */
lo_number lo_number_percent(double share, int decimals);

/* "0.25 s", "45.0 s", "12 min", "3 h 05 min", "2 d 4 h". */
lo_number lo_number_duration(double seconds);

#endif
