/* products.c - parameter gradients, formed by the host straight into the gradient store. */
#include "base/gemm.h"
#include "model/host.h"

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

static bool add_value(const ane_product *p, float *staging, ane_error *e) {
    const float *value = ane_floats_open(p->value, ANE_READ, staging, e);
    if (!value) return false;
    int64_t n = mil_type_count(ane_buffer_type(p->value));
    for (int64_t i = 0; i < n; i++) p->gradient[i] += value[i];
    return ane_floats_close(p->value, ANE_READ, staging, e);
}

/* gradient[m, k] += left[m, n] * right[k, n]^T */
static void multiply(const ane_product *p, const float *left, const float *right, int threads) {
    const mil_param_grad *g = p->how;
    const ane_gemm gemm = {
        .transpose_a = g->left_transposed,
        .transpose_b = !g->right_transposed,
        .m = g->m,
        .n = g->k,
        .k = g->n,
        .alpha = 1,
        .a = left,
        .lda = g->left_transposed ? g->m : g->n,
        .b = right,
        .ldb = g->right_transposed ? g->k : g->n,
        .beta = 1,
        .c = p->gradient,
        .ldc = g->k,
    };
    ane_gemm_run(&gemm, threads);
}

bool ane_product_add(const ane_product *p, float *const staging[2], int threads, ane_error *e) {
    if (!p->how->is_product) return add_value(p, staging[0], e);
    const float *left = ane_floats_open(p->left, ANE_READ, staging[0], e);
    if (!left) return false;
    const float *right = p->left == p->right ? left : ane_floats_open(p->right, ANE_READ, staging[1], e);
    if (right) multiply(p, left, right, threads);
    bool closed = !right || p->left == p->right || ane_floats_close(p->right, ANE_READ, staging[1], e);
    return ane_floats_close(p->left, ANE_READ, staging[0], e) && right && closed;
}

double ane_product_flops(const mil_param_grad *how) {
    return how->is_product ? 2.0 * (double)how->m * (double)how->n * (double)how->k : 0;
}
