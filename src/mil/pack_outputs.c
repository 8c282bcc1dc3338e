/* pack_outputs.c - all outputs in one: [1, rows, 1, width], concatenated along channels; or each in that form. */
#include "mil/function.h"
#include "mil/lower.h"
#include "mil/rewrite.h"

#include <stdlib.h>

static const char PACKED[] = "packed_out";

/* As rows of the packed width, zeros behind narrower ones. */
static mil_value pack(mil_function *f, mil_value x, const mil_piece *p, int64_t width) {
    x = mil_reshape(f, x, 4, (int64_t[]){1, p->rows, 1, p->width});
    if (p->width == width) return x;
    const mil_type rest = mil_tensor(MIL_FP16, 4, (int64_t[]){1, p->rows, 1, width - p->width});
    void *zeros = calloc((size_t)mil_type_bytes(&rest), 1);
    if (!zeros) {
        mil_no_memory(&f->program->error, PACKED);
        return MIL_NONE;
    }
    const mil_value parts[2] = {x, mil_const_data(f, rest, zeros)};
    free(zeros);
    return mil_concat(f, 2, parts, 3);
}

static mil_piece *piece_of(mil_lowering *l, const char *name) {
    mil_piece *p = mil_lowering_piece(l, MIL_PIECE_OUTPUT, name);
    return p ? p : mil_lowering_piece(l, MIL_PIECE_GUARD_OUT, name);
}

static bool separate(mil_rewrite *r, ane_error *e) {
    const mil_function *from = r->from;
    for (int32_t i = 0; i < from->n_outputs; i++) {
        mil_piece *p = piece_of(r->context, from->values[from->outputs[i]].name);
        mil_pack_alone(p);
        mil_value x = r->map[from->outputs[i]];
        mil_output(r->to, p->name, mil_reshape(r->to, x, 4, (int64_t[]){1, p->rows, 1, p->width}));
    }
    return mil_rewrite_ok(r, e);
}

static bool concatenate(mil_rewrite *r, mil_piece **members, mil_value *parts, ane_error *e) {
    mil_lowering *l = r->context;
    const mil_function *from = r->from;
    for (int32_t i = 0; i < from->n_outputs; i++)
        members[i] = piece_of(l, from->values[from->outputs[i]].name);
    int64_t rows = 0, width = mil_pack_rows(members, from->n_outputs, l->options.max_dim, &rows, e);
    if (width == 0) return false;
    for (int32_t i = 0; i < from->n_outputs; i++) {
        parts[i] = pack(r->to, r->map[from->outputs[i]], members[i], width);
        members[i]->port_name = PACKED;
    }
    mil_output(r->to, PACKED, mil_concat(r->to, from->n_outputs, parts, 1));
    return mil_rewrite_ok(r, e);
}

static bool outputs(mil_rewrite *r, ane_error *e) {
    const mil_lowering *l = r->context;
    if (!l->options.pack_outputs) return separate(r, e);
    size_t n = (size_t)r->from->n_outputs + 1;
    mil_piece **members = calloc(n, sizeof(mil_piece *));
    mil_value *parts = calloc(n, sizeof *parts);
    bool ok = members && parts ? concatenate(r, members, parts, e) : mil_no_memory(e, PACKED);
    free(members);
    free(parts);
    return ok;
}

bool mil_pass_pack_outputs(mil_lowering *l, ane_error *e) {
    const mil_rewrite_hooks hooks = {.step = mil_rewrite_copy, .outputs = outputs};
    return mil_rewrite_ports(l->f, &hooks, l, e);
}
