/* products.c - parameter gradients, formed by the host straight into the gradient store. */
#include "base/gemm.h"
#include "base/packed.h"
#include "base/parallel.h"
#include "model/host.h"

#include <math.h>
#include <string.h>

float *ane_floats_open(ane_buffer *b, ane_access access, float *staging, ane_error *e) {
    const mil_type *type = ane_buffer_type(b);
    if (type->dtype == MIL_FP32) return ane_buffer_map(b, access, e);
    if ((access & ANE_READ) && !ane_buffer_read_f32(b, staging, mil_type_count(type), e)) return NULL;
    return staging;
}

bool ane_floats_close(ane_buffer *b, ane_access access, float *staging, ane_error *e) {
    const mil_type *type = ane_buffer_type(b);
    if (type->dtype == MIL_FP32) return ane_buffer_unmap(b, e);
    return !(access & ANE_WRITE) || ane_buffer_write_f32(b, staging, mil_type_count(type), e);
}

bool ane_copy_floats(ane_buffer *to, ane_buffer *from, ane_error *e) {
    int64_t n = mil_type_count(ane_buffer_type(to));
    bool into_host = ane_buffer_type(to)->dtype == MIL_FP32;
    ane_buffer *floats = into_host ? to : from;
    float *x = ane_buffer_map(floats, into_host ? ANE_WRITE : ANE_READ, e);
    if (!x) return false;
    bool ok = into_host ? ane_buffer_read_f32(from, x, n, e) : ane_buffer_write_f32(to, x, n, e);
    return ane_buffer_unmap(floats, e) && ok;
}

typedef struct sum {
    float *to;
    const float *x;
} sum;

static void add_part(void *context, int64_t begin, int64_t end) {
    const sum *s = context;
    for (int64_t i = begin; i < end; i++) s->to[i] += s->x[i];
}

/* to[n] += x[n] */
static void add_to(float *to, const float *x, int64_t n, int threads) {
    sum s = {to, x};
    ane_parallel_pieces(n, 1 << 14, threads, add_part, &s);
}

bool ane_add_floats(ane_buffer *to, ane_buffer *a, ane_buffer *b, float *staging, int threads, ane_error *e) {
    int64_t n = mil_type_count(ane_buffer_type(to));
    const float *y = ane_buffer_map(b, ANE_READ, e);
    if (!y) return false;
    float *x = ane_floats_open(to, ANE_WRITE, staging, e);
    bool ok = x && ane_buffer_read_f32(a, x, n, e);
    if (ok) add_to(x, y, n, threads);
    if (x) ok = ane_floats_close(to, ANE_WRITE, staging, e) && ok;
    return ane_buffer_unmap(b, e) && ok;
}

static bool take_value(const ane_product *p, bool add, float *staging, int threads, ane_error *e) {
    const float *value = ane_floats_open(p->value, ANE_READ, staging, e);
    int64_t n = mil_type_count(ane_buffer_type(p->value));
    if (!value) return false;
    if (add)
        add_to(p->gradient, value, n, threads);
    else
        memcpy(p->gradient, value, (size_t)n * sizeof *value);
    return ane_floats_close(p->value, ANE_READ, staging, e);
}

/* Rows of a product; all of them are [0, m). */
typedef struct rows {
    int64_t first, n;
} rows;

static const float *left_of_rows(const ane_product *p, const float *left, rows r) {
    return left + r.first * (p->how->left_transposed ? 1 : p->how->n);
}

/* gradient[rows, k] (+)= left[rows, n] * right[k, n]^T */
static void multiply(const ane_product *p, rows r, bool add, const float *left, const float *right) {
    const mil_param_grad *g = p->how;
    const ane_gemm gemm = {
        .transpose_a = g->left_transposed,
        .transpose_b = !g->right_transposed,
        .m = r.n,
        .n = g->k,
        .k = g->n,
        .alpha = 1,
        .a = left_of_rows(p, left, r),
        .lda = g->left_transposed ? g->m : g->n,
        .b = right,
        .ldb = g->right_transposed ? g->k : g->n,
        .beta = add,
        .c = p->gradient,
        .ldc = g->k,
    };
    ane_gemm_run(&gemm, p->threads);
}

static ane_packed_product packed_product(const ane_product *p, rows r, const float *left) {
    const mil_param_grad *g = p->how;
    return (ane_packed_product){.kernel = p->kernel,
        .m = r.n,
        .n = g->k,
        .k = g->n,
        .a = {left, g->left_transposed ? 1 : g->n, g->left_transposed ? g->m : 1},
        .c = p->gradient,
        .ldc = g->k,
        .squares = r.n == g->m ? p->blocks : NULL};
}

int64_t ane_product_room(const ane_product *p, int64_t n) {
    if (!p->kernel || !p->how->is_product) return 0;
    const int64_t m = p->how->m, parts[] = {m, n < m ? n : m, n > 0 ? m % n : 0};
    int64_t most = 0;
    for (int i = 0; i < 3; i++) {
        const ane_packed_product product = packed_product(p, (rows){0, parts[i]}, NULL);
        const int64_t room = parts[i] > 0 ? ane_packed_room(&product, p->threads) : 0;
        if (room > most) most = room;
    }
    return most;
}

int64_t ane_product_blocks(const ane_product *p) {
    return p->kernel && p->how->is_product ? ane_packed_blocks(p->kernel, p->how->m, p->how->k) : 0;
}

/* The same by packed operands: in bf16 both are rounded. */
static void multiply_packed(const ane_product *p, rows r, bool add, const float *left, const float *right) {
    const mil_param_grad *g = p->how;
    const ane_packed_source b = {right, g->right_transposed ? 1 : g->n, g->right_transposed ? g->k : 1};
    ane_packed_product product = packed_product(p, r, left_of_rows(p, left, r));
    product.store = add ? ANE_ADD : ANE_STREAM; /* all gradients together are larger than any cache */
    if (!p->right_is_packed) ane_packed_prepare(&product, &b, p->packed, p->threads);
    ane_packed_multiply(&product, &b, p->packed, p->threads);
    if (!product.squares || !p->squares) return;
    *p->squares = 0;
    for (int64_t i = 0; i < ane_product_blocks(p); i++) *p->squares += p->blocks[i];
}

static bool form_rows(const ane_product *p, rows r, bool add, float *const staging[2], ane_error *e) {
    const float *left = ane_floats_open(p->left, ANE_READ, staging[0], e);
    if (!left) return false;
    const float *right = p->left == p->right ? left : ane_floats_open(p->right, ANE_READ, staging[1], e);
    if (right) (p->kernel ? multiply_packed : multiply)(p, r, add, left, right);
    bool closed = !right || p->left == p->right || ane_floats_close(p->right, ANE_READ, staging[1], e);
    return ane_floats_close(p->left, ANE_READ, staging[0], e) && right && closed;
}

bool ane_product_form_rows(
    const ane_product *p, int64_t first, int64_t n, bool add, float *const staging[2], ane_error *e) {
    if (p->squares) *p->squares = NAN;
    return p->how->is_product ? form_rows(p, (rows){first, n}, add, staging, e)
                              : take_value(p, add, staging[0], p->threads, e);
}

bool ane_product_form(const ane_product *p, bool add, float *const staging[2], ane_error *e) {
    return ane_product_form_rows(p, 0, p->how->m, add, staging, e);
}

double ane_product_flops(const mil_param_grad *how) {
    return how->is_product ? 2.0 * (double)how->m * (double)how->n * (double)how->k : 0;
}
