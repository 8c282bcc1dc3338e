/* selftest_ports.c - several inputs and outputs. */
#include "device/ane/probe.h"
#include "device/ane/selftest.h"

#include <string.h>

enum { PORTS = ENGINE_PROBE_PORTS };
/* Declared in this order; the names sort otherwise, and so do the sizes, so that all three orders differ everywhere. */
enum { B, C, A };
static const char *const names[PORTS] = {"anemone_b", "anemone_c", "anemone_a"};
static const int64_t rows[PORTS] = {32, 16, 48};

/* Which port is bound first, second, third. */
static const int inputs_by[][PORTS] = {
    [ANE_ORDER_ALPHABETICAL] = {A, B, C}, [ANE_ORDER_DECLARED] = {B, C, A}, [ANE_ORDER_SIZE] = {C, B, A}};
static const int outputs_by[][PORTS] = {
    [ANE_ORDER_ALPHABETICAL] = {A, B, C}, [ANE_ORDER_DECLARED] = {B, C, A}, [ANE_ORDER_SIZE] = {A, B, C}};

/* Surfaces as large as each must be in that order; 0: all of one size. */
static void size_slots(engine_probe *t, ane_port_order order) {
    int64_t unit = 1 + t->d->facts.min_surface / (rows[C] * ENGINE_PROBE_ROW);
    for (int i = 0; order && i < PORTS; i++) {
        t->in[i].bytes = rows[inputs_by[order][i]] * ENGINE_PROBE_ROW * unit;
        t->out[i].bytes = rows[outputs_by[order][i]] * ENGINE_PROBE_ROW * unit;
    }
}

/* 16 b + 4 c + a */
static mil_value weighted_sum(engine_probe *t) {
    mil_value part[PORTS];
    t->n_inputs = PORTS;
    for (int i = 0; i < PORTS; i++) part[i] = engine_probe_input(t, names[i], rows[i]);
    for (int i = 0; i < PORTS; i++)
        if (rows[i] != rows[C])
            part[i] = engine_probe_rows(t, part[i], 0, (int32_t)rows[C], ENGINE_PROBE_WIDTH);
    mil_value sum = mil_add(t->f, mil_mul_scalar(t->f, part[B], 16), mil_mul_scalar(t->f, part[C], 4));
    return mil_add(t->f, sum, part[A]);
}

/* Surfaces of one size hold 1, 2 and 3 in the order of binding; what comes out tells the order. */
static bool find_input_order(engine_probe *t, void *context, ane_error *e) {
    static const int factor[PORTS] = {[A] = 1, [B] = 16, [C] = 4};
    ane_port_order *order = context;
    mil_value y = weighted_sum(t);
    float found;
    for (int i = 0; i < PORTS; i++) t->in[i].fill = (float)(1 + i);
    if (!engine_probe_compile(t, y, 0, NULL, e) || !engine_probe_run(t, e) ||
        !engine_probe_read(t, 0, &found, 1, e))
        return false;
    for (int o = ANE_ORDER_ALPHABETICAL; o <= ANE_ORDER_SIZE; o++) {
        int expected = 0;
        for (int i = 0; i < PORTS; i++) expected += factor[inputs_by[o][i]] * (1 + i);
        if (found != (float)expected) continue;
        *order = (ane_port_order)o;
        return engine_probe_holds(t, 0, found, rows[C] * ENGINE_PROBE_WIDTH, e);
    }
    return ane_fail(
        e, ANE_ERROR_DEVICE, "self-test", "three inputs gave %g: bound in no known order", (double)found);
}

/* One input, three outputs: 2x, 3x, 4x. They must come in the order that the inputs have. */
static bool outputs_in_order(engine_probe *t, void *context, ane_error *e) {
    static const float factor[PORTS] = {[B] = 2, [C] = 3, [A] = 4};
    ane_port_order order = t->d->facts.order;
    if (context) size_slots(t, order);
    t->in[0] = (engine_slot){.bytes = ENGINE_PROBE_BYTES, .fill = 1};
    t->n_outputs = PORTS;
    mil_value x = engine_probe_input(t, "anemone_x", rows[A]);
    for (int i = 0; i < PORTS; i++) {
        mil_value y = engine_probe_rows(t, x, 0, (int32_t)rows[i], ENGINE_PROBE_WIDTH);
        mil_output(t->f, names[i], mil_mul_scalar(t->f, y, (double)factor[i]));
    }
    if (!engine_probe_compile(t, MIL_NONE, 0, NULL, e) || !engine_probe_run(t, e)) return false;
    for (int i = 0; i < PORTS; i++) {
        int port = outputs_by[order][i];
        if (!engine_probe_holds(t, i, factor[port], rows[port] * ENGINE_PROBE_WIDTH, e)) return false;
    }
    return true;
}

engine_outcome engine_ask_order(engine_device *d, engine_finding *found) {
    ane_port_order order = ANE_ORDER_UNKNOWN;
    if (engine_try(d, find_input_order, &order, &found->error)) {
        d->facts.order = order;
        if (!engine_try(d, outputs_in_order, NULL, &found->error)) d->facts.order = ANE_ORDER_UNKNOWN;
    }
    return engine_answer(found, d->facts.order != ANE_ORDER_UNKNOWN, ane_order_name(d->facts.order),
        "unknown: several inputs or outputs are not used");
}

/* The same with surfaces as large as each must be. */
static bool inputs_of_all_sizes(engine_probe *t, void *context, ane_error *e) {
    (void)context;
    size_slots(t, t->d->facts.order);
    mil_value y = weighted_sum(t);
    t->out[0].bytes = ENGINE_PROBE_BYTES;
    for (int i = 0; i < PORTS; i++) t->in[i].fill = 1;
    return engine_probe_gives(t, y, 16 + 4 + 1, rows[C] * ENGINE_PROBE_WIDTH, e);
}

engine_outcome engine_ask_equal_sizes(engine_device *d, engine_finding *found) {
    bool sized = true;
    if (d->facts.order == ANE_ORDER_UNKNOWN) {
        strcpy(found->answer, "not asked: the order is unknown");
        return ENGINE_NOT_ASKED;
    }
    d->facts.equal_sizes = !(engine_try(d, inputs_of_all_sizes, NULL, &found->error) &&
                             engine_try(d, outputs_in_order, &sized, &found->error));
    return engine_answer(found, !d->facts.equal_sizes, "each its own size", "all of one size");
}

/* fp32 in and out, through casts beside the ports. */
static bool single_precision(engine_probe *t, void *context, ane_error *e) {
    enum { ROWS = 16 };
    (void)context;
    float halves[2 * ROWS * ENGINE_PROBE_WIDTH], y[2];
    /* The bits of 1.5f are those of the halves 0 and 1.9375; those of 3.0f are 0 and 2.125. */
    for (size_t i = 0; i < sizeof halves / sizeof *halves; i++) halves[i] = i % 2 ? 1.9375f : 0;
    t->in[0].data = halves;
    t->in[0].n = sizeof halves / sizeof *halves;
    mil_value x =
        mil_input(t->f, "anemone_x", mil_tensor(MIL_FP32, 4, (int64_t[]){1, ROWS, 1, ENGINE_PROBE_WIDTH}));
    mil_value doubled = mil_mul_scalar(t->f, mil_cast(t->f, x, MIL_FP16), 2);
    if (!engine_probe_compile(t, mil_cast(t->f, doubled, MIL_FP32), 0, NULL, e) || !engine_probe_run(t, e) ||
        !engine_probe_read(t, 0, y, 2, e))
        return false;
    return (y[0] == 0 && y[1] == 2.125f) ||
           ane_fail(e, ANE_ERROR_DEVICE, "self-test", "fp32 ports compile, but give other numbers");
}

engine_outcome engine_ask_fp32_ports(engine_device *d, engine_finding *found) {
    d->facts.fp32_ports = engine_try(d, single_precision, NULL, &found->error);
    return engine_answer(found, d->facts.fp32_ports, "work", "fp16 only");
}

/* The output surface of one evaluation is the input surface of the next: 1.5 -> 3 -> 6. */
static bool chain(engine_probe *t, void *context, ane_error *e) {
    enum { ROWS = 16 };
    (void)context;
    engine_probe next;
    t->in[0].fill = 1.5f;
    mil_value x = engine_probe_input(t, "anemone_x", ROWS);
    if (!engine_probe_gives(t, mil_mul_scalar(t->f, x, 2), 3, (int64_t)ROWS * ENGINE_PROBE_WIDTH, e))
        return false;
    bool ok = engine_probe_begin(&next, t->d, e);
    if (ok) {
        mil_value y = engine_probe_input(&next, "anemone_x", ROWS);
        next.in[0] = (engine_slot){.bytes = ENGINE_PROBE_BYTES, .shared = true};
        next.inputs[0] = t->outputs[0];
        ok =
            engine_probe_gives(&next, mil_mul_scalar(next.f, y, 2), 6, (int64_t)ROWS * ENGINE_PROBE_WIDTH, e);
        next.inputs[0] = NULL; /* it is the first program's */
    }
    engine_probe_end(&next);
    return ok;
}

engine_outcome engine_ask_chained(engine_device *d, engine_finding *found) {
    d->facts.chained = engine_try(d, chain, NULL, &found->error);
    return engine_answer(found, d->facts.chained, "works", "fails");
}
