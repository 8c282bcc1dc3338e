/* takes.c - whether a lowered program is one that the machine can take, by what its self-test found: what would fail in the
 * compiler without a reason is refused here with one. */
#include "device/ane/device.h"
#include "mil/ops.h"

/* The last two axes have a limit of their own (ANE-18). */
static bool check_size(const ane_facts *facts, const mil_value_info *v, ane_error *e) {
    for (int32_t i = 0; i < v->type.rank; i++) {
        int64_t most = i >= v->type.rank - 2 ? facts->max_width : facts->max_channels;
        char type[128];
        if (v->type.dim[i] <= most) continue;
        ane_fail(e, ANE_ERROR_UNSUPPORTED, v->name,
            "axis %d of %s is longer than the %lld that this machine takes there", (int)i,
            mil_type_print(&v->type, type, sizeof type), (long long)most);
        return ane_hint(e,
            "A large vocabulary can stay on the CPU: --head cpu; constant weights need no such axis: "
            "--weights baked.");
    }
    return true;
}

static bool check_matmul(
    const ane_facts *facts, const mil_function *f, const mil_operation *op, ane_error *e) {
    if (op->opcode != MIL_OP_MATMUL || facts->matmul_weights) return true;
    if (f->values[mil_arg_value(op, "x")].constant || f->values[mil_arg_value(op, "y")].constant) return true;
    ane_fail(e, ANE_ERROR_UNSUPPORTED, f->values[op->results[0]].name,
        "this machine takes no matmul of two operands computed at run time, as its self-test saw: attention "
        "is one");
    return ane_hint(e, "Run `anemone doctor`; a newer macOS may take it. Use --device cpu here.");
}

bool engine_takes(const engine_device *d, const mil_function *f, ane_error *e) {
    for (int32_t i = 0; i < f->n_values; i++)
        if (!f->values[i].constant && !check_size(&d->facts, &f->values[i], e)) return false;
    for (int32_t i = 0; i < f->n_ops; i++)
        if (!check_matmul(&d->facts, f, &f->ops[i], e)) return false;
    return true;
}
