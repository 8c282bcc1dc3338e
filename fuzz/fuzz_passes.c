/* Programs from hostile text through every pass and the derivative: whatever comes out is a right program. */
#include "anemone/mil.h"
#include "fuzz/fuzz.h"

#include <stdlib.h>

static void run_pass(const mil_program *p, mil_pass pass) {
    ane_error e = {0};
    mil_program *copy = mil_program_clone(p, &e);
    fuzz_assert(copy != NULL, e.message);
    bool ok = mil_run_pass(copy, pass, &e);
    fuzz_report_is(ok, &e);
    if (ok) fuzz_assert(mil_verify(copy, &e), e.message);
    mil_program_free(copy);
}

static void differentiate(const mil_function *f) {
    ane_error e = {0};
    mil_gradient *g = mil_differentiate(f, &(mil_grad_options){.recompute_cheap = true}, &e);
    fuzz_report_is(g != NULL, &e);
    if (g) fuzz_assert(mil_verify(g->forward, &e) && mil_verify(g->backward, &e), e.message);
    mil_gradient_free(g);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    ane_error e = {0};
    mil_program *p = mil_parse((const char *)data, size, NULL, &e);
    if (!p) return 0;
    for (int pass = 0; pass < MIL_PASS_COUNT; pass++) run_pass(p, (mil_pass)pass);
    for (int i = 0; i < p->n_functions; i++) {
        mil_flops(p->functions[i]);
        differentiate(p->functions[i]);
    }
    mil_program_free(p);
    return 0;
}
