#include "base/gemm.h"

#include "base/gemm_impl.h"
#include "base/parallel.h"

#if defined(_OPENMP)
#include <omp.h>
#endif

/* C *= beta, for products over nothing. */
static void scale_only(const ane_gemm *g) {
    for (int64_t i = 0; i < g->m; i++)
        for (int64_t j = 0; j < g->n; j++) {
            float *c = &g->c[i * g->ldc + j];
            *c = g->beta == 0 ? 0 : g->beta * *c;
        }
}

#if !defined(ANEMONE_GEMM_ONEDNN) && !defined(ANEMONE_GEMM_CBLAS)
/* Rows [begin, end) of C. */
static void plain_rows(void *context, int64_t begin, int64_t end) {
    ane_gemm g = *(const ane_gemm *)context;
    g.a += begin * (g.transpose_a ? 1 : g.lda);
    g.c += begin * g.ldc;
    g.m = end - begin;
    ane_gemm_plain(&g);
}

/* Columns [begin, end) of C. */
static void plain_columns(void *context, int64_t begin, int64_t end) {
    ane_gemm g = *(const ane_gemm *)context;
    g.b += begin * (g.transpose_b ? g.ldb : 1);
    g.c += begin;
    g.n = end - begin;
    ane_gemm_plain(&g);
}

void ane_gemm_library_run(const ane_gemm *g, int threads) {
    ane_gemm copy = *g;
    if (2.0 * (double)g->m * (double)g->n * (double)g->k < 1e5) threads = 1;
    if (g->m >= g->n)
        ane_parallel_for(g->m, 16, threads, plain_rows, &copy);
    else
        ane_parallel_for(g->n, 64, threads, plain_columns, &copy);
}

const char *ane_gemm_library_name(void) {
    return "plain C";
}
#endif

static bool inside_parallel(void) {
#if defined(_OPENMP)
    return omp_in_parallel();
#else
    return false;
#endif
}

void ane_gemm_run(const ane_gemm *g, int threads) {
    if (g->m <= 0 || g->n <= 0) return;
    if (g->k <= 0) {
        scale_only(g);
        return;
    }
    if (inside_parallel()) threads = 1;
    if (g->m == 1 || g->n == 1)
        ane_gemv_run(g, threads);
    else
        ane_gemm_library_run(g, threads);
}

const char *ane_gemm_library(void) {
    return ane_gemm_library_name();
}
