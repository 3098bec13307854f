/* The usual table of costs, row by row; a swap looks back two rows. */
#include "base/near.h"

#include <assert.h>
#include <string.h>

size_t near_distance(const char *a, size_t a_size, const char *b)
{
    size_t costs[3][NEAR_BYTES_MAX + 1];
    size_t b_size = strlen(b);
    size_t *older = costs[0], *old = costs[1], *row = costs[2];
    assert(b_size <= NEAR_BYTES_MAX);
    for (size_t j = 0; j <= b_size; j++)
        row[j] = j;
    for (size_t i = 1; i <= a_size; i++) {
        size_t *spare = older;
        older = old, old = row, row = spare;
        row[0] = i;
        for (size_t j = 1; j <= b_size; j++) {
            size_t cost = old[j - 1] + (a[i - 1] != b[j - 1]);
            if (old[j] + 1 < cost)
                cost = old[j] + 1;
            if (row[j - 1] + 1 < cost)
                cost = row[j - 1] + 1;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                older[j - 2] + 1 < cost)
                cost = older[j - 2] + 1;
            row[j] = cost;
        }
    }
    return row[b_size];
}
