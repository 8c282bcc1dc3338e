/* pack_rows.c - several tensors as rows of one width.
 *
 * A tensor of n elements takes n / g rows, g the largest divisor of n that is not above the width; what is behind g in
 * a row is not used. Rows start at 0, so that no slice starts inside the last axis (ANE-41), and lie one behind the
 * other, so that a tensor whose g is the width is one piece of memory. */
#include "mil/lower.h"

enum { ROW_UNIT = 64, WIDEST = 16384 }; /* 128 bytes of fp16: twice ANE-03, for PR 35; ANE-18 */

static int64_t largest_divisor(int64_t n, int64_t most) {
    if (n <= most) return n;
    int64_t best = 1;
    for (int64_t d = 1; d * d <= n; d++) {
        if (n % d) continue;
        if (d <= most && d > best) best = d;
        if (n / d <= most && n / d > best) best = n / d;
    }
    return best;
}

static int64_t count(const mil_piece *p) {
    return mil_type_count(&p->type);
}

static int64_t last(const mil_piece *p) {
    return p->type.rank ? p->type.dim[p->type.rank - 1] : 1;
}

static int64_t rows_at(mil_piece *const *pieces, int32_t n, int64_t width) {
    int64_t rows = 0;
    for (int32_t i = 0; i < n; i++) rows += count(pieces[i]) / largest_divisor(count(pieces[i]), width);
    return rows;
}

/* Elements of the whole, and again those that change their rows on the way. */
static int64_t cost(mil_piece *const *pieces, int32_t n, int64_t width) {
    int64_t sum = rows_at(pieces, n, width) * width;
    for (int32_t i = 0; i < n; i++)
        if (last(pieces[i]) != largest_divisor(count(pieces[i]), width)) sum += count(pieces[i]);
    return sum;
}

typedef struct choice {
    int64_t width, cost;
} choice;

static void consider(choice *best, mil_piece *const *pieces, int32_t n, int64_t width, int64_t max_dim) {
    width = (width + ROW_UNIT - 1) / ROW_UNIT * ROW_UNIT;
    if (width > WIDEST || width > max_dim || rows_at(pieces, n, width) > max_dim) return;
    int64_t c = cost(pieces, n, width);
    if (best->width == 0 || c < best->cost) *best = (choice){width, c};
}

int64_t mil_pack_rows(
    mil_piece *const *pieces, int32_t n, int64_t max_dim, int64_t *total_rows, ane_error *e) {
    choice best = {0, 0};
    for (int32_t i = 0; i < n; i++) consider(&best, pieces, n, last(pieces[i]), max_dim);
    for (int64_t width = ROW_UNIT; width <= WIDEST; width *= 2) consider(&best, pieces, n, width, max_dim);
    if (best.width == 0) {
        ane_fail(e, ANE_ERROR_UNSUPPORTED, "ports",
            "%d tensors do not fit into one of %lld rows, each at most %d wide", (int)n, (long long)max_dim,
            WIDEST);
        ane_hint(e, "Use a smaller batch, or weights=baked.");
        return 0;
    }
    int64_t row = 0;
    for (int32_t i = 0; i < n; i++) {
        mil_piece *p = pieces[i];
        p->width = largest_divisor(count(p), best.width);
        p->rows = count(p) / p->width;
        p->row = row;
        row += p->rows;
    }
    *total_rows = row;
    return best.width;
}

/* A matrix [rows, columns, 1, 1] has its columns last: a last axis of 1 is not to be had (ANE-19). */
void mil_pack_alone(mil_piece *p) {
    int axis = p->type.rank - 1;
    while (axis > 0 && p->type.dim[axis] == 1) axis--;
    p->row = 0;
    p->width = axis >= 0 ? p->type.dim[axis] : 1;
    p->rows = count(p) / p->width;
}
