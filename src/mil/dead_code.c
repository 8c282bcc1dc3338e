/* dead_code.c - drop operations that no output needs. */
#include "mil/function.h"
#include "mil/rewrite.h"

#include <stdlib.h>

/* Operations come after what they use, so one walk from the end finds every needed value. */
static void mark(const mil_function *f, bool *needed) {
    for (int i = 0; i < f->n_outputs; i++) needed[f->outputs[i]] = true;
    for (int i = f->n_ops - 1; i >= 0; i--) {
        const mil_operation *op = &f->ops[i];
        bool any = false;
        for (int k = 0; k < op->n_results; k++) any = any || needed[op->results[k]];
        for (int p = 0; any && p < op->info->n_params; p++)
            for (int k = 0; k < op->args[p].n; k++) needed[op->args[p].values[k]] = true;
    }
}

static bool keep_needed(mil_rewrite *r, int32_t index, ane_error *e) {
    const bool *needed = r->context;
    const mil_operation *op = &r->from->ops[index];
    for (int k = 0; k < op->n_results; k++)
        if (needed[op->results[k]]) return mil_rewrite_copy(r, index, e);
    return true;
}

bool mil_pass_dead_code(mil_function *f, ane_error *e) {
    bool *needed = calloc((size_t)f->n_values + 1, sizeof *needed);
    if (!needed) return mil_no_memory(e, f->name);
    mark(f, needed);
    bool ok = mil_rewrite_function(f, keep_needed, needed, e);
    free(needed);
    return ok;
}
