/* What the compiler refuses. */
#include "emulator/program.h"
#include "emulator/state.h"
#include "mil/ane_rules.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { MOST_CHANNELS = 65536 }; /* field notes 2.1.8 */

/* Rules of `anemone check` that stop the compiler. The others are about speed, about surfaces (em_program_fits),
 * about wrong numbers (behaviours.c), or have a quirk of their own. `chips_to`: up to that generation only, 0: all. */
static const struct {
    const char *rule;
    bool certain; /* false: enforced with rules:all only */
    int chips_to;
} enforced[] = {
    {"ANE-01", true, 0},
    {"ANE-02", true, 0},
    {"ANE-08", true, 0},
    {"ANE-09", true, 0},
    {"ANE-10", true, 0},
    {"ANE-11", true, 0},
    {"ANE-12", true, 0},
    {"ANE-13", false, 0},
    {"ANE-16", true, 0},
    {"ANE-20", false, 0},
    {"ANE-24", true, 0},
    {"ANE-25", true, 0},
    {"ANE-26", true, 0},
    {"ANE-27", true, 0},
    {"ANE-29", false, 0},
    {"ANE-30", true, 0},
    {"ANE-32", true, 0},
    {"ANE-33", false, 0},
    {"ANE-36", true, 0},
    {"ANE-38", false, 0},
    {"ANE-39", false, 2},
    {"ANE-40", true, 0},
    {"ANE-43", true, 1},
    {"ANE-44", true, 0},
};

/* 4 for "M4 Max". */
static int generation(const em_chip *chip) {
    return chip->name[0] == 'M' ? chip->name[1] - '0' : 0;
}

static bool is_enforced(const mil_finding *finding) {
    int64_t rules = em_quirk_value(EM_QUIRK_RULES);
    for (size_t i = 0; i < sizeof enforced / sizeof *enforced; i++) {
        if (strcmp(enforced[i].rule, finding->rule) != 0) continue;
        bool this_chip =
            enforced[i].chips_to == 0 || generation(em_state_settings()->chip) <= enforced[i].chips_to;
        return this_chip && (rules == EM_RULES_ALL || (rules == EM_RULES_CERTAIN && enforced[i].certain));
    }
    return false;
}

static void refuse(void *context, const mil_finding *finding) {
    if (is_enforced(finding))
        ane_fail(context, ANE_ERROR_UNSUPPORTED, finding->where, "%s: %s: %s", finding->rule, finding->title,
            finding->detail);
}

static bool check_dialect(const mil_program *p, ane_error *e) {
    const mil_function *f = mil_program_function(p, "main");
    if (!f) return ane_fail(e, ANE_ERROR_FORMAT, "model.mil", "expected a function main");
    char found[64], accepted[160];
    snprintf(found, sizeof found, "%s/%s", p->version, f->opset);
    const char *at = strstr(em_quirks[EM_QUIRK_DIALECTS].values, found);
    int64_t bit = 1;
    for (const char *c = em_quirks[EM_QUIRK_DIALECTS].values; at && c < at; c++)
        if (*c == '|') bit <<= 1;
    if (at && em_quirk_value(EM_QUIRK_DIALECTS) & bit) return true;
    em_quirk_print(EM_QUIRK_DIALECTS, em_quirk_value(EM_QUIRK_DIALECTS), accepted, sizeof accepted);
    return ane_fail(e, ANE_ERROR_FORMAT, "model.mil",
        "header program(%s), main<%s> is not accepted: this machine takes %s", p->version, f->opset,
        accepted);
}

static bool check_dimensions(const mil_function *f, ane_error *e) {
    int64_t widest = em_quirk_value(EM_QUIRK_MAX_DIM), most = widest > MOST_CHANNELS ? widest : MOST_CHANNELS;
    for (int v = 0; widest != EM_NO_LIMIT && v < f->n_values; v++) {
        const mil_type *t = &f->values[v].type;
        for (int i = 0; i < t->rank; i++) {
            int64_t limit = i >= t->rank - 2 ? widest : most;
            if (t->dim[i] > limit)
                return ane_fail(e, ANE_ERROR_UNSUPPORTED, f->values[v].name,
                    "quirk max-dim: dimension %d is %" PRId64 ", larger than %" PRId64, i, t->dim[i], limit);
        }
    }
    return true;
}

static bool check_weights(const mil_function *f, ane_error *e) {
    int64_t most = em_quirk_value(EM_QUIRK_MAX_WEIGHTS), sum = 0;
    bool one_each = em_quirk_value(EM_QUIRK_SHARED_BLOBS) == EM_REFUSED;
    for (int v = 0; v < f->n_values; v++) {
        const mil_constant *c = f->values[v].constant;
        if (!c || !c->blob_path) continue;
        sum += mil_type_bytes(&f->values[v].type);
        if (most != EM_NO_LIMIT && sum > most)
            return ane_fail(e, ANE_ERROR_UNSUPPORTED, f->values[v].name,
                "quirk max-weights: the program bakes more than %" PRId64 " bytes", most);
        if (one_each && c->blob_offset != 64)
            return ane_fail(e, ANE_ERROR_UNSUPPORTED, f->values[v].name,
                "quirk shared-blobs: \"%s\" holds several weights, one at %" PRIu64
                "; ANE-15: write one file per matrix",
                c->blob_path, c->blob_offset);
    }
    return true;
}

/* Whether a constant was written inside a call rather than as a const of its own. */
static bool written_inline(const mil_function *f, const mil_operation *op, const char *param) {
    mil_value v = mil_arg_value(op, param);
    return v == MIL_NONE || (f->values[v].constant && !f->values[v].used_name);
}

static bool check_op(const mil_function *f, const mil_operation *op, ane_error *e) {
    const char *name = f->values[op->results[0]].name;
    if (op->opcode == MIL_OP_CONV && em_quirk_value(EM_QUIRK_CONV_WEIGHTS) == EM_CONV_REFUSED &&
        !mil_ane_is_fixed(f, mil_arg_value(op, "weight")))
        return ane_fail(e, ANE_ERROR_UNSUPPORTED, name,
            "quirk conv-weights: ANE-23: the weight of conv must be constant");
    if (op->opcode == MIL_OP_MATMUL && em_quirk_value(EM_QUIRK_MATMUL_WEIGHTS) == EM_REFUSED &&
        !mil_ane_is_fixed(f, mil_arg_value(op, "x")) && !mil_ane_is_fixed(f, mil_arg_value(op, "y")))
        return ane_fail(
            e, ANE_ERROR_UNSUPPORTED, name, "quirk matmul-weights: one operand of matmul must be constant");
    if (op->opcode == MIL_OP_CONCAT && em_quirk_value(EM_QUIRK_CONCAT) == EM_CONCAT_NAMED &&
        (written_inline(f, op, "axis") || written_inline(f, op, "interleave")))
        return ane_fail(e, ANE_ERROR_UNSUPPORTED, name,
            "quirk concat: ANE-31: axis and interleave of concat must be named constants");
    return true;
}

static bool check_ports(const mil_function *f, ane_error *e) {
    if (em_quirk_value(EM_QUIRK_FP32_PORTS) != EM_PORTS_REFUSED) return true;
    for (int i = 0; i < f->n_inputs + f->n_outputs; i++) {
        mil_value v = i < f->n_inputs ? f->inputs[i] : f->outputs[i - f->n_inputs];
        if (mil_type_of(f, v)->dtype == MIL_FP32)
            return ane_fail(e, ANE_ERROR_UNSUPPORTED, f->values[v].name,
                "quirk fp32-ports: ANE-02: inputs and outputs must be fp16");
    }
    return true;
}

bool em_check_program(const mil_program *p, ane_error *e) {
    ane_error found = {0};
    if (!check_dialect(p, &found)) return ane_fail(e, found.code, found.where, "%s", found.message);
    const mil_function *f = mil_program_function(p, "main");
    mil_check_ane(p, refuse, &found);
    bool ok =
        !found.code && check_dimensions(f, &found) && check_weights(f, &found) && check_ports(f, &found);
    for (int i = 0; ok && i < f->n_ops; i++) ok = check_op(f, &f->ops[i], &found);
    return ok || ane_fail(e, found.code, found.where, "%s", found.message);
}
