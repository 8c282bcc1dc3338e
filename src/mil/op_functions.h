/* op_functions.h - the functions that rows of ops.def name. Inference lives in infer*.c, evaluation in eval*.c,
 * gradients in grad*.c, scalar functions in scalar.c.
 */
#ifndef ANEMONE_MIL_OP_FUNCTIONS_H
#define ANEMONE_MIL_OP_FUNCTIONS_H

#include "mil/ops.h"

mil_infer_fn mil_infer_unary, mil_infer_cast, mil_infer_conv, mil_infer_matmul, mil_infer_linear,
    mil_infer_attention, mil_infer_causal_attention, mil_infer_causal_attention_gradient,
    mil_infer_cached_attention, mil_infer_binary, mil_infer_select, mil_infer_reduce, mil_infer_softmax,
    mil_infer_gelu, mil_infer_layer_norm, mil_infer_reshape, mil_infer_transpose, mil_infer_expand_dims,
    mil_infer_squeeze, mil_infer_slice_by_size, mil_infer_slice_by_index, mil_infer_concat, mil_infer_split,
    mil_infer_tile, mil_infer_pad, mil_infer_gather, mil_infer_scatter, mil_infer_quantize,
    mil_infer_dequantize, mil_infer_constexpr_affine, mil_infer_constexpr_lut, mil_infer_constexpr_blockwise;
mil_eval_fn mil_eval_unary, mil_eval_cast, mil_eval_conv, mil_eval_matmul, mil_eval_linear,
    mil_eval_attention, mil_eval_causal_attention, mil_eval_causal_attention_gradient,
    mil_eval_cached_attention, mil_eval_binary, mil_eval_select, mil_eval_gelu, mil_eval_reduce,
    mil_eval_softmax, mil_eval_layer_norm, mil_eval_reshape, mil_eval_transpose, mil_eval_slice_by_size,
    mil_eval_slice_by_index, mil_eval_concat, mil_eval_split, mil_eval_tile, mil_eval_pad, mil_eval_gather,
    mil_eval_scatter, mil_eval_quantize, mil_eval_dequantize, mil_eval_constexpr_affine,
    mil_eval_constexpr_lut, mil_eval_constexpr_blockwise;
mil_grad_fn mil_grad_identity, mil_grad_cast, mil_grad_conv, mil_grad_matmul, mil_grad_linear,
    mil_grad_by_expansion, mil_grad_causal_attention, mil_grad_add_op, mil_grad_sub, mil_grad_mul,
    mil_grad_real_div, mil_grad_maximum, mil_grad_minimum, mil_grad_pow, mil_grad_select, mil_grad_exp,
    mil_grad_log, mil_grad_sqrt, mil_grad_rsqrt, mil_grad_inverse, mil_grad_abs, mil_grad_sin, mil_grad_cos,
    mil_grad_sigmoid, mil_grad_silu, mil_grad_tanh, mil_grad_relu, mil_grad_erf, mil_grad_reduce_sum,
    mil_grad_reduce_mean, mil_grad_reduce_max, mil_grad_softmax, mil_grad_reshape, mil_grad_transpose,
    mil_grad_slice_by_size, mil_grad_slice_by_index, mil_grad_concat, mil_grad_split, mil_grad_tile,
    mil_grad_pad, mil_grad_gather, mil_grad_scatter;

double mil_scalar_identity(double x, double a);
double mil_scalar_exp(double x, double a);
double mil_scalar_log(double x, double a);
double mil_scalar_sqrt(double x, double a);
double mil_scalar_rsqrt(double x, double a);
double mil_scalar_inverse(double x, double a);
double mil_scalar_abs(double x, double a);
double mil_scalar_sin(double x, double a);
double mil_scalar_cos(double x, double a);
double mil_scalar_sigmoid(double x, double a);
double mil_scalar_silu(double x, double a);
double mil_scalar_tanh(double x, double a);
double mil_scalar_relu(double x, double a);
double mil_scalar_erf(double x, double a);
double mil_scalar_logical_not(double x, double a);

double mil_scalar_add(double x, double y);
double mil_scalar_sub(double x, double y);
double mil_scalar_mul(double x, double y);
double mil_scalar_real_div(double x, double y);
double mil_scalar_maximum(double x, double y);
double mil_scalar_minimum(double x, double y);
double mil_scalar_pow(double x, double y);
double mil_scalar_equal(double x, double y);
double mil_scalar_not_equal(double x, double y);
double mil_scalar_greater(double x, double y);
double mil_scalar_greater_equal(double x, double y);
double mil_scalar_less(double x, double y);
double mil_scalar_less_equal(double x, double y);

#endif
