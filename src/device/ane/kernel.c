/* kernel.c - compiling: a function lowered by the machine's facts, its text, and what all bindings share. */
#include "base/arena.h"
#include "base/decimal.h"
#include "device/ane/device.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool engine_is_direct(const mil_lowering *l, const mil_piece *p) {
    bool packed = p->kind == MIL_PIECE_INPUT ? l->options.pack_inputs : l->options.pack_outputs;
    return (p->kind == MIL_PIECE_INPUT || p->kind == MIL_PIECE_OUTPUT) && !packed &&
           p->type.dtype == MIL_FP16;
}

/* ---- ports ----------------------------------------------------------------------------------------------------- */

/* The original's, in its order; the lowering's pieces have the same order: inputs, outputs, weights. */
static bool fill_ports(engine_kernel *k, ane_error *e) {
    const mil_lowering *l = k->lowering;
    ane_kernel *b = &k->base;
    struct ane_arena *arena = l->program->arena;
    b->ports = ane_arena_array(arena, (size_t)l->n_pieces + 1, sizeof *b->ports);
    k->slot = ane_arena_array(arena, (size_t)l->n_pieces + 1, sizeof *k->slot);
    if (!b->ports || !k->slot)
        return ane_fail(e, ANE_ERROR_MEMORY, "ane", "no memory for the kernel's ports");
    int32_t n = 0;
    for (int32_t i = 0; i < l->n_pieces; i++) {
        const mil_piece *p = &l->pieces[i];
        bool guard = p->kind == MIL_PIECE_GUARD_IN || p->kind == MIL_PIECE_GUARD_OUT;
        k->slot[i] = guard ? MIL_NONE : n;
        if (guard) continue;
        b->ports[n++] = (ane_port){p->name, p->type};
        b->n_inputs += p->kind == MIL_PIECE_INPUT;
        b->n_outputs += p->kind == MIL_PIECE_OUTPUT;
        b->n_weights += p->kind == MIL_PIECE_WEIGHT;
    }
    return true;
}

/* ---- surfaces -------------------------------------------------------------------------------------------------- */

static bool make_outputs(engine_kernel *k, ane_error *e) {
    engine_device *d = (engine_device *)k->base.device;
    const mil_lowering *l = k->lowering;
    k->outputs = calloc((size_t)l->n_outputs + 1, sizeof(ane_surface *));
    if (!k->outputs) return ane_fail(e, ANE_ERROR_MEMORY, "ane", "no memory for the kernel's surfaces");
    for (int32_t i = 0; i < l->n_pieces; i++) {
        const mil_piece *p = &l->pieces[i];
        bool output = p->kind == MIL_PIECE_OUTPUT || p->kind == MIL_PIECE_GUARD_OUT;
        if (!output || k->outputs[p->port] || engine_is_direct(l, p)) continue;
        k->outputs[p->port] = engine_surface_new(d, engine_surface_bytes(d, l, false, p->port), e);
        if (!k->outputs[p->port]) return false;
    }
    return true;
}

/* ---- compiling ------------------------------------------------------------------------------------------------- */

static bool lower(engine_kernel *k, const mil_program *p, const mil_function *f, ane_error *e) {
    engine_device *d = (engine_device *)k->base.device;
    const mil_lower_options options = {
        .weights = d->weights,
        .dialect = d->facts.dialect,
        .pack_inputs = !d->several_ports || d->weights == MIL_WEIGHTS_PACKED,
        .pack_outputs = !d->several_ports,
        .max_dim = d->facts.max_channels,
        .matmul_inner = d->facts.matmul_inner,
        .identity = ANE_PROGRAM_IDENTITY,
    };
    k->lowering = mil_lower(p, f, &options, e);
    k->text = k->lowering && engine_takes(d, k->lowering->f, e) ? mil_print(k->lowering->program, e) : NULL;
    return k->text != NULL;
}

/* Without weights of its own to bake, a program serves all bindings. */
static bool build(engine_kernel *k, ane_error *e) {
    engine_device *d = (engine_device *)k->base.device;
    if (!fill_ports(k, e) || !make_outputs(k, e)) return false;
    if (k->lowering->options.weights == MIL_WEIGHTS_BAKED && k->base.n_weights > 0) return true;
    int n = 0;
    ane_weight_file *files = engine_weight_files(k->lowering, NULL, &n, e);
    if (files) k->program = ane_program_new(&d->budget, k->text, n, files, true, e);
    engine_weight_files_free(files, n);
    if (k->program) ane_program_expect(k->program, k->base.flops);
    return k->program != NULL;
}

ane_kernel *engine_compile(ane_device *d, const mil_program *p, const mil_function *f, ane_error *e) {
    engine_kernel *k = calloc(1, sizeof *k);
    if (!k || pthread_mutex_init(&k->run_lock, NULL) != 0) {
        free(k);
        ane_fail(e, ANE_ERROR_MEMORY, f->name, "no memory for the kernel");
        return NULL;
    }
    k->base.device = d;
    k->base.flops = mil_flops(f);
    if (lower(k, p, f, e) && build(k, e)) return &k->base;
    engine_kernel_free(&k->base);
    return NULL;
}

void engine_kernel_free(ane_kernel *kernel) {
    engine_kernel *k = (engine_kernel *)kernel;
    engine_device *d = (engine_device *)kernel->device;
    ane_program_free(k->program);
    for (int32_t i = 0; k->outputs && i < k->lowering->n_outputs; i++) engine_surface_free(d, k->outputs[i]);
    free(k->outputs);
    free(k->text);
    mil_lowering_free(k->lowering);
    pthread_mutex_destroy(&k->run_lock);
    free(k);
}

/* ---- saying it ------------------------------------------------------------------------------------------------- */

static const char *const mode_names[] = {"packed", "input", "baked"};

char *engine_kernel_describe(const ane_kernel *kernel) {
    const engine_kernel *k = (const engine_kernel *)kernel;
    const mil_lowering *l = k->lowering;
    size_t size = 256 + (size_t)(l->n_pieces + l->n_inputs + l->n_outputs) * 200, n = 0;
    char *text = malloc(size), type[128];
    if (!text) return NULL;
    n += (size_t)ane_print(text, size, "%d operations, %.4g GFLOP, weights %s, %d inputs, %d outputs\n",
        (int)l->f->n_ops, k->base.flops * 1e-9, mode_names[l->options.weights], (int)l->n_inputs,
        (int)l->n_outputs);
    for (int32_t i = 0; i < l->n_pieces && n < size; i++) {
        const mil_piece *p = &l->pieces[i];
        n += (size_t)snprintf(text + n, size - n, "%-10s rows %6lld + %6lld  %.60s %s\n",
            p->port == MIL_NONE ? "baked" : p->port_name, (long long)p->row, (long long)p->rows, p->name,
            mil_type_print(&p->type, type, sizeof type));
    }
    return text;
}
