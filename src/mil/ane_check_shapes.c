/* Rules about the shapes, types and bytes of values. */
#include "mil/ane_rules.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

enum { MOST_AXES = 5, LARGEST = 65536, WIDEST_BEFORE_M4 = 16384, LARGEST_FLAT = 16384, FIRST_BLOB = 64 };

static const char *shown(const mil_function *f, mil_value v, char *text, size_t size) {
    return mil_type_print(mil_type_of(f, v), text, size);
}

void mil_ane_rank(mil_ane_check *c) {
    char text[160];
    for (int v = 0; v < c->f->n_values; v++)
        if (mil_type_of(c->f, v)->rank > MOST_AXES &&
            !c->f->values[v].constant) /* the tables of a constexpr have six */
            mil_ane_report(c, v, "it is %s; merge axes", shown(c->f, v, text, sizeof text));
}

void mil_ane_largest(mil_ane_check *c) {
    char text[160];
    for (int v = 0; v < c->f->n_values; v++) {
        const mil_type *t = mil_type_of(c->f, v);
        for (int i = 0; i < t->rank; i++) {
            if (t->dim[i] <= LARGEST) continue;
            mil_ane_report(c, v, "it is %s; split it along axis %d", shown(c->f, v, text, sizeof text), i);
            break;
        }
    }
}

/* Height and width are the last two of four axes; the last alone when there are fewer. */
void mil_ane_wide(mil_ane_check *c) {
    char text[160];
    for (int v = 0; v < c->f->n_values; v++) {
        const mil_type *t = mil_type_of(c->f, v);
        for (int i = t->rank >= 4 ? t->rank - 2 : t->rank - 1; i >= 0 && i < t->rank; i++) {
            if (t->dim[i] <= WIDEST_BEFORE_M4 || t->dim[i] > LARGEST) continue;
            mil_ane_report(
                c, v, "it is %s; split it, or run on M4 and later", shown(c->f, v, text, sizeof text));
            break;
        }
    }
}

void mil_ane_innermost_one(mil_ane_check *c) {
    char text[160];
    for (int v = 0; v < c->f->n_values; v++) {
        const mil_type *t = mil_type_of(c->f, v);
        bool column = t->rank > 1 && t->dim[t->rank - 1] == 1 && mil_type_count(t) > 1;
        if (column && !mil_ane_is_fixed(c->f, v))
            mil_ane_report(c, v, "it is %s; put a long axis last", shown(c->f, v, text, sizeof text));
    }
}

void mil_ane_flat(mil_ane_check *c) {
    char text[160];
    for (int i = 0; i < c->f->n_ops; i++) {
        const mil_operation *op = &c->f->ops[i];
        const mil_type *t = mil_type_of(c->f, op->results[0]);
        if ((op->info->traits & MIL_TRAIT_ELEMENTWISE) && t->rank == 2 && t->dim[0] == 1 &&
            t->dim[1] > LARGEST_FLAT)
            mil_ane_report_op(
                c, op, "it makes %s; reshape to [1, C, S]", shown(c->f, op->results[0], text, sizeof text));
    }
}

void mil_ane_weight_total(mil_ane_check *c) {
    int64_t total = 0;
    for (int v = 0; v < c->f->n_values; v++) {
        int64_t bytes = c->f->values[v].constant ? mil_type_bytes(mil_type_of(c->f, v)) : 0;
        if (bytes > 0 && __builtin_add_overflow(total, bytes, &total)) total = INT64_MAX;
    }
    if (total > INT64_C(2) << 30)
        mil_ane_report(c, MIL_NONE, "its constants take %.1f GB; split the program", (double)total / 1e9);
}

void mil_ane_shared_blob_file(mil_ane_check *c) {
    for (int v = 0; v < c->f->n_values; v++) {
        const mil_constant *k = c->f->values[v].constant;
        if (!k || !k->blob_path || k->blob_offset == FIRST_BLOB) continue;
        mil_ane_report(c, v, "it lies at offset %" PRIu64 " of \"%.120s\", behind other weights",
            k->blob_offset, k->blob_path);
        return;
    }
}

void mil_ane_arithmetic(mil_ane_check *c) {
    for (int i = 0; i < c->f->n_ops; i++) {
        const mil_operation *op = &c->f->ops[i];
        mil_dtype dtype = mil_type_of(c->f, op->results[0])->dtype;
        bool leaf = op->opcode == MIL_OP_CONST || op->opcode == MIL_OP_PARAMETER || op->opcode == MIL_OP_CAST;
        if (leaf || !mil_dtype_is_float(dtype) || dtype == MIL_FP16) continue;
        mil_ane_report_op(c, op, "it makes %s; cast its operands to fp16", mil_dtype_name(dtype));
    }
}

void mil_ane_infinite_constant(mil_ane_check *c) {
    for (int v = 0; v < c->f->n_values; v++) {
        const mil_constant *k = c->f->values[v].constant;
        const mil_type *t = mil_type_of(c->f, v);
        int64_t n = k && k->data && mil_dtype_is_float(t->dtype) ? mil_type_count(t) : 0;
        for (int64_t i = 0; i < n; i++) {
            double x = mil_constant_at(t, k->data, i);
            if (isfinite(x)) continue;
            mil_ane_report(
                c, v, "element %" PRId64 " is %s; use a finite value", i, isnan(x) ? "NaN" : "infinite");
            break;
        }
    }
}
