/* The table of rules. Sources are the systems and people of the field; "M1" and the like is where it was
 * seen. */
#include "mil/ane_rules.h"
#include "base/decimal.h"
#include "mil/function.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const mil_ane_rule mil_ane_rules[] = {
    /* -- inputs and outputs -- */
    {"ANE-01", "inputs and outputs cannot be integers, bool or bf16: the compiler rejects them",
        "field notes 2.4", true, mil_ane_port_integers},
    {"ANE-02", "fp32 inputs and outputs work only through a cast beside the port", "maderix, field notes 2.4",
        true, mil_ane_port_fp32},
    {"ANE-03",
        "a row of an input or output must fill whole 64-byte units, or data is read at the wrong stride",
        "Apple, rustane, Orion, tmc", true, mil_ane_port_rows},
    {"ANE-04", "a small input or output surface is refused or misread",
        "Orion (48 KiB), slavko (16 KiB), imperatormk (2 KiB)", false, mil_ane_port_surface},
    {"ANE-05", "batch sizes above 1 are slow or wrong: put batch and sequence on the last axis",
        "field notes 2.4, ANEForge", true, mil_ane_port_batch},
    {"ANE-06", "with several inputs (or outputs) all surfaces must have one size, else status 0x1d",
        "Orion; not PR 22, PR 35", false, mil_ane_port_sizes},
    {"ANE-07", "several inputs (or outputs) are bound in alphabetical order of their names, not as declared",
        "Orion, slavko; not PR 22, PR 35", false, mil_ane_port_order},
    {"ANE-08", "a returned name must be computed by the program", "Orion", true, mil_ane_outputs},

    /* -- the program as a whole -- */
    {"ANE-09", "there must be one function, called main", "maderix", true, mil_ane_function_name},
    {"ANE-10", "buildInfo must name coremlc-version", "PR 6, ANE-LM, field guide", true, mil_ane_build_info},
    {"ANE-11", "parameters must be bound before compiling: baked, packed, or made inputs", "anemone", true,
        mil_ane_parameters},
    {"ANE-12", "names of values must be letters, digits and _", "Apple's compiler", true,
        mil_ane_identifiers},
    {"ANE-13", "some names of values break the compiler",
        "imperatormk (M1); x and y are used by everyone else", false, mil_ane_unlucky_names},
    {"ANE-14", "a program can hold about 2 GB of baked weights", "ANEForge", true, mil_ane_weight_total},
    {"ANE-15", "several weights in one blob file fail on M1: write one file per matrix",
        "PR 6 (M1); works on M3 to M5, and with true sizes", false, mil_ane_shared_blob_file},

    /* -- shapes and numbers -- */
    {"ANE-16", "tensors have at most 5 axes", "ANEForge", true, mil_ane_rank},
    {"ANE-17", "no dimension may exceed 65,536: split the tensor", "ANEForge, PR 26", true, mil_ane_largest},
    {"ANE-18", "up to M3, height and width may not exceed 16,384", "ANEForge", true, mil_ane_wide},
    {"ANE-19", "an innermost axis of 1 is padded to 64 bytes: 32 times the memory", "Apple, slavko", true,
        mil_ane_innermost_one},
    {"ANE-20", "element-wise operations on a flat [1, N] fail or hang beyond N = 16,384: use [1, C, S]",
        "imperatormk", true, mil_ane_flat},
    {"ANE-21", "the engine computes in fp16 only", "all", true, mil_ane_arithmetic},
    {"ANE-22", "NaN becomes infinity and inf - inf becomes 0: mask with -65504, not -inf",
        "ANEForge, maderix", true, mil_ane_infinite_constant},

    /* -- operations -- */
    {"ANE-23", "conv with weights computed at run time is ignored, wrong or rejected",
        "field guide (M3 Max), imperatormk, ANEForge; not PR 22", false, mil_ane_conv_weight},
    {"ANE-24", "conv has no bias: add it afterwards", "Orion", true, mil_ane_conv_bias},
    {"ANE-25", "conv with 32,000 or more input channels is rejected; output channels are fine", "maderix",
        true, mil_ane_conv_channels},
    {"ANE-26", "conv kernels are at most 15 wide (13 on M1)", "hollance", true, mil_ane_conv_kernel},
    {"ANE-27", "conv needs strides, pad, pad_type, dilations and groups spelt out", "field notes 0.7", true,
        mil_ane_conv_spelled},
    {"ANE-28", "matmul gives zeros unless its inner dimension is a multiple of 32", "imperatormk (M1)", true,
        mil_ane_matmul_inner},
    {"ANE-29", "matmul with a constant operand is rejected: use conv", "imperatormk (M1)", false,
        mil_ane_matmul_constant},
    {"ANE-30", "program(1.5) rejects matmul of two run-time operands: use 1.3", "PR 35 (M5)", true,
        mil_ane_matmul_version},
    {"ANE-31", "concat without a constant interleave is rejected", "Orion; works where it is given", false,
        mil_ane_concat_interleave},
    {"ANE-32", "gelu needs a mode", "Orion", true, mil_ane_gelu_mode},
    {"ANE-33", "composite operations work only through E5: decompose them for the direct path",
        "PR 40; gelu with mode works for dev-erik, ANEForge", false, mil_ane_composite},
    {"ANE-34", "attn_mask is ignored: write attention as matmul, add mask, softmax, matmul",
        "maderix, ANEgpt, Orion", true, mil_ane_attn_mask},
    {"ANE-35", "tile poisons the process: every later run fails with 0x1d", "field guide", true,
        mil_ane_tile},
    {"ANE-36", "sqrt or rsqrt straight after a reduction does not compile: use pow", "rustane", true,
        mil_ane_root_of_reduce},
    {"ANE-37", "sqrt followed by a broadcast product or a division is wrong", "imperatormk (M1)", true,
        mil_ane_root_broadcast},
    {"ANE-38", "softmax over channels needs a power of two", "Espresso; maderix runs 32,000", false,
        mil_ane_softmax_channels},
    {"ANE-39", "cast is missing on M1 and M2 with ios16: use fp16 inputs and outputs",
        "PR 6; M1 Air on macOS 15 has it", false, mil_ane_cast_ios16},
    {"ANE-40", "slice_by_index directly on an input makes the program invalid: use slice_by_size",
        "field notes 2.4", true, mil_ane_slice_of_input},
    {"ANE-41", "on M1 and M2, a slice that starts within the last axis overflows above 4,094", "ANEForge",
        true, mil_ane_slice_width},
    {"ANE-42", "broadcasting [1, C, S] with [1, C, 1] gives zeros: use four axes", "imperatormk", true,
        mil_ane_broadcast_3d},
    {"ANE-43", "sin and cos need M2 or later", "ANEForge", true, mil_ane_trigonometry},
    {"ANE-44", "log needs epsilon", "field notes 0.7", true, mil_ane_log_epsilon},
};
const int mil_n_ane_rules = sizeof mil_ane_rules / sizeof *mil_ane_rules;

static void send(mil_ane_check *c, const char *where, const char *format, va_list args) ANE_PRINTF(3, 0);
static void send(mil_ane_check *c, const char *where, const char *format, va_list args) {
    mil_finding finding = {
        .rule = c->rule->id, .title = c->rule->title, .source = c->rule->source, .certain = c->rule->certain};
    snprintf(finding.where, sizeof finding.where, "%s", where);
    ane_print_list(finding.detail, sizeof finding.detail, format, args);
    c->n_found++;
    if (c->report) c->report(c->context, &finding);
}

void mil_ane_report(mil_ane_check *c, mil_value v, const char *format, ...) {
    va_list args;
    va_start(args, format);
    send(c, v == MIL_NONE ? c->f->name : c->f->values[v].name, format, args);
    va_end(args);
}

void mil_ane_report_op(mil_ane_check *c, const mil_operation *op, const char *format, ...) {
    char name[100], where[128];
    mil_op_where(c->f, op, name, sizeof name);
    if (op->line > 0)
        snprintf(where, sizeof where, "%d:%d: %s", (int)op->line, (int)op->column, name);
    else
        snprintf(where, sizeof where, "%s", name);
    va_list args;
    va_start(args, format);
    send(c, where, format, args);
    va_end(args);
}

const mil_operation *mil_ane_maker(const mil_function *f, mil_value v) {
    return f->values[v].op == MIL_NONE ? NULL : &f->ops[f->values[v].op];
}

bool mil_ane_is_fixed(const mil_function *f, mil_value v) {
    const mil_operation *op = mil_ane_maker(f, v);
    return op && (op->opcode == MIL_OP_CONST || op->opcode == MIL_OP_PARAMETER ||
                     (op->info->traits & MIL_TRAIT_CONSTEXPR) != 0);
}

int mil_check_ane(
    const mil_program *p, void (*report)(void *context, const mil_finding *finding), void *context) {
    mil_ane_check c = {.program = p, .report = report, .context = context};
    for (int i = 0; i < mil_n_ane_rules; i++) {
        c.rule = &mil_ane_rules[i];
        for (int j = 0; j < p->n_functions; j++) {
            c.f = p->functions[j];
            c.rule->check(&c);
        }
    }
    return c.n_found;
}
