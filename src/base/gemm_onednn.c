/* Products by oneDNN. The C API kept dnnl_sgemm unchanged from 2.x to 3.x. It takes its threads from OpenMP's
 * setting for the calling thread, and works alone inside a parallel region. */
#include "base/gemm_impl.h"

#include <oneapi/dnnl/dnnl.h>
#include <oneapi/dnnl/dnnl_version.h>

#if defined(_OPENMP)
#include <omp.h>
#endif

#define TEXT_OF(x) #x
#define TEXT(x) TEXT_OF(x)

static void product(const ane_gemm *g) {
    dnnl_status_t status = dnnl_sgemm(g->transpose_a ? 'T' : 'N', g->transpose_b ? 'T' : 'N', g->m, g->n,
        g->k, g->alpha, g->a, g->lda, g->b, g->ldb, g->beta, g->c, g->ldc);
    if (status != dnnl_success) ane_gemm_plain(g); /* out of memory for packing: slower, but right */
}

void ane_gemm_library_run(const ane_gemm *g, int threads) {
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
    return "oneDNN " TEXT(DNNL_VERSION_MAJOR) "." TEXT(DNNL_VERSION_MINOR) "." TEXT(DNNL_VERSION_PATCH);
}
