/* lower.c - the pipeline that makes a program into what the Neural Engine takes. */
#include "mil/lower.h"

#include "base/arena.h"
#include "mil/function.h"
#include "mil/rewrite.h"

#include <stdlib.h>
#include <string.h>

/* ---- pieces -------------------------------------------------------------------------------------------------- */

mil_piece *mil_lowering_piece(mil_lowering *l, mil_piece_kind kind, const char *name) {
    for (int32_t i = 0; i < l->n_pieces; i++)
        if (l->pieces[i].kind == kind && strcmp(l->pieces[i].name, name) == 0) return &l->pieces[i];
    return NULL;
}

bool mil_lowering_add_piece(
    mil_lowering *l, mil_piece_kind kind, const char *name, const mil_type *type, ane_error *e) {
    ane_arena *arena = l->program->arena;
    if (!mil_grow(arena, &l->pieces, &l->piece_capacity, l->n_pieces, sizeof *l->pieces))
        return mil_no_memory(e, name);
    int64_t width = type->rank ? type->dim[type->rank - 1] : 1;
    mil_piece *piece = &l->pieces[l->n_pieces++];
    *piece = (mil_piece){.kind = kind, .type = *type, .port = MIL_NONE, .width = width};
    piece->rows = mil_type_count(type) / width;
    piece->name = piece->port_name = ane_arena_strdup(arena, name);
    return piece->name || mil_no_memory(e, name);
}

mil_baked *mil_lowering_add_baked(mil_lowering *l, const mil_type *type, ane_error *e) {
    ane_arena *arena = l->program->arena;
    bool room = mil_grow(arena, &l->baked, &l->baked_capacity, l->n_baked, sizeof *l->baked);
    const char *path = ane_arena_printf(arena, "@model_path/weights/w%d.bin", (int)l->n_paths++);
    if (!room || !path) {
        mil_no_memory(e, "weights");
        return NULL;
    }
    mil_baked *baked = &l->baked[l->n_baked++];
    *baked = (mil_baked){.path = path, .type = *type};
    return baked;
}

static bool collect_pieces(mil_lowering *l, ane_error *e) {
    const mil_function *f = l->f;
    for (int32_t i = 0; i < f->n_inputs; i++) {
        const mil_value_info *v = &f->values[f->inputs[i]];
        if (!mil_lowering_add_piece(l, MIL_PIECE_INPUT, v->name, &v->type, e)) return false;
    }
    for (int32_t i = 0; i < f->n_outputs; i++) {
        const mil_value_info *v = &f->values[f->outputs[i]];
        if (!mil_lowering_add_piece(l, MIL_PIECE_OUTPUT, v->name, &v->type, e)) return false;
    }
    for (int32_t i = 0; i < f->n_ops; i++) {
        const mil_value_info *v = &f->values[f->ops[i].results[0]];
        if (f->ops[i].opcode == MIL_OP_PARAMETER &&
            !mil_lowering_add_piece(l, MIL_PIECE_WEIGHT, v->name, &v->type, e))
            return false;
    }
    return true;
}

/* ---- the pipeline -------------------------------------------------------------------------------------------- */

static bool run_pipeline(mil_lowering *l, ane_error *e) {
    mil_function *f = l->f;
    return collect_pieces(l, e) &&
           /* simpler, still the same numbers */
           mil_pass_fold_constants(f, e) && mil_pass_expand(f, e) && mil_pass_cse(f, e) &&
           mil_pass_dead_code(f, e) &&
           /* forms that the engine takes */
           mil_pass_lower_dtype(l, e) && mil_pass_lower_tile(l, e) && mil_pass_guard(l, e) &&
           mil_pass_bind_weights(l, e) && mil_pass_pad_inner(l, e) &&
           /* ports */
           mil_pass_pack_inputs(l, e) && mil_pass_pack_outputs(l, e) && mil_pass_merge_reshapes(f, e) &&
           mil_pass_cse(f, e) && mil_pass_dead_code(f, e) && mil_pass_blob_constants(l, e) &&
           mil_pass_order_io(l, e);
}

/* What becomes of it must be valid, whatever the passes did. */
static bool lower(mil_lowering *l, const char *function, ane_error *e) {
    l->f = mil_program_function(l->program, function);
    if (!run_pipeline(l, e)) return false;
    mil_program_set_dialect(l->program, l->options.dialect);
    return mil_program_add_build_info(l->program, e) && mil_verify(l->program, e);
}

/* The compiler takes one function, "main". */
static bool leave_one(mil_program *p, const char *function, ane_error *e) {
    mil_function *f = mil_program_function(p, function);
    p->functions[0] = f;
    p->n_functions = 1;
    f->name = ane_arena_strdup(p->arena, "main");
    return f->name || mil_no_memory(e, function);
}

mil_lowering *mil_lower(
    const mil_program *p, const mil_function *f, const mil_lower_options *options, ane_error *e) {
    mil_lowering *l = calloc(1, sizeof *l);
    if (!l) {
        mil_no_memory(e, f->name);
        return NULL;
    }
    l->options = *options;
    l->program = mil_program_clone(p, e);
    if (l->program && leave_one(l->program, f->name, e) && lower(l, "main", e)) return l;
    mil_lowering_free(l);
    return NULL;
}

void mil_lowering_free(mil_lowering *l) {
    if (!l) return;
    mil_program_free(l->program);
    free(l);
}
