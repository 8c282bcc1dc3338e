/* Rules about inputs, outputs, names and the program as a whole. */
#include "mil/ane_rules.h"

#include <inttypes.h>
#include <string.h>

enum { ROW_BYTES = 64, SMALLEST_SURFACE = 49152 };

typedef void port_fn(mil_ane_check *c, mil_value v, bool is_input);

static void each_port(mil_ane_check *c, port_fn *look) {
    for (int i = 0; i < c->f->n_inputs; i++) look(c, c->f->inputs[i], true);
    for (int i = 0; i < c->f->n_outputs; i++) look(c, c->f->outputs[i], false);
}

/* ---- types --------------------------------------------------------------------------------------------- */

static void integers(mil_ane_check *c, mil_value v, bool is_input) {
    mil_dtype dtype = mil_type_of(c->f, v)->dtype;
    if (dtype == MIL_FP16 || dtype == MIL_FP32) return;
    mil_ane_report(c, v, "the %s is %s; make it fp16", is_input ? "input" : "output", mil_dtype_name(dtype));
}

void mil_ane_port_integers(mil_ane_check *c) {
    each_port(c, integers);
}

/* Does every use of the value go through a cast? */
static bool only_cast(const mil_function *f, mil_value v) {
    for (int i = 0; i < f->n_ops; i++)
        for (int a = 0; f->ops[i].opcode != MIL_OP_CAST && a < f->ops[i].info->n_params; a++)
            for (int j = 0; j < f->ops[i].args[a].n; j++)
                if (f->ops[i].args[a].values[j] == v) return false;
    return true;
}

static void fp32(mil_ane_check *c, mil_value v, bool is_input) {
    if (mil_type_of(c->f, v)->dtype != MIL_FP32) return;
    const mil_operation *maker = mil_ane_maker(c->f, v);
    bool cast = is_input ? only_cast(c->f, v) : maker && maker->opcode == MIL_OP_CAST;
    if (!cast)
        mil_ane_report(c, v, "the %s is fp32 and %s; make it fp16", is_input ? "input" : "output",
            is_input ? "is used without a cast to fp16" : "does not come from a cast");
}

void mil_ane_port_fp32(mil_ane_check *c) {
    each_port(c, fp32);
}

/* ---- shapes -------------------------------------------------------------------------------------------- */

static int64_t row_bytes(const mil_type *t) {
    int64_t last = t->rank > 0 ? t->dim[t->rank - 1] : 1;
    return last * mil_dtype_bits(t->dtype) / 8;
}

static void rows(mil_ane_check *c, mil_value v, bool is_input) {
    (void)is_input;
    const mil_type *t = mil_type_of(c->f, v);
    if (t->dtype == MIL_STRING || row_bytes(t) % ROW_BYTES == 0) return;
    int64_t unit = ROW_BYTES * 8 / mil_dtype_bits(t->dtype);
    mil_ane_report(c, v, "its rows take %" PRId64 " bytes; make the last axis a multiple of %" PRId64 " (%s)",
        row_bytes(t), unit, mil_dtype_name(t->dtype));
}

void mil_ane_port_rows(mil_ane_check *c) {
    each_port(c, rows);
}

static void surface(mil_ane_check *c, mil_value v, bool is_input) {
    (void)is_input;
    const mil_type *t = mil_type_of(c->f, v);
    int64_t row = (row_bytes(t) + ROW_BYTES - 1) / ROW_BYTES * ROW_BYTES;
    int64_t n_rows = mil_type_count(t) / (t->rank > 0 ? t->dim[t->rank - 1] : 1);
    if (n_rows >= SMALLEST_SURFACE || n_rows * row >= SMALLEST_SURFACE) return;
    mil_ane_report(c, v, "its surface takes %" PRId64 " bytes; at %d bytes nobody reports trouble",
        n_rows * row, SMALLEST_SURFACE);
}

void mil_ane_port_surface(mil_ane_check *c) {
    each_port(c, surface);
}

static void batch(mil_ane_check *c, mil_value v, bool is_input) {
    (void)is_input;
    const mil_type *t = mil_type_of(c->f, v);
    if (t->rank == 4 && t->dim[0] > 1)
        mil_ane_report(c, v, "its first axis is %" PRId64 "; make it 1", t->dim[0]);
}

void mil_ane_port_batch(mil_ane_check *c) {
    each_port(c, batch);
}

/* ---- several ports ------------------------------------------------------------------------------------- */

static void sizes(mil_ane_check *c, int n, const mil_value *ports, const char *what) {
    for (int i = 1; i < n; i++) {
        int64_t first = mil_type_bytes(mil_type_of(c->f, ports[0])),
                here = mil_type_bytes(mil_type_of(c->f, ports[i]));
        if (first == here) continue;
        mil_ane_report(c, ports[i],
            "%s \"%s\" takes %" PRId64 " bytes, this one %" PRId64 "; allocate both at the larger size", what,
            c->f->values[ports[0]].name, first, here);
        return;
    }
}

void mil_ane_port_sizes(mil_ane_check *c) {
    sizes(c, c->f->n_inputs, c->f->inputs, "input");
    sizes(c, c->f->n_outputs, c->f->outputs, "output");
}

static void order(mil_ane_check *c, int n, const mil_value *ports, const char *what) {
    for (int i = 1; i < n; i++) {
        const char *before = c->f->values[ports[i - 1]].name, *name = c->f->values[ports[i]].name;
        if (strcmp(before, name) < 0) continue;
        mil_ane_report(c, ports[i],
            "%s \"%s\" stands before it; choose names whose ASCII order is the declared order", what, before);
        return;
    }
}

void mil_ane_port_order(mil_ane_check *c) {
    order(c, c->f->n_inputs, c->f->inputs, "input");
    order(c, c->f->n_outputs, c->f->outputs, "output");
}

void mil_ane_outputs(mil_ane_check *c) {
    for (int i = 0; i < c->f->n_outputs; i++) {
        mil_value v = c->f->outputs[i];
        const mil_operation *op = mil_ane_maker(c->f, v);
        if (!op || mil_ane_is_fixed(c->f, v))
            mil_ane_report(
                c, v, "the output is %s itself; return an identity of it", op ? "a constant" : "an input");
    }
}

/* ---- the program --------------------------------------------------------------------------------------- */

void mil_ane_function_name(mil_ane_check *c) {
    if (strcmp(c->f->name, "main") != 0)
        mil_ane_report(c, MIL_NONE, "the function is called \"%s\"; rename or remove it", c->f->name);
}

void mil_ane_build_info(mil_ane_check *c) {
    if (c->f != c->program->functions[0]) return;
    for (int i = 0; i < c->program->n_build_info; i++)
        if (strcmp(c->program->build_info[i].key, "coremlc-version") == 0) return;
    mil_ane_report(c, MIL_NONE, "add {\"coremlc-version\", \"3505.4.1\"} to buildInfo");
}

void mil_ane_parameters(mil_ane_check *c) {
    for (int i = 0; i < c->f->n_ops; i++)
        if (c->f->ops[i].opcode == MIL_OP_PARAMETER)
            mil_ane_report_op(c, &c->f->ops[i], "the compiler knows no parameters; bind it first");
}

void mil_ane_identifiers(mil_ane_check *c) {
    for (int v = 0; v < c->f->n_values; v++) {
        const char *name = c->f->values[v].name;
        size_t plain = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");
        if (name[plain] || strchr("0123456789", name[0]))
            mil_ane_report(c, v, "'%c' cannot stand there; rename it", name[plain] ? name[plain] : name[0]);
    }
}

void mil_ane_unlucky_names(mil_ane_check *c) {
    static const char *const unlucky[] = {
        "var", "diff", "mean", "std", "eps", "mul", "add", "rsqrt", "c", "C"};
    for (size_t i = 0; i < sizeof unlucky / sizeof *unlucky; i++) {
        mil_value v = mil_find(c->f, unlucky[i]);
        if (v != MIL_NONE)
            mil_ane_report(c, v, "a value called \"%s\" is reported to fail; rename it", unlucky[i]);
    }
}
