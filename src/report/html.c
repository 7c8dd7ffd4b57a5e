#include "report/html.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

/* Length of the well-formed UTF-8 sequence (RFC 3629) at c, 0 if there is none. */
static size_t utf8_length(const unsigned char *c)
{
    if (c[0] < 0x80) {
        return 1;
    }
    const size_t length = c[0] >= 0xC2 && c[0] <= 0xDF   ? 2
                          : c[0] >= 0xE0 && c[0] <= 0xEF ? 3
                          : c[0] >= 0xF0 && c[0] <= 0xF4 ? 4
                                                         : 0;
    for (size_t i = 1; i < length; i++) {
        if ((c[i] & 0xC0) != 0x80) { /* the final NUL ends the loop here */
            return 0;
        }
    }
    /* Overlong forms, surrogates and what is beyond U+10FFFF show in the second byte; U+FFFE and U+FFFF are
     * no characters of XML. */
    const int wrong = (c[0] == 0xE0 && c[1] < 0xA0) || (c[0] == 0xED && c[1] > 0x9F) ||
                      (c[0] == 0xF0 && c[1] < 0x90) || (c[0] == 0xF4 && c[1] > 0x8F) ||
                      (c[0] == 0xEF && c[1] == 0xBF && c[2] >= 0xBE);
    return wrong ? 0 : length;
}

void lo_html_text(FILE *out, const char *text)
{
    static const char replacement[] = "\xEF\xBF\xBD";
    if (text == NULL) {
        return;
    }
    for (const unsigned char *c = (const unsigned char *)text; *c != '\0';) {
        const size_t length = utf8_length(c);
        if (*c == '&') {
            (void)fputs("&amp;", out);
        } else if (*c == '<') {
            (void)fputs("&lt;", out);
        } else if (*c == '>') {
            (void)fputs("&gt;", out);
        } else if (*c == '"') {
            (void)fputs("&quot;", out);
        } else if (*c == '\'') {
            (void)fputs("&#39;", out);
        } else if (length == 0 || *c == 0x7F || (*c < 0x20 && *c != '\n' && *c != '\t')) {
            (void)fputs(replacement, out);
        } else {
            (void)fwrite(c, 1, length, out);
        }
        c += length == 0 ? 1 : length;
    }
}

void lo_html_settings(FILE *out, const char *settings)
{
    static const char head[] = "{name: ";
    char inner[512];
    const size_t length = strlen(settings);
    if (strncmp(settings, head, sizeof(head) - 1) != 0 || settings[length - 1] != '}' ||
        length >= sizeof(inner)) {
        lo_html_text(out, settings);
        return;
    }
    const char *from = settings + strcspn(settings, ",}");
    from += strspn(from, ", ");
    (void)snprintf(inner, sizeof(inner), "%.*s", (int)(settings + length - 1 - from), from);
    lo_html_text(out, inner);
}

lo_number lo_number_count(int64_t value)
{
    char digits[24];
    lo_number number = {""};
    const uint64_t magnitude = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    const int length = snprintf(digits, sizeof(digits), "%" PRIu64, magnitude);
    size_t used = 0;
    if (value < 0) {
        used = (size_t)snprintf(number.text, sizeof(number.text), "−");
    }
    for (int i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0) {
            number.text[used++] = ',';
        }
        number.text[used++] = digits[i];
    }
    number.text[used] = '\0';
    return number;
}

static lo_number print_real(double value, int decimals, const char *plus, const char *unit)
{
    lo_number number = {"–"};
    if (isnan(value)) {
        return number;
    }
    if (isinf(value)) {
        (void)snprintf(number.text, sizeof(number.text), "%s∞", value < 0 ? "−" : plus);
        return number;
    }
    char digits[32];
    /* Beyond 1e15 the digits after the point mean nothing, and before it they might not fit. */
    (void)snprintf(digits, sizeof(digits), fabs(value) < 1e15 ? "%.*f" : "%.*e", decimals, fabs(value));
    const int zero = strspn(digits, "0.") == strlen(digits);
    (void)snprintf(number.text, sizeof(number.text), "%s%s%s",
                   zero        ? ""
                   : value < 0 ? "−"
                               : plus,
                   digits, unit);
    return number;
}

lo_number lo_number_real(double value, int decimals)
{
    return print_real(value, decimals, "", "");
}

lo_number lo_number_signed(double value, int decimals)
{
    return print_real(value, decimals, "+", "");
}

lo_number lo_number_percent(double share, int decimals)
{
    return print_real(100 * share, decimals, "", "\u00a0%");
}

lo_number lo_number_duration(double seconds)
{
    lo_number number = {"–"};
    if (!isfinite(seconds) || seconds < 0) {
        return number;
    }
    if (seconds < 10) {
        return print_real(seconds, 2, "", " s");
    }
    if (seconds < 120) {
        return print_real(seconds, 1, "", " s");
    }
    const int64_t whole = (int64_t)(seconds + 0.5);
    if (whole < 3600) {
        (void)snprintf(number.text, sizeof(number.text), "%" PRId64 " min", (whole + 30) / 60);
    } else if (whole < 86400) {
        (void)snprintf(number.text, sizeof(number.text), "%" PRId64 " h %02" PRId64 " min", whole / 3600,
                       whole % 3600 / 60);
    } else {
        (void)snprintf(number.text, sizeof(number.text), "%" PRId64 " d %" PRId64 " h", whole / 86400,
                       whole % 86400 / 3600);
    }
    return number;
}
