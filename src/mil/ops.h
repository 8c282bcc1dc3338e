/* ops.h - the table of operations. Adding one is a row in ops.def and a section in the files its functions live in;
 * nothing else in the project lists operations.
 */
#ifndef ANEMONE_MIL_OPS_H
#define ANEMONE_MIL_OPS_H

#include "anemone/mil.h"

/* Opcodes: MIL_OP_CONST, MIL_OP_PARAMETER, MIL_OP_CONV, ... one per row of ops.def. */
enum {
#define MIL_OP(NAME, name, ...) MIL_OP_##NAME,
#include "mil/ops.def"
#undef MIL_OP
    MIL_OP_COUNT
};

/* Sets of element types, for parameters. */
#define MIL_BIT(dtype) (1u << (dtype))
enum {
    MIL_SET_FLOAT = 1u << MIL_FP16 | 1u << MIL_FP32 | 1u << MIL_FP64 | 1u << MIL_BF16,
    MIL_SET_INT = 1u << MIL_INT4 | 1u << MIL_INT8 | 1u << MIL_INT16 | 1u << MIL_INT32 | 1u << MIL_INT64 |
                  1u << MIL_UINT1 | 1u << MIL_UINT2 | 1u << MIL_UINT3 | 1u << MIL_UINT4 | 1u << MIL_UINT6 |
                  1u << MIL_UINT8 | 1u << MIL_UINT16 | 1u << MIL_UINT32 | 1u << MIL_UINT64,
    MIL_SET_BOOL = 1u << MIL_BOOL,
    MIL_SET_STRING = 1u << MIL_STRING,
    MIL_SET_NUMBER = MIL_SET_FLOAT | MIL_SET_INT,
    MIL_SET_ANY = MIL_SET_NUMBER | MIL_SET_BOOL,
};

typedef enum mil_param_kind {
    MIL_OPERAND, /* a tensor, constant or computed */
    MIL_CONST,   /* must be a constant: axes, strides, modes */
    MIL_LIST,    /* one or more operands */
} mil_param_kind;

typedef struct mil_param_info {
    const char *name;
    mil_param_kind kind;
    bool required;
    uint32_t types; /* MIL_BIT of each allowed element type */
} mil_param_info;

/* What an operation is, for passes, plans and gradients that treat whole families alike. */
typedef enum mil_trait {
    MIL_TRAIT_UNARY = 1,  /* result[i] = scalar1(x[i]) */
    MIL_TRAIT_BINARY = 2, /* result[i] = scalar2(x[i], y[i]), broadcast */
    MIL_TRAIT_ELEMENTWISE =
        4, /* each result element depends on the matching elements only: these two and select, cast */
    MIL_TRAIT_VIEW = 8,        /* moves elements, computes nothing: reshape, transpose, slices, ... */
    MIL_TRAIT_REDUCE = 16,     /* reduce_* with axes and keep_dims */
    MIL_TRAIT_COMPARE = 32,    /* binary, result bool */
    MIL_TRAIT_COMMUTES = 64,   /* op(x, y) = op(y, x) */
    MIL_TRAIT_CONSTEXPR = 128, /* constexpr_*: evaluated when compiled */
    MIL_TRAIT_LEAF = 256,      /* const and parameter: no arguments */
} mil_trait;

struct mil_grad_state; /* grad.h */

/* Shape inference: fill results[] (op->n_results of them) from the arguments. Reports through ane_fail with what was
 * expected and found; the caller adds the operation's name and place. */
typedef bool mil_infer_fn(const mil_function *f, const mil_operation *op, mil_type *results, ane_error *e);

/* Reference evaluation of one operation. `in` holds one array per given argument value, flattened in parameter order
 * (a list contributes all of its values); use mil_eval_arg() to find one. out[r].data is allocated, out[r].type set. */
typedef struct mil_eval_context {
    const mil_function *f;
    const mil_operation *op;
    const mil_array *values; /* indexed by mil_value; data NULL for what is not computed */
    mil_rounding rounding;
} mil_eval_context;
typedef bool mil_eval_fn(const mil_eval_context *c, mil_array *out, ane_error *e);

/* Gradient: given the derivative by each result (MIL_NONE where none flows), add to the derivatives of the arguments
 * by mil_grad_add (grad.h). NULL in the table: no gradient. */
typedef bool mil_grad_fn(
    struct mil_grad_state *g, const mil_operation *op, const mil_value *d_results, ane_error *e);

struct mil_op_info {
    const char *name;
    mil_opcode opcode;
    uint32_t traits;
    int n_params;
    const mil_param_info *params;
    mil_infer_fn *infer;
    mil_eval_fn *eval;
    mil_grad_fn *grad; /* NULL: has no gradient */
    double (*scalar1)(
        double x, double a); /* for UNARY; `a` is epsilon or alpha where the operation has one */
    double (*scalar2)(double x, double y); /* for BINARY */
};

extern const mil_op_info mil_op_table[MIL_OP_COUNT];
const mil_op_info *mil_op_find(const char *name); /* NULL when unknown */

/* Append an operation with its arguments and infer its results; MIL_NONE on error (kept in the program).
 * args has info->n_params entries. The one door through which builder, parser and passes make operations. */
mil_value mil_emit(
    mil_function *f, mil_opcode opcode, const mil_arg *args, int n_results, mil_value *results);

/* Index of a parameter in the row; -1 when the operation has none of that name. */
int mil_param_index(const mil_op_info *info, const char *name);

/* Reading constant arguments; each returns false (and reports) when the value is absent or no constant. */
mil_value mil_arg_value(const mil_operation *op, const char *param); /* MIL_NONE when absent */
bool mil_arg_ints(const mil_function *f, const mil_operation *op, const char *param, int max, int32_t *out,
    int *n, ane_error *e);
int32_t mil_arg_int(const mil_function *f, const mil_operation *op, const char *param, int32_t otherwise);
bool mil_arg_bool(const mil_function *f, const mil_operation *op, const char *param, bool otherwise);
double mil_arg_float(const mil_function *f, const mil_operation *op, const char *param, double otherwise);
const char *mil_arg_string(
    const mil_function *f, const mil_operation *op, const char *param, const char *otherwise);
/* Axes of a reduction or norm, made non-negative and sorted; all axes when the parameter is absent. */
bool mil_arg_axes(const mil_function *f, const mil_operation *op, const char *param, int rank, int32_t *axes,
    int *n, ane_error *e);

/* A constant's elements as double / from double, any element type. */
double mil_constant_at(const mil_type *type, const void *data, int64_t index);
void mil_constant_set(const mil_type *type, void *data, int64_t index, double x);
/* NumPy broadcasting of two shapes into out (dtype of a). */
bool mil_broadcast(const mil_type *a, const mil_type *b, mil_type *out, ane_error *e);

#endif
