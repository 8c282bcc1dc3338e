/* Products by a CBLAS: Accelerate on macOS, OpenBLAS elsewhere. */
#include "base/gemm_impl.h"

#include <limits.h>

#if defined(__APPLE__)
#include <Accelerate/Accelerate.h>
#else
#include <cblas.h>
#endif

#if defined(_OPENMP)
#include <omp.h>
#endif

static void product(const ane_gemm *g) {
    cblas_sgemm(CblasRowMajor, g->transpose_a ? CblasTrans : CblasNoTrans,
        g->transpose_b ? CblasTrans : CblasNoTrans, (int)g->m, (int)g->n, (int)g->k, g->alpha, g->a,
        (int)g->lda, g->b, (int)g->ldb, g->beta, g->c, (int)g->ldc);
}

static bool fits(const ane_gemm *g) { /* CBLAS counts in int */
    return g->m <= INT_MAX && g->n <= INT_MAX && g->k <= INT_MAX && g->lda <= INT_MAX && g->ldb <= INT_MAX &&
           g->ldc <= INT_MAX;
}

void ane_gemm_library_run(const ane_gemm *g, int threads) {
    if (!fits(g)) {
        ane_gemm_plain(g);
        return;
    }
#if defined(_OPENMP)
    int before = omp_get_max_threads();
    if (threads < 1) threads = 1;
    if (threads != before) omp_set_num_threads(threads);
    product(g);
    if (threads != before) omp_set_num_threads(before);
#else
    (void)threads;
    product(g);
#endif
}

const char *ane_gemm_library_name(void) {
#if defined(__APPLE__)
    return "Accelerate";
#elif defined(OPENBLAS_VERSION)
    return OPENBLAS_VERSION;
#else
    return "CBLAS";
#endif
}
