/* cse.c - common subexpressions: one operation for those that compute the same. */
#include "mil/function.h"
#include "mil/rewrite.h"

#include <stdlib.h>
#include <string.h>

/* Operations of r->from that were kept, by hash; open addressing. */
typedef struct table {
    int32_t *slots; /* index + 1; 0 is free */
    uint32_t mask;
} table;

/* FNV-1a, going on from h. */
static uint32_t mix(uint32_t h, const void *data, size_t n) {
    for (const unsigned char *p = data; n--; p++) h = (h ^ *p) * 16777619u;
    return h;
}

static size_t constant_bytes(const mil_type *type, const void *data) {
    return type->dtype == MIL_STRING ? strlen(data) + 1 : (size_t)mil_type_bytes(type);
}

static uint32_t hash_constant(uint32_t h, const mil_value_info *info) {
    const mil_constant *c = info->constant;
    h = mix(h, &info->type.dtype, sizeof info->type.dtype);
    if (!c->data)
        return mix(mix(h, c->blob_path, strlen(c->blob_path)), &c->blob_offset, sizeof c->blob_offset);
    size_t n = constant_bytes(&info->type, c->data);
    return mix(h, c->data, n < 4096 ? n : 4096); /* the start tells weights apart; equality looks at all */
}

/* The two arguments of a commuting operation in one order. */
static void sort_arguments(const mil_operation *op) {
    if (!(op->info->traits & MIL_TRAIT_COMMUTES) || op->args[0].values[0] <= op->args[1].values[0]) return;
    mil_arg first = op->args[0];
    op->args[0] = op->args[1];
    op->args[1] = first;
}

static uint32_t hash_operation(const mil_rewrite *r, const mil_operation *op) {
    uint32_t h = mix(2166136261u, &op->opcode, sizeof op->opcode);
    if (op->opcode == MIL_OP_CONST) return hash_constant(h, &r->from->values[op->results[0]]);
    for (int p = 0; p < op->info->n_params; p++) {
        h = mix(h, &op->args[p].n, sizeof op->args[p].n);
        h = mix(h, op->args[p].values, (size_t)op->args[p].n * sizeof *op->args[p].values);
    }
    return h;
}

static bool equal_constants(const mil_value_info *a, const mil_value_info *b) {
    const mil_constant *c = a->constant, *d = b->constant;
    if (!mil_type_equal(&a->type, &b->type)) return false;
    if (c->data && d->data) {
        size_t n = constant_bytes(&a->type, c->data);
        return n == constant_bytes(&b->type, d->data) && memcmp(c->data, d->data, n) == 0;
    }
    return !c->data && !d->data && strcmp(c->blob_path, d->blob_path) == 0 &&
           c->blob_offset == d->blob_offset;
}

/* `op` has its arguments mapped and sorted; `kept` was copied already. */
static bool equal_operations(mil_rewrite *r, const mil_operation *op, int32_t kept, ane_error *e) {
    const mil_operation *other = &r->from->ops[kept];
    if (op->opcode != other->opcode || op->n_results != other->n_results) return false;
    if (op->opcode == MIL_OP_CONST)
        return equal_constants(&r->from->values[op->results[0]], &r->from->values[other->results[0]]);
    mil_operation mapped = mil_rewrite_mapped(r, kept, e);
    if (!mapped.args) return false;
    sort_arguments(&mapped);
    for (int p = 0; p < op->info->n_params; p++) {
        size_t n = (size_t)op->args[p].n * sizeof *op->args[p].values;
        if (op->args[p].n != mapped.args[p].n || memcmp(op->args[p].values, mapped.args[p].values, n) != 0)
            return false;
    }
    return true;
}

static bool merge(mil_rewrite *r, int32_t index, ane_error *e) {
    const table *t = r->context;
    mil_operation op = mil_rewrite_mapped(r, index, e);
    if (!op.args) return false;
    if (op.opcode == MIL_OP_PARAMETER) return mil_rewrite_copy(r, index, e); /* each name is one weight */
    sort_arguments(&op);
    uint32_t i = hash_operation(r, &op) & t->mask;
    for (; t->slots[i]; i = (i + 1) & t->mask) {
        int32_t kept = t->slots[i] - 1;
        if (!equal_operations(r, &op, kept, e)) continue;
        for (int k = 0; k < op.n_results; k++) r->map[op.results[k]] = r->map[r->from->ops[kept].results[k]];
        return true;
    }
    t->slots[i] = index + 1;
    return mil_rewrite_copy(r, index, e);
}

bool mil_pass_cse(mil_function *f, ane_error *e) {
    uint32_t size = 64;
    while (size < 2u * (uint32_t)f->n_ops) size *= 2;
    table t = {.slots = calloc(size, sizeof *t.slots), .mask = size - 1};
    bool ok = t.slots ? mil_rewrite_function(f, merge, &t, e) : mil_no_memory(e, f->name);
    free(t.slots);
    return ok;
}
