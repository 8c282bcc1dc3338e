/* ane_rules.h - the Neural Engine's rules as a table: who reports what, and the function that looks for it.
 */
#ifndef ANEMONE_MIL_ANE_RULES_H
#define ANEMONE_MIL_ANE_RULES_H

#include "mil/ops.h"

typedef struct mil_ane_check mil_ane_check;

typedef struct mil_ane_rule {
    const char *id, *title, *source;
    bool certain;                    /* false: reports contradict each other */
    void (*check)(mil_ane_check *c); /* looks through c->f */
} mil_ane_rule;

struct mil_ane_check {
    const mil_program *program;
    const mil_function *f;
    const mil_ane_rule *rule;
    void (*report)(void *context, const mil_finding *finding);
    void *context;
    int n_found;
};

extern const mil_ane_rule mil_ane_rules[];
extern const int mil_n_ane_rules;

/* Report the current rule as broken by a value, an operation or the function (MIL_NONE, NULL). */
void mil_ane_report(mil_ane_check *c, mil_value v, const char *format, ...) ANE_PRINTF(3, 4);
void mil_ane_report_op(mil_ane_check *c, const mil_operation *op, const char *format, ...) ANE_PRINTF(3, 4);

/* The operation that makes `v`; NULL for a function input. */
const mil_operation *mil_ane_maker(const mil_function *f, mil_value v);
/* Known when compiled: a constant, made from constants, or a parameter, which can be baked. */
bool mil_ane_is_fixed(const mil_function *f, mil_value v);

/* What the table names: ane_check_ports.c, ane_check_ops.c, ane_check_shapes.c. */
typedef void mil_ane_check_fn(mil_ane_check *c);
mil_ane_check_fn mil_ane_port_integers, mil_ane_port_fp32, mil_ane_port_rows, mil_ane_port_surface,
    mil_ane_port_batch, mil_ane_port_sizes, mil_ane_port_order, mil_ane_outputs, mil_ane_function_name,
    mil_ane_build_info, mil_ane_parameters, mil_ane_identifiers, mil_ane_unlucky_names;
mil_ane_check_fn mil_ane_rank, mil_ane_largest, mil_ane_wide, mil_ane_innermost_one, mil_ane_flat,
    mil_ane_weight_total, mil_ane_shared_blob_file, mil_ane_infinite_constant, mil_ane_arithmetic;
mil_ane_check_fn mil_ane_conv_weight, mil_ane_conv_bias, mil_ane_conv_channels, mil_ane_conv_kernel,
    mil_ane_conv_spelled, mil_ane_matmul_inner, mil_ane_matmul_constant, mil_ane_matmul_version,
    mil_ane_concat_interleave, mil_ane_gelu_mode, mil_ane_composite, mil_ane_attn_mask, mil_ane_tile,
    mil_ane_root_of_reduce, mil_ane_root_broadcast, mil_ane_softmax_channels, mil_ane_cast_ios16,
    mil_ane_slice_of_input, mil_ane_slice_width, mil_ane_broadcast_3d, mil_ane_trigonometry,
    mil_ane_log_epsilon;

#endif
