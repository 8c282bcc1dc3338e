/* plan.h - what a program is compiled to: storages, views of them, and steps in order.
 *
 * A value is a *view*: a storage with an offset and a stride per dimension. Reshapes, transposes, slices and
 * splits are only views; the parts of a concat are written straight into it, outputs straight into the bound
 * buffers. Lowering makes *nodes*, one for each thing to compute; scheduling fuses and orders them; each
 * becomes a *step*.
 */
#ifndef ANEMONE_DEVICE_CPU_PLAN_H
#define ANEMONE_DEVICE_CPU_PLAN_H

#include "base/arena.h"
#include "base/gemm.h"
#include "base/gemv.h"
#include "base/packed_small.h"
#include "device/cpu/pairs.h"
#include "device/cpu/vector.h"
#include "device/device_impl.h"
#include "mil/ops.h"

/* How elements are held: floats and bools as fp32, integers as double (exact up to 2^53, as in the
 * reference), and what is bound as declared. */
typedef enum cpu_kind { CPU_F32, CPU_F64, CPU_RAW } cpu_kind;

typedef enum cpu_place {
    CPU_SCRATCH,       /* planned memory, shared by what does not live at the same time */
    CPU_INPUT,         /* a bound input buffer */
    CPU_OUTPUT,        /* a bound output buffer */
    CPU_WEIGHT,        /* a bound fp32 master */
    CPU_WEIGHT_STAGED, /* a weight's copy in the precision of the device, made when it is bound or changed */
    CPU_WEIGHT_SMALL,  /* a weight's copy in fewer bytes, shared by all bindings of the device */
    CPU_CONSTANT,      /* owned by the kernel */
} cpu_place;

typedef struct cpu_storage {
    cpu_place place;
    cpu_kind kind;
    int32_t index; /* of the input, output or weight */
    int64_t count; /* elements */
    int64_t bytes;
    const void *data;    /* of a constant */
    int64_t offset;      /* in scratch, bytes; -1 when no step needs it */
    int32_t first, last; /* the steps between which it lives */
} cpu_storage;

typedef struct cpu_view {
    int32_t storage;
    int32_t rank;
    int64_t offset; /* elements */
    int64_t dim[MIL_MAX_RANK], stride[MIL_MAX_RANK];
} cpu_view;

typedef enum cpu_node_type {
    CPU_NODE_MAP,       /* out = op(in...), element by element; in[] broadcast to out's shape */
    CPU_NODE_REDUCE,    /* out, given in in[0]'s shape with stride 0 along what is reduced */
    CPU_NODE_GEMM,      /* cpu_gemm */
    CPU_NODE_PACK,      /* cpu_pack */
    CPU_NODE_SOFTMAX,   /* cpu_softmax */
    CPU_NODE_MOVE,      /* copy between views of one shape */
    CPU_NODE_GATHER,    /* cpu_gather */
    CPU_NODE_QUANTIZE,  /* cpu_quantize, both ways */
    CPU_NODE_CONVERT,   /* cpu_convert: between a bound buffer's own element type and ours */
    CPU_NODE_ATTENTION, /* cpu_attention */
    CPU_NODE_ATTENTION_GRADIENT,
    CPU_NODE_CACHED,   /* cpu_cached */
    CPU_NODE_FALLBACK, /* the operation's reference evaluation */
} cpu_node_type;

typedef enum cpu_reduction { CPU_REDUCE_SUM, CPU_REDUCE_MEAN, CPU_REDUCE_MAX } cpu_reduction;

typedef struct cpu_node {
    cpu_node_type type;
    int32_t n_in, n_out;
    cpu_view *in, *out;
    int32_t op; /* cpu_map or cpu_reduction */
    float p;    /* cpu_map's parameter */
    bool round; /* to fp16, at the end */
    void *data;
} cpu_node;

typedef struct cpu_device cpu_device;

/* What a step finds when it runs. */
typedef struct cpu_run {
    cpu_device *device;
    const cpu_vectors *v;
    int threads;
    void *const *base;      /* address of every storage's first element */
    const bool *accumulate; /* per output: the one gemm that makes it adds to what is there */
} cpu_run;

/* What a step does at least: operations of its products, bytes that it reads and writes once. */
typedef struct cpu_work {
    double flops, bytes;
} cpu_work;

typedef struct cpu_step_type {
    const char *name;
    bool (*run)(const void *data, const cpu_run *r, ane_error *e);
    void (*describe)(const void *data, char *text, size_t size); /* shapes */
    cpu_work (*work)(const void *data);
} cpu_step_type;

typedef struct cpu_step {
    const cpu_step_type *type;
    const void *data;
} cpu_step;

typedef struct cpu_plan {
    ane_arena *arena; /* everything in the plan */
    ane_precision precision;
    bool copies_weights;             /* steps read staged copies, even where a copy is equal */
    const ane_packed_kernel *packed; /* what products run by; NULL: the library's */
    const cpu_pairs *pairs;          /* what attention in bf16 runs by; NULL: floats */
    int threads;
    const mil_function *f;
    int32_t n_storages, storage_capacity;
    cpu_storage *storages;
    int32_t n_nodes, node_capacity;
    cpu_node *nodes;
    int32_t n_steps;
    cpu_step *steps;
    int64_t scratch_bytes;
    int32_t *input_storage, *output_storage;
    int32_t n_weights;
    const ane_port *weights; /* all parameters of the program as given, needed or not */
    bool *staged;            /* per weight: a step reads its staged copy */
    int64_t *small_rows;     /* per weight: rows of its small copy, which a step can read; else 0 */
    bool *needs_small;       /* per weight: it must be there: a product with a vector reads nothing else */
    bool *gemm_output;       /* per output: one gemm alone writes it and nothing reads it */
} cpu_plan;

/* -- view.c: none of these allocates; those that return bool say whether a view can do it
 * -------------------------- */
cpu_view ane_cpu_view_packed(int32_t storage, const mil_type *type);
bool ane_cpu_view_reshape(const cpu_view *v, int rank, const int64_t *dim, cpu_view *out);
cpu_view ane_cpu_view_transpose(const cpu_view *v, const int32_t *perm);
cpu_view ane_cpu_view_slice(const cpu_view *v, int axis, int64_t begin, int64_t size, int64_t step);
cpu_view ane_cpu_view_broadcast(const cpu_view *v, int rank, const int64_t *dim);
bool ane_cpu_view_equal(
    const cpu_view *a, const cpu_view *b); /* strides of dimensions of size 1 do not count */
bool ane_cpu_view_is_packed(const cpu_view *v);
int64_t ane_cpu_view_count(const cpu_view *v);
/* "[12, 64, 256]" */
const char *ane_cpu_view_print(const cpu_view *v, char *text, size_t size);

/* -- plan.c
 * ----------------------------------------------------------------------------------------------------------
 */
/* Compile f, whose program must outlive the plan. */
bool ane_cpu_plan_build(cpu_plan *plan, const mil_function *f, ane_error *e);
int32_t ane_cpu_plan_storage(cpu_plan *plan, cpu_place place, cpu_kind kind, int32_t index, int64_t count);
cpu_node *ane_cpu_plan_node(cpu_plan *plan, cpu_node_type type, int n_in, int n_out);
cpu_kind ane_cpu_kind_of(mil_dtype dtype);

/* -- lower*.c: operations -> nodes
 * ------------------------------------------------------------------------------------ */
typedef struct cpu_lower {
    cpu_plan *plan;
    const mil_function *f;
    cpu_view *views;   /* per mil_value; rank -1 while there is none */
    cpu_view *targets; /* per mil_value: where it must be written; rank -1 when anywhere */
    ane_error *e;
} cpu_lower;

/* Lower one operation; false without a report when it has no nodes of its own and the fallback must take it.
 */
typedef bool cpu_lower_fn(cpu_lower *l, const mil_operation *op);
cpu_lower_fn ane_cpu_lower_conv, ane_cpu_lower_matmul, ane_cpu_lower_linear, ane_cpu_lower_softmax,
    ane_cpu_lower_reduce, ane_cpu_lower_gather, ane_cpu_lower_alias, ane_cpu_lower_reshape,
    ane_cpu_lower_transpose, ane_cpu_lower_slice, ane_cpu_lower_concat, ane_cpu_lower_split,
    ane_cpu_lower_tile, ane_cpu_lower_map, ane_cpu_lower_cast, ane_cpu_lower_select, ane_cpu_lower_pow,
    ane_cpu_lower_gelu, ane_cpu_lower_attention, ane_cpu_lower_layer_norm, ane_cpu_lower_causal_attention,
    ane_cpu_lower_causal_attention_gradient, ane_cpu_lower_cached_attention, ane_cpu_lower_quantize;
bool ane_cpu_lower(cpu_plan *plan, ane_error *e);
/* An input that is read as it is bound, in bf16: attention behind a cache does so (lower_cached.c). */
bool ane_cpu_is_raw_cache(const cpu_plan *plan, const mil_function *f, mil_value input);
/* Where to write value v: its target, or a packed storage of its own. */
cpu_view ane_cpu_destination(cpu_lower *l, mil_value v);
/* The view of an argument; a constant is loaded when first asked for. */
const cpu_view *ane_cpu_operand(cpu_lower *l, mil_value v);
/* A packed copy of `v`, as a node. */
cpu_view ane_cpu_packed_copy(cpu_lower *l, const cpu_view *v);
cpu_view ane_cpu_temporary(cpu_lower *l, cpu_kind kind, int rank, const int64_t *dim);
void ane_cpu_move(cpu_lower *l, const cpu_view *from, const cpu_view *to);
void ane_cpu_emit_softmax(cpu_lower *l, const cpu_view *in, const cpu_view *out, int axis, bool round);
/* Products take operands in bf16. */
static inline bool ane_cpu_multiplies_bf16(const cpu_plan *plan) {
    return plan->precision == ANE_BF16 || plan->precision == ANE_INT8;
}
/* How weights are held where they are multiplied with one vector; F32: as they are. */
static inline ane_gemv_format ane_cpu_small_format(const cpu_plan *plan) {
    return plan->precision == ANE_BF16   ? ANE_GEMV_BF16
           : plan->precision == ANE_INT8 ? ANE_GEMV_INT8
                                         : ANE_GEMV_F32;
}
/* The storage of a weight's copy in the precision of the device. */
int32_t ane_cpu_staged_weight(cpu_lower *l, int32_t weight_storage);
void ane_cpu_emit_map(
    cpu_lower *l, cpu_map op, float p, bool round, int n, const cpu_view *in, const cpu_view *out);
/* Drop dimensions of size 1 from a map or reduction, so that equal iteration spaces look equal. */
void ane_cpu_squeeze_node(cpu_node *n);
bool ane_cpu_is_float_value(const cpu_lower *l, mil_value v); /* held as fp32 */
bool ane_cpu_rounds(const cpu_lower *l);                      /* results are rounded to fp16 */
bool ane_cpu_no_memory(cpu_lower *l);                         /* reports; false */
/* Where targets come from: concats and outputs (target.c). */
void ane_cpu_assign_targets(cpu_lower *l);

/* -- schedule.c, place.c: nodes -> steps in order, storages -> offsets
 * ------------------------------------------------ */
bool ane_cpu_schedule(cpu_plan *plan, ane_error *e);
bool ane_cpu_place_storages(cpu_plan *plan, ane_error *e);

/* -- steps
 * ----------------------------------------------------------------------------------------------------------------
 */
enum { CPU_BATCH_RANK = MIL_MAX_RANK - 2 };

/* The right operand of products, packed once for all that read it; in bf16 rounded as well. */
typedef struct cpu_pack {
    const ane_packed_kernel *kernel;
    int32_t in, out; /* storages */
    int64_t offset, stride, k_stride, n, k;
} cpu_pack;

typedef struct cpu_gemm {
    ane_gemm g;                      /* without addresses */
    const ane_packed_kernel *packed; /* b is packed for this kernel; NULL: all are as they lie */
    int32_t storage[3];
    int64_t offset[3];
    int32_t batch_rank;
    int64_t batch_dim[MIL_MAX_RANK], batch_stride[3][MIL_MAX_RANK];
    int64_t batch;
    bool vector;           /* n is 1, all of a lies row by row, b in one piece: cpu_gemvs */
    ane_gemv_format small; /* of a vector's: other than F32: a is a weight's small copy */
    int32_t small_storage; /* of a packed one's: the weight's small copy, read where it is there; else -1 */
    const cpu_pack *
        slabs; /* of a packed one: b lies as this tells, and is packed slab by slab into its room; else NULL */
    bool round;     /* C to fp16 afterwards */
    int32_t output; /* the output that it makes alone, or -1 */
} cpu_gemm;

/* Products of matrices with one and the same vector. */
enum { CPU_GEMVS = 4 };
typedef struct cpu_gemvs {
    int n;
    const cpu_gemm *product[CPU_GEMVS];
} cpu_gemvs;

/* Whether b is worth packing for g: what is read of it for every panel of rows is packed once. */
bool ane_cpu_is_packable(const cpu_plan *plan, const cpu_gemm *g);
/* The storage in which g's b lies packed: one that is there, or a new one; -1 (reported): out of memory. */
int32_t ane_cpu_packed_operand(cpu_lower *l, const cpu_gemm *g, const cpu_view *b);
/* Where one product alone reads a packed operand: if the library multiplies as fast, nothing is packed; else the product packs
 * it itself, slab by slab, when there are few threads or it is long. False: out of memory. */
bool ane_cpu_settle_lonely_packs(cpu_plan *plan);

typedef struct cpu_softmax {
    int32_t storage[2]; /* in, out */
    int64_t offset[2];
    int64_t n, step[2]; /* along the axis */
    int32_t rank;       /* of the other dimensions */
    int64_t dim[MIL_MAX_RANK], stride[2][MIL_MAX_RANK];
    bool by_rows; /* the axis is contiguous; else the last of the others is */
    bool round;
} cpu_softmax;

typedef struct cpu_gather {
    cpu_view in, indices, out;
    int64_t outer, inner, size, n_indices; /* in [outer, size, inner], out [outer, n_indices, inner] */
    int elem;                              /* bytes of an element */
    bool negative_wraps;                   /* up to iOS 16 negative indices count from the end */
} cpu_gather;

/* Floats to whole numbers (held as double), or back. Element i has place i / inner % size on the axis. */
typedef struct cpu_quantize {
    cpu_view in, out; /* packed */
    bool to_float, round;
    const double *scale, *zero_point; /* one for all, or for each place */
    bool one_scale, one_zero;
    int64_t inner, size;
    double low, high; /* of the whole numbers */
} cpu_quantize;

typedef struct cpu_convert {
    int32_t raw;   /* storage as bound, packed */
    cpu_view view; /* ours */
    mil_dtype dtype;
    int64_t count;
    bool to_raw, round;
} cpu_convert;

typedef struct cpu_move {
    cpu_view in, out; /* dimensions merged and ordered by out's strides */
    int elem;
} cpu_move;

typedef struct cpu_fallback {
    const mil_function *f;
    const mil_operation *op;
    int32_t n_in, n_out;
    const mil_value *values; /* of in[] */
    const cpu_view *in, *out;
    const cpu_kind *in_kind, *out_kind;
    mil_rounding rounding;
} cpu_fallback;

/* Bytes of a step's work that it does not read at these addresses: a product that finds a weight's small copy. */
double ane_cpu_gemm_spared(const cpu_step *step, void *const *base);

extern const cpu_step_type ane_cpu_gemm_step, ane_cpu_gemv_step, ane_cpu_pack_step, ane_cpu_softmax_step,
    ane_cpu_move_step, ane_cpu_gather_step, ane_cpu_quantize_step, ane_cpu_convert_step,
    ane_cpu_fallback_step, ane_cpu_chain_step, ane_cpu_attention_step, ane_cpu_attention_gradient_step,
    ane_cpu_cached_step;

/* A chain of maps, and reductions at its end, over one iteration space (chain_build.c). NULL: out of memory.
 */
const void *ane_cpu_chain_build(cpu_plan *plan, int n_members, const int32_t *members, const bool *stored);
bool ane_cpu_chain_fits(const cpu_plan *plan, int n_members, const int32_t *members);
/* Merge neighbouring dimensions that all views walk through as one, drop those of size 1; `dim` and the
 * strides are rewritten; returns the new rank (at least 1). */
int ane_cpu_collapse(int rank, int64_t *dim, int n_views, int64_t (*strides)[MIL_MAX_RANK]);
void ane_cpu_move_make(cpu_move *m, const cpu_view *in, const cpu_view *out, cpu_kind kind);
void ane_cpu_softmax_make(cpu_softmax *s, const cpu_view *in, const cpu_view *out, int axis, bool round);
/* Evaluate an operation whose arguments are all known now; out[] gets fresh arrays (free). */
bool ane_cpu_evaluate_constant(cpu_lower *l, const mil_operation *op, mil_array *out);

#endif
