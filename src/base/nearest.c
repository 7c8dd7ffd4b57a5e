#include "base/job.h"

#include <ctype.h>
#include <string.h>

enum { MAX_WORD = 96 };

static int smaller(int a, int b)
{
    return a < b ? a : b;
}

static bool same(char a, char b)
{
    return tolower((unsigned char)a) == tolower((unsigned char)b);
}

/* Optimal string alignment: Levenshtein's distance with swapped neighbours as one edit (Damerau 1964), three
 * rows of the table at a time. */
int lo_edit_distance(const char *a, const char *b)
{
    const int length_a = (int)strnlen(a, MAX_WORD + 1);
    const int length_b = (int)strnlen(b, MAX_WORD + 1);
    if (length_a > MAX_WORD || length_b > MAX_WORD) {
        return 2 * MAX_WORD;
    }
    int rows[3][MAX_WORD + 1];
    for (int j = 0; j <= length_b; j++) {
        rows[0][j] = j;
    }
    for (int i = 1; i <= length_a; i++) {
        int *row = rows[i % 3];
        const int *above = rows[(i + 2) % 3];
        const int *above2 = rows[(i + 1) % 3];
        row[0] = i;
        for (int j = 1; j <= length_b; j++) {
            const int change = above[j - 1] + !same(a[i - 1], b[j - 1]);
            row[j] = smaller(change, smaller(above[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && same(a[i - 1], b[j - 2]) && same(a[i - 2], b[j - 1])) {
                row[j] = smaller(row[j], above2[j - 2] + 1);
            }
        }
    }
    return rows[length_a % 3][length_b];
}

bool lo_edit_near(const char *a, const char *b, int distance)
{
    const size_t length_a = strnlen(a, MAX_WORD);
    const size_t length_b = strnlen(b, MAX_WORD);
    const size_t longer = length_a > length_b ? length_a : length_b;
    return distance <= (int)(longer + 1) / 3;
}

const char *lo_nearest(const char *word, const char *words, char *buffer, size_t size)
{
    int best = 2 * MAX_WORD;
    const char *found = NULL;
    for (const char *c = words + strspn(words, " "); *c != '\0';) {
        const size_t length = strcspn(c, " ");
        char known[MAX_WORD + 1];
        if (length < sizeof(known) && length < size) {
            memcpy(known, c, length);
            known[length] = '\0';
            const int distance = lo_edit_distance(word, known);
            if (distance < best && lo_edit_near(word, known, distance)) {
                best = distance;
                memcpy(buffer, known, length + 1);
                found = buffer;
            }
        }
        c += length;
        c += strspn(c, " ");
    }
    return found;
}
