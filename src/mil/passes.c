/* passes.c - the table of passes, and running one over a program. */
#include "mil/rewrite.h"

static const struct {
    const char *name;
    bool (*run)(mil_function *f, ane_error *e);
} passes[MIL_PASS_COUNT] = {
    [MIL_PASS_DEAD_CODE] = {"dead_code", mil_pass_dead_code},
    [MIL_PASS_CSE] = {"cse", mil_pass_cse},
    [MIL_PASS_FOLD_CONSTANTS] = {"fold_constants", mil_pass_fold_constants},
    [MIL_PASS_EXPAND] = {"expand", mil_pass_expand},
};

const char *mil_pass_name(mil_pass pass) {
    return (unsigned)pass < MIL_PASS_COUNT ? passes[pass].name : NULL;
}

bool mil_run_pass(mil_program *p, mil_pass pass, ane_error *e) {
    if ((unsigned)pass >= MIL_PASS_COUNT)
        return ane_fail(e, ANE_ERROR_ARGUMENT, "mil_run_pass", "pass %d is unknown", (int)pass);
    if (!mil_program_ok(p, e)) return false; /* passes take a right program for granted */
    for (int i = 0; i < p->n_functions; i++)
        if (!passes[pass].run(p->functions[i], e)) return false;
    return true;
}
