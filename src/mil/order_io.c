/* order_io.c - ports in an order that no rule can mix up. Surfaces are bound as declared, in alphabetical order of
 * names, or inputs ascending and outputs descending in bytes, depending on whom one asks (ANE-07): so here the three
 * are one. And every name is one that the compiler takes (ANE-12). */
#include "base/arena.h"
#include "mil/function.h"
#include "mil/lower.h"
#include "mil/rewrite.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { ROW_UNIT = 32 };

typedef struct entry {
    mil_value value;
    int64_t size;
    int32_t declared;
} entry;

static void describe(mil_port *port, const mil_function *f, mil_value v) {
    const mil_type *t = mil_type_of(f, v);
    *port = (mil_port){.name = f->values[v].name, .type = *t, .width = t->rank ? t->dim[t->rank - 1] : 1};
    port->rows = mil_type_count(t) / port->width;
}

static int64_t size_of(const mil_function *f, mil_value v) {
    mil_port port;
    describe(&port, f, v);
    return port.rows * ((port.width + ROW_UNIT - 1) / ROW_UNIT * ROW_UNIT);
}

static int ascending(const void *a, const void *b) {
    const entry *x = a, *y = b;
    return x->size != y->size ? (x->size > y->size) - (x->size < y->size) : x->declared - y->declared;
}

static int descending(const void *a, const void *b) {
    const entry *x = a, *y = b;
    return x->size != y->size ? (x->size < y->size) - (x->size > y->size) : x->declared - y->declared;
}

/* Sort `values` in place. */
static bool sort(const mil_function *f, mil_value *values, int32_t n, bool up, ane_error *e) {
    entry *entries = calloc((size_t)n + 1, sizeof *entries);
    if (!entries) return mil_no_memory(e, "ports");
    for (int32_t i = 0; i < n; i++) entries[i] = (entry){values[i], size_of(f, values[i]), i};
    qsort(entries, (size_t)n, sizeof *entries, up ? ascending : descending);
    for (int32_t i = 0; i < n; i++) values[i] = entries[i].value;
    free(entries);
    return true;
}

/* Rename port i and tell its pieces. */
static bool settle(mil_lowering *l, mil_value v, bool input, int32_t i, mil_port *port, ane_error *e) {
    mil_function *f = l->f;
    const char *was = f->values[v].name;
    const char *name = ane_arena_printf(l->program->arena, "%s%04d", input ? "in_" : "out_", (int)i);
    if (!name) return mil_no_memory(e, was);
    for (int32_t k = 0; k < l->n_pieces; k++) {
        mil_piece *p = &l->pieces[k];
        bool out = p->kind == MIL_PIECE_OUTPUT || p->kind == MIL_PIECE_GUARD_OUT;
        if (out == input || p->port != MIL_NONE || strcmp(p->port_name, was) != 0) continue;
        if (p->kind == MIL_PIECE_WEIGHT && l->options.weights == MIL_WEIGHTS_BAKED) continue;
        p->port = i;
        p->port_name = name;
    }
    if (!mil_name_exact(f, v, name, e)) return false;
    describe(port, f, v);
    return true;
}

static bool settle_all(
    mil_lowering *l, mil_value *values, int32_t n, bool input, mil_port **ports, ane_error *e) {
    *ports = ane_arena_array(l->program->arena, (size_t)n + 1, sizeof **ports);
    if (!*ports) return mil_no_memory(e, "ports");
    if (!sort(l->f, values, n, input, e)) return false;
    for (int32_t i = 0; i < n; i++)
        if (!settle(l, values[i], input, i, &(*ports)[i], e)) return false;
    return true;
}

static bool is_identifier(const char *name) {
    bool ok = isalpha((unsigned char)*name) || *name == '_';
    for (const char *c = name; ok && *c; c++) ok = isalnum((unsigned char)*c) || *c == '_';
    return ok;
}

static bool identifiers(mil_function *f, ane_error *e) {
    for (mil_value v = 0; v < f->n_values; v++) {
        if (is_identifier(f->values[v].name)) continue;
        char *name = ane_arena_printf(f->program->arena, "v_%s", f->values[v].name);
        if (!name) return mil_no_memory(e, f->name);
        for (char *c = name; *c; c++)
            if (!isalnum((unsigned char)*c)) *c = '_';
        if (mil_name(f, v, name) == MIL_NONE)
            return ane_fail(e, f->program->error.code, name, "%s", f->program->error.message);
    }
    return true;
}

bool mil_pass_order_io(mil_lowering *l, ane_error *e) {
    mil_function *f = l->f;
    l->n_inputs = f->n_inputs;
    l->n_outputs = f->n_outputs;
    return settle_all(l, f->inputs, f->n_inputs, true, &l->inputs, e) &&
           settle_all(l, f->outputs, f->n_outputs, false, &l->outputs, e) && identifiers(f, e);
}
