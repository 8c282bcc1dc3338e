/* pack_inputs.c - all inputs in one: [1, rows, 1, width], sliced and reshaped inside. What keeps an input of its own
 * (weights, or everything) takes that form by itself. */
#include "mil/function.h"
#include "mil/lower.h"
#include "mil/rewrite.h"

#include <stdlib.h>

static const char PACKED[] = "packed_in";

static bool belongs(const mil_lowering *l, const mil_piece *p) {
    if (!l->options.pack_inputs) return false;
    return p->kind == MIL_PIECE_INPUT || p->kind == MIL_PIECE_GUARD_IN ||
           (p->kind == MIL_PIECE_WEIGHT && l->options.weights == MIL_WEIGHTS_PACKED);
}

static mil_value reshape_back(mil_function *f, mil_value x, const mil_type *type) {
    return type->rank ? mil_reshape(f, x, type->rank, type->dim) : mil_squeeze(f, x, 0, NULL);
}

static mil_value unpack(mil_function *f, mil_value packed, const mil_piece *p) {
    const int32_t begin[] = {0, (int32_t)p->row, 0, 0}, size[] = {1, (int32_t)p->rows, 1, (int32_t)p->width};
    return reshape_back(f, mil_slice_by_size(f, packed, begin, size), &p->type);
}

static mil_value alone(mil_function *f, mil_piece *p) {
    mil_pack_alone(p);
    mil_value x = mil_input(f, p->name, mil_tensor(MIL_FP16, 4, (int64_t[]){1, p->rows, 1, p->width}));
    return reshape_back(f, x, &p->type);
}

static mil_piece *piece_of(mil_lowering *l, const char *name) {
    mil_piece *p = mil_lowering_piece(l, MIL_PIECE_INPUT, name);
    if (!p) p = mil_lowering_piece(l, MIL_PIECE_GUARD_IN, name);
    return p ? p : mil_lowering_piece(l, MIL_PIECE_WEIGHT, name);
}

/* The packed input; MIL_NONE when nothing is to be packed, or on failure. */
static mil_value declare(mil_rewrite *r, ane_error *e) {
    mil_lowering *l = r->context;
    mil_piece **members = calloc((size_t)l->n_pieces + 1, sizeof(mil_piece *));
    int32_t n = 0;
    if (!members) mil_no_memory(e, PACKED);
    for (int32_t i = 0; members && i < l->n_pieces; i++)
        if (belongs(l, &l->pieces[i])) members[n++] = &l->pieces[i];
    int64_t rows = 0, width = n ? mil_pack_rows(members, n, l->options.max_dim, &rows, e) : 0;
    free(members);
    if (width == 0) return MIL_NONE;
    return mil_input(r->to, PACKED, mil_tensor(MIL_FP16, 4, (int64_t[]){1, rows, 1, width}));
}

static bool inputs(mil_rewrite *r, ane_error *e) {
    mil_lowering *l = r->context;
    mil_value packed = declare(r, e);
    if (packed == MIL_NONE && l->options.pack_inputs) return false;
    for (int32_t i = 0; i < r->from->n_inputs; i++) {
        mil_piece *p = piece_of(l, r->from->values[r->from->inputs[i]].name);
        bool member = belongs(l, p);
        r->map[r->from->inputs[i]] = member ? unpack(r->to, packed, p) : alone(r->to, p);
        if (member) p->port_name = PACKED;
    }
    return mil_rewrite_ok(r, e);
}

bool mil_pass_pack_inputs(mil_lowering *l, ane_error *e) {
    const mil_rewrite_hooks hooks = {.inputs = inputs, .step = mil_rewrite_copy};
    return mil_rewrite_ports(l->f, &hooks, l, e);
}
