/* nearest.c - what the user may have meant: the name with the smallest edit distance. */
#include "base/nearest.h"

#include <stdbool.h>
#include <string.h>

enum { LONGEST = 64 };

static int smallest(int a, int b, int c) {
    int ab = a < b ? a : b;
    return ab < c ? ab : c;
}

/* Insertions, deletions, replacements and swaps of neighbours that turn a into b (optimal string alignment).
 */
static int edit_distance(const char *a, const char *b) {
    int d[3][LONGEST + 1], n = (int)strlen(b);
    for (int j = 0; j <= n; j++) d[0][j] = j;
    for (int i = 1; a[i - 1]; i++) {
        int *row = d[i % 3], *above = d[(i + 2) % 3], *before = d[(i + 1) % 3];
        row[0] = i;
        for (int j = 1; j <= n; j++) {
            row[j] = smallest(above[j] + 1, row[j - 1] + 1, above[j - 1] + (a[i - 1] != b[j - 1]));
            bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
            if (swapped && before[j - 2] + 1 < row[j]) row[j] = before[j - 2] + 1;
        }
    }
    return d[strlen(a) % 3][n];
}

const char *ane_nearest(const char *typed, const char *const *names) {
    const char *best = NULL;
    size_t length = strlen(typed);
    if (length > LONGEST) return NULL;
    int limit = length < 4 ? 1 : length < 7 ? 2 : 3, nearest = limit + 1;
    for (; *names; names++) {
        if (strlen(*names) > LONGEST) continue;
        /* A beginning of the right name is near, however much is missing. */
        bool begins = length >= 2 && !strncmp(*names, typed, length);
        int distance = begins ? 0 : edit_distance(typed, *names);
        if (distance < nearest) {
            nearest = distance;
            best = *names;
        }
    }
    return best;
}
