/* mil.h - the program: what a model is written in, once.
 *
 * MIL is the intermediate language that Apple's compiler takes. A mil_program holds functions; a function holds
 * values and the operations that make them, in order, each value defined once. Everything is an open struct: read
 * freely, change only through the functions here.
 *
 *     mil_program *p = mil_program_new(MIL_IOS18, &e);
 *     mil_function *f = mil_function_new(p, "main");
 *     mil_value x = mil_input(f, "x", mil_tensor(MIL_FP32, 4, (int64_t[]){1, 64, 1, 256}));
 *     mil_value w = mil_param(f, "w", mil_tensor(MIL_FP32, 4, (int64_t[]){128, 64, 1, 1}));
 *     mil_output(f, "y", mil_silu(f, mil_conv(f, x, w)));
 *     if (!mil_program_ok(p, &e)) ...
 *
 * Building never fails in the middle: the first error is kept in the program, later calls do nothing and return
 * MIL_NONE, and mil_program_ok() tells at the end. So a model reads like its mathematics.
 *
 * Ownership: a program owns everything in it, and mil_program_free() frees it all. Strings and arrays passed in are
 * copied. Threads: a program may be read by many threads; it is built and changed by one.
 */
#ifndef ANEMONE_MIL_H
#define ANEMONE_MIL_H

#include "anemone/error.h"

#include <stddef.h>
#include <stdint.h>

/* ---- types --------------------------------------------------------------------------------------------- */

enum { MIL_MAX_RANK = 8 };

typedef enum mil_dtype {
    MIL_VOID = 0,
    MIL_FP16,
    MIL_FP32,
    MIL_FP64,
    MIL_BF16,
    MIL_INT4,
    MIL_INT8,
    MIL_INT16,
    MIL_INT32,
    MIL_INT64,
    MIL_UINT1,
    MIL_UINT2,
    MIL_UINT3,
    MIL_UINT4,
    MIL_UINT6,
    MIL_UINT8,
    MIL_UINT16,
    MIL_UINT32,
    MIL_UINT64,
    MIL_BOOL,
    MIL_STRING,
    MIL_DTYPE_COUNT
} mil_dtype;

/* A tensor's element type and shape, row-major. Rank 0 is a scalar. A string has rank 0 always. */
typedef struct mil_type {
    mil_dtype dtype;
    int32_t rank;
    int64_t dim[MIL_MAX_RANK]; /* each >= 1 in a verified program; entries past rank are 0 */
} mil_type;

mil_type mil_scalar(mil_dtype dtype);
mil_type mil_tensor(mil_dtype dtype, int rank, const int64_t *dim);
bool mil_type_equal(const mil_type *a, const mil_type *b);
/* Product of the dimensions (1 for a scalar); -1 when it does not fit in 63 bits. */
int64_t mil_type_count(const mil_type *t);
/* Bytes of the elements, packed; sub-byte types are packed low bits first; -1 on overflow or for strings. */
int64_t mil_type_bytes(const mil_type *t);
const char *mil_dtype_name(mil_dtype dtype);     /* "fp16" */
mil_dtype mil_dtype_from_name(const char *name); /* MIL_VOID when unknown */
int mil_dtype_bits(mil_dtype dtype);             /* 16 for fp16, 4 for int4, 8 for bool, 0 for string */
bool mil_dtype_is_float(mil_dtype dtype);
/* "tensor<fp16, [1, 768, 1, 256]>" or "fp16" into `text`; returns `text`. */
const char *mil_type_print(const mil_type *t, char *text, size_t size);

/* ---- programs ------------------------------------------------------------------------------------------ */

typedef int32_t mil_value; /* index into mil_function.values */
enum { MIL_NONE = -1 };

/* The dialects that Apple's compilers take. They differ in the header and, for iOS 16, in how scalars are spelt. */
typedef enum mil_dialect {
    MIL_IOS16,    /* program(1.0), func main<ios16>, scalars as rank-0 tensors: the most portable */
    MIL_IOS17,    /* program(1.3), func main<ios17> */
    MIL_IOS18,    /* program(1.3), func main<ios18> */
    MIL_IOS18_15, /* program(1.5), func main<ios18> */
} mil_dialect;

/* Opcodes, in the order of src/mil/ops.def: MIL_OP_CONV, MIL_OP_ADD, ... */
typedef int32_t mil_opcode;
typedef struct mil_op_info mil_op_info; /* one row of the table; src/mil/ops.h */

/* A constant's value: in memory, in a blob file, or both (after mil_program_load_blobs). */
typedef struct mil_constant {
    const void *data; /* little-endian, packed as mil_type_bytes says; a string is NUL-terminated; NULL when
                                only the blob holds it */
    const char *blob_path; /* "@model_path/weights/wq.bin"; NULL when the value is written in the text */
    uint64_t blob_offset;  /* of the blob's metadata */
} mil_constant;

typedef struct mil_value_info {
    const char *name; /* unique in its function */
    mil_type type;
    int32_t op;             /* index of the operation that makes it, or MIL_NONE for a function input */
    mil_constant *constant; /* its value if it is a constant, else NULL */
    bool used_name;         /* the name was given by the user, so passes keep it */
} mil_value_info;

/* What one parameter of an operation is given: no value (absent), one, or several (a list: `values=(a, b)`). */
typedef struct mil_arg {
    int32_t n;
    mil_value *values;
} mil_arg;

typedef struct mil_operation {
    mil_opcode opcode;
    const mil_op_info *info;
    mil_arg *args; /* info->n_params of them, in the order of the table */
    int32_t n_results;
    mil_value *results;
    const char *label;    /* the `name` attribute; NULL when none */
    int32_t line, column; /* where it stood in the text; 0 when built */
} mil_operation;

typedef struct mil_function {
    struct mil_program *program;
    const char *name;  /* "main" */
    const char *opset; /* "ios18" */
    int32_t n_values;
    mil_value_info *values;
    int32_t n_ops;
    mil_operation *ops; /* in execution order */
    int32_t n_inputs;
    mil_value *inputs;
    int32_t n_outputs;
    mil_value *outputs;
    void *builder; /* private to the builder */
} mil_function;

typedef struct mil_attribute { /* one entry of buildInfo */
    const char *key, *value;
} mil_attribute;

typedef struct mil_program {
    const char *version;     /* "1.3" */
    bool scalars_as_tensors; /* iOS 16 spelling */
    int32_t n_build_info;
    mil_attribute *build_info;
    int32_t n_functions;
    mil_function **functions;
    ane_error error; /* the first error of the builder */
    struct ane_arena *arena;
} mil_program;

mil_program *mil_program_new(mil_dialect dialect, ane_error *e);
void mil_program_free(mil_program *p); /* NULL is fine */
mil_function *mil_function_new(mil_program *p, const char *name);
mil_function *mil_program_function(
    const mil_program *p, const char *name); /* NULL name: the only or "main" */
/* True when building met no error and mil_verify finds none. */
bool mil_program_ok(const mil_program *p, ane_error *e);
/* A deep copy. */
mil_program *mil_program_clone(const mil_program *p, ane_error *e);
/* Rewrite header and spelling for another dialect. */
void mil_program_set_dialect(mil_program *p, mil_dialect dialect);

/* The type of a value; it stays where it is as long as the program. MIL_NONE has the type "void". */
const mil_type *mil_type_of(const mil_function *f, mil_value v);
mil_value mil_find(const mil_function *f, const char *name); /* MIL_NONE when there is none */

/* ---- building: inputs, parameters, constants, outputs ----------------------------------------------------------
 * The names of inputs, parameters and outputs are exact, since others know them: two equal ones are an error, and an
 * inner value that bears such a name is renamed. Other names are made unique by a suffix. */

mil_value mil_input(mil_function *f, const char *name, mil_type type);
/* A weight. How it reaches the device (baked, packed, an input of its own) is decided later, by a pass. */
mil_value mil_param(mil_function *f, const char *name, mil_type type);
mil_value mil_const_data(mil_function *f, mil_type type, const void *data);
mil_value mil_const_blob(mil_function *f, mil_type type, const char *path, uint64_t offset);
mil_value mil_const_float(mil_function *f, mil_dtype dtype, double x);
mil_value mil_const_floats(mil_function *f, mil_type type, const float *x); /* converted to type.dtype */
mil_value mil_const_int(mil_function *f, int32_t x);
mil_value mil_const_ints(mil_function *f, int n, const int32_t *x); /* tensor<int32, [n]> */
mil_value mil_const_bool(mil_function *f, bool x);
mil_value mil_const_string(mil_function *f, const char *s);
/* Make `v` an output called `name`: renames v, or adds an identity when v is an input, a parameter or an output
 * already. Output names are what devices bind buffers to. */
void mil_output(mil_function *f, const char *name, mil_value v);
/* Give a value a name of your choice (made unique by a suffix when taken); returns v. */
mil_value mil_name(mil_function *f, mil_value v, const char *name);

/* ---- building: operations --------------------------------------------------------------------------------------
 * Names, meanings and defaults are MIL's (Apple's "MIL ops" reference in coremltools). Binary operations broadcast
 * as NumPy does. Axes may be negative. */

mil_value mil_conv(mil_function *f, mil_value x, mil_value weight); /* valid, stride 1, one group */
typedef struct mil_conv_options {
    int32_t stride[2], pad[4], dilation[2], groups; /* pad: top, bottom, left, right */
    const char *pad_type;                           /* "valid", "custom", "same"; NULL is "valid" */
    mil_value bias;                                 /* [O] or MIL_NONE */
} mil_conv_options;
/* x [N, I, H, W], weight [O, I/groups, kh, kw] -> [N, O, H', W']. 3-d tensors [N, I, W] likewise. */
mil_value mil_conv_with(mil_function *f, mil_value x, mil_value weight, const mil_conv_options *options);
/* [..., M, K] x [..., K, N] -> [..., M, N]; leading dimensions broadcast. */
mil_value mil_matmul(mil_function *f, mil_value x, mil_value y, bool transpose_x, bool transpose_y);
/* x [..., I], weight [O, I], bias [O] or MIL_NONE -> [..., O] */
mil_value mil_linear(mil_function *f, mil_value x, mil_value weight, mil_value bias);

mil_value mil_add(mil_function *f, mil_value x, mil_value y);
mil_value mil_sub(mil_function *f, mil_value x, mil_value y);
mil_value mil_mul(mil_function *f, mil_value x, mil_value y);
mil_value mil_real_div(mil_function *f, mil_value x, mil_value y);
mil_value mil_maximum(mil_function *f, mil_value x, mil_value y);
mil_value mil_minimum(mil_function *f, mil_value x, mil_value y);
mil_value mil_pow(mil_function *f, mil_value x, mil_value y);
/* The same with a scalar constant of x's type on the right. */
mil_value mil_add_scalar(mil_function *f, mil_value x, double y);
mil_value mil_mul_scalar(mil_function *f, mil_value x, double y);
mil_value mil_pow_scalar(mil_function *f, mil_value x, double y);
/* Comparisons give bool. */
mil_value mil_equal(mil_function *f, mil_value x, mil_value y);
mil_value mil_greater(mil_function *f, mil_value x, mil_value y);
mil_value mil_greater_equal(mil_function *f, mil_value x, mil_value y);
mil_value mil_less(mil_function *f, mil_value x, mil_value y);
mil_value mil_select(
    mil_function *f, mil_value cond, mil_value a, mil_value b); /* cond ? a : b, element by element */

mil_value mil_exp(mil_function *f, mil_value x);
mil_value mil_log(mil_function *f, mil_value x, double epsilon); /* log(x + epsilon) */
mil_value mil_sqrt(mil_function *f, mil_value x);
mil_value mil_rsqrt(mil_function *f, mil_value x, double epsilon);   /* 1 / sqrt(x + epsilon) */
mil_value mil_inverse(mil_function *f, mil_value x, double epsilon); /* 1 / (x + epsilon) */
mil_value mil_abs(mil_function *f, mil_value x);
mil_value mil_sin(mil_function *f, mil_value x);
mil_value mil_cos(mil_function *f, mil_value x);
mil_value mil_sigmoid(mil_function *f, mil_value x);
mil_value mil_silu(mil_function *f, mil_value x);
mil_value mil_tanh(mil_function *f, mil_value x);
mil_value mil_relu(mil_function *f, mil_value x);
mil_value mil_erf(mil_function *f, mil_value x);
mil_value mil_gelu(
    mil_function *f, mil_value x, const char *mode); /* EXACT, TANH_APPROXIMATION, SIGMOID_APPROXIMATION */
mil_value mil_identity(mil_function *f, mil_value x);
mil_value mil_cast(mil_function *f, mil_value x, mil_dtype dtype);

mil_value mil_reduce_sum(mil_function *f, mil_value x, int n_axes, const int32_t *axes, bool keep_dims);
mil_value mil_reduce_mean(mil_function *f, mil_value x, int n_axes, const int32_t *axes, bool keep_dims);
mil_value mil_reduce_max(mil_function *f, mil_value x, int n_axes, const int32_t *axes, bool keep_dims);
mil_value mil_softmax(mil_function *f, mil_value x, int32_t axis);
/* Over `axes`; gamma and beta have the shape of those axes; either may be MIL_NONE. */
mil_value mil_layer_norm(mil_function *f, mil_value x, int n_axes, const int32_t *axes, mil_value gamma,
    mil_value beta, double epsilon);
/* query [B, .., L, E], key [B, .., S, E], value [B, .., S, EV]; attn_mask is added to the scores (or is bool: keep),
 * MIL_NONE for none. The scale is 1/sqrt(E). */
mil_value mil_scaled_dot_product_attention(
    mil_function *f, mil_value query, mil_value key, mil_value value, mil_value attn_mask);
/* softmax(scale q^T k) v^T where position i sees positions 0 .. i; head h of K * R query heads reads key head h / R.
 * query [B, K, R, E, S], key and value [B, K, 1, E, S] -> results[0] [B, K, R, E, S], and for the gradient
 * results[1] [B, K, R, 1, S]: log(sum of exp(scores)) of every position. Not an operation of Apple's: devices that have
 * no plan for it (capabilities: fuses_attention) take its expansion. */
void mil_causal_attention(
    mil_function *f, mil_value query, mil_value key, mil_value value, double scale, mil_value results[2]);
/* The same behind positions that are kept: `length` (int32, one number, known at run time) of the T in key_cache and
 * value_cache [1, K, T, E], which every new position sees beside those of its own up to itself. B = 1. The caches may be of
 * another type than the rest. -> [1, K, R, E, S]. It has no gradient. Its expansion reads the caches to their end, where finite
 * numbers must lie, and a length beyond them is not told. */
mil_value mil_cached_attention(mil_function *f, mil_value query, const mil_value new_keys_values[2],
    const mil_value caches[2], mil_value length, double scale);
/* The derivatives by in[] = query, key, value, from both results and the derivative by the first. */
void mil_causal_attention_gradient(mil_function *f, const mil_value in[3], mil_value result,
    mil_value statistics, mil_value d_result, double scale, mil_value d_in[3]);

mil_value mil_reshape(
    mil_function *f, mil_value x, int rank, const int64_t *dim);            /* one -1: the rest; 0: as in x */
mil_value mil_transpose(mil_function *f, mil_value x, const int32_t *perm); /* rank(x) entries */
mil_value mil_expand_dims(mil_function *f, mil_value x, int n_axes, const int32_t *axes);
mil_value mil_squeeze(
    mil_function *f, mil_value x, int n_axes, const int32_t *axes); /* n_axes 0: all of size 1 */
mil_value mil_slice_by_size(
    mil_function *f, mil_value x, const int32_t *begin, const int32_t *size); /* size -1: to the end */
/* NumPy's x[begin:end:stride] on every axis; NULL stride is all ones. */
mil_value mil_slice_by_index(
    mil_function *f, mil_value x, const int32_t *begin, const int32_t *end, const int32_t *stride);
mil_value mil_concat(mil_function *f, int n, const mil_value *values, int32_t axis);
/* Equal parts; fills parts[n]. */
void mil_split(mil_function *f, mil_value x, int n, int32_t axis, mil_value *parts);
mil_value mil_tile(mil_function *f, mil_value x, const int32_t *reps);
mil_value mil_pad(
    mil_function *f, mil_value x, const int32_t *pad, double value); /* before, after for every axis */
mil_value mil_gather(mil_function *f, mil_value x, mil_value indices, int32_t axis);
/* A copy of data in which updates were added (mode "add") or stored ("update") at indices along axis. */
mil_value mil_scatter(
    mil_function *f, mil_value data, mil_value indices, mil_value updates, int32_t axis, const char *mode);
mil_value mil_quantize(
    mil_function *f, mil_value input, mil_dtype dtype, mil_value scale, mil_value zero_point);
mil_value mil_dequantize(mil_function *f, mil_value input, mil_value scale, mil_value zero_point);
/* constexpr_* operations come from files; build them with mil_call. */

/* Any operation by name: `args` are pairs of parameter name and value; results go to results[n_results]. */
typedef struct mil_named_arg {
    const char *name;
    int32_t n;
    const mil_value *values;
} mil_named_arg;
bool mil_call(mil_function *f, const char *op, int n_args, const mil_named_arg *args, int n_results,
    mil_value *results);

/* ---- text ---------------------------------------------------------------------------------------------- */

/* The program as MIL text in its own dialect, NUL-terminated; caller frees. Lossless: floats are written in hex.
 * Constants whose value is only in memory and larger than 64 elements stay inline too: nothing is lost. */
char *mil_print(const mil_program *p, ane_error *e);
/* Read MIL text. `name` (a file name, may be NULL) is used in messages: "name:line:column". */
mil_program *mil_parse(const char *text, size_t size, const char *name, ane_error *e);
mil_program *mil_parse_file(const char *path, ane_error *e);

/* ---- checking ------------------------------------------------------------------------------------------ */

/* Types, shapes, single definition, use before definition, unique names, outputs present. */
bool mil_verify(const mil_program *p, ane_error *e);

/* The Neural Engine's rules, apart from validity: a program may be right and still not run there. */
typedef struct mil_finding {
    const char *rule;   /* "ANE-07" */
    const char *title;  /* one line: what and why */
    const char *source; /* who reports it */
    bool certain;       /* false for reports that contradict each other */
    char where[128];    /* the value or operation concerned */
    char detail[256];   /* what was found and what to do */
} mil_finding;
/* Calls `report` for each broken rule; returns how many. */
int mil_check_ane(
    const mil_program *p, void (*report)(void *context, const mil_finding *finding), void *context);

/* ---- weight blobs: MIL Blob Storage v2 ----------------------------------------------------------------- */

typedef struct mil_blob_entry {
    uint64_t offset; /* of the metadata: what BLOBFILE(offset=) names */
    mil_dtype dtype;
    uint64_t bytes;
    uint64_t padding_bits; /* unused bits at the end, for sub-byte types */
    const void *data;
} mil_blob_entry;

typedef struct mil_blob_file mil_blob_file;
mil_blob_file *mil_blob_open(const char *path, ane_error *e); /* mapped; checked entirely */
mil_blob_file *mil_blob_open_memory(const void *data, size_t size, ane_error *e); /* data must outlive it */
void mil_blob_close(mil_blob_file *b);
int mil_blob_count(const mil_blob_file *b);
const mil_blob_entry *mil_blob_at(const mil_blob_file *b, int index);
const mil_blob_entry *mil_blob_find(
    const mil_blob_file *b, uint64_t offset); /* NULL when no metadata is there */

typedef struct mil_blob_writer mil_blob_writer;
mil_blob_writer *mil_blob_writer_open(const char *path, ane_error *e);
/* Returns the offset to write into BLOBFILE(), 0 on failure (reported by commit). */
uint64_t mil_blob_writer_add(mil_blob_writer *w, mil_dtype dtype, int64_t count, const void *data);
bool mil_blob_writer_commit(mil_blob_writer *w, ane_error *e);
void mil_blob_writer_abort(mil_blob_writer *w);

/* Read every BLOBFILE constant below `folder` ("@model_path" stands for it) into memory; types and sizes are checked
 * against the declarations. */
bool mil_program_load_blobs(mil_program *p, const char *folder, ane_error *e);
/* Write every constant in memory that has `smallest` or more elements into one file, folder/weights/NAME, and let the
 * program refer to it there ("@model_path" is `folder`). All others stand in the text from then on. */
bool mil_program_store_blobs(
    mil_program *p, const char *folder, const char *name, int64_t smallest, ane_error *e);

/* ---- packages: Core ML's .mlpackage --------------------------------------------------------------------- */

/* Read a package: a folder of Manifest.json, an ML program (model.mlmodel) and its weights, which are read into memory.
 * What a mil_program cannot hold (other kinds of models, flexible shapes, states, unknown operations) is refused by
 * name. Source: apple/coremltools, mlmodel/format. */
mil_program *mil_package_read(const char *path, ane_error *e);
/* Write one: constants of ten and more elements into its weights, everything else into the model. Parameters are
 * refused, as are constants that were not read from their blob file, and inputs and outputs that are not fp16, fp32,
 * int32 or int8. Written whole or not at all; only another package is replaced. */
bool mil_package_write(const mil_program *p, const char *path, ane_error *e);

/* ---- evaluation: the reference ------------------------------------------------------------------------- */

/* A tensor in double precision. Integers up to 2^53 and bool (0, 1) are exact in it. */
typedef struct mil_array {
    mil_type type;
    double *data; /* mil_type_count(type) of them, row-major */
} mil_array;

typedef enum mil_rounding {
    MIL_EXACT,      /* every result in double; float casts change nothing */
    MIL_ROUND_FP16, /* every float value (inputs and constants too) rounded to fp16, as the Neural Engine does; one
                       rounding per operation, so products accumulate exactly */
} mil_rounding;

/* Run `f` slowly and rightly: one plain loop nest per operation. inputs[f->n_inputs] in order; params are the
 * values of mil_param operations by name (n_params may be 0 when there are none); outputs[f->n_outputs] are filled,
 * their data allocated (free each with free()). */
typedef struct mil_named_array {
    const char *name;
    mil_array array;
} mil_named_array;
bool mil_evaluate(const mil_function *f, mil_rounding rounding, const mil_array *inputs, int n_params,
    const mil_named_array *params, mil_array *outputs, ane_error *e);

/* ---- differentiation ----------------------------------------------------------------------------------- */

/* How a parameter's gradient is formed. */
typedef struct mil_param_grad {
    const char *param; /* the parameter's name */
    bool is_product;   /* true: the product below; false: `value` names an output of backward with d(param) */
    const char *value;
    /* d(param), seen as [m, k] row-major = sum over n of left[m, n] * right[k, n]. left and right name where their
     * elements are: an output of backward, an input of backward ("d_" + output), or an input, output or tap of
     * forward. left's memory is [m, n] row-major, or [n, m] when left_transposed; right's is [k, n], or [n, k] when
     * right_transposed (its shape may have more axes). Several rows for one parameter are to be added up; a parameter
     * without a row has no influence: its gradient is zero. */
    const char *left, *right;
    bool left_transposed, right_transposed;
    int64_t m, n, k;
} mil_param_grad;

typedef struct mil_grad_options {
    int n_wrt; /* values to differentiate by; 0: every floating-point input */
    /* Inputs, or inner values (an operation's first result): derivation ends there, as if they were inputs, and what lies
     * only behind them (parameters too) has no derivative. */
    const char *const *wrt;
    bool products_in_program; /* form the products inside backward too: every gradient is then a `value` */
    bool
        recompute_attention; /* do not keep what attention (products of two computed matrices, softmax) gives back */
    bool recompute_cheap; /* do not keep what a few element-wise operations give back: fewer, smaller taps */
} mil_grad_options;

/* The derivative of a function, as two programs.
 *   forward:  the same inputs and outputs, and behind them one output per tap: the values that backward needs.
 *   backward: inputs: "d_" + name for each floating-point output of the original, then the taps, original inputs and
 *             original outputs that it needs, by their names; parameters likewise stay mil_params. Outputs: "d_" +
 *             name for each input or inner value asked for, then what the parameter gradients need. */
typedef struct mil_gradient {
    mil_program *forward, *backward;
    int n_taps;
    const char **taps; /* names of forward outputs = names of backward inputs */
    int n_param_grads;
    mil_param_grad *param_grads;
    struct ane_arena *arena;
} mil_gradient;

/* Derive. What has no gradient is reported by name. */
mil_gradient *mil_differentiate(const mil_function *f, const mil_grad_options *options, ane_error *e);
void mil_gradient_free(mil_gradient *g);

/* ---- passes: program -> program, in place -------------------------------------------------------------- */

typedef enum mil_pass {
    MIL_PASS_DEAD_CODE,      /* drop operations that no output needs */
    MIL_PASS_CSE,            /* one operation for equal ones */
    MIL_PASS_FOLD_CONSTANTS, /* evaluate what depends on small constants only; drop no-ops (x*1, x+0, identity) */
    MIL_PASS_EXPAND, /* composite operations -> simpler ones (attention, layer_norm, gelu, linear, ...) */
    MIL_PASS_COUNT
} mil_pass;

const char *mil_pass_name(mil_pass pass);
bool mil_run_pass(mil_program *p, mil_pass pass, ane_error *e);

/* ---- counting ------------------------------------------------------------------------------------------ */

/* Floating-point operations of one run: 2 per multiply-add of conv, matmul, linear and attention; others not counted. */
double mil_flops(const mil_function *f);

#endif
