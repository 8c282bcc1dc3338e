/* lower.h - a program made into what the Neural Engine takes, and where its tensors went.
 *
 * A lowered program has no parameters and few ports: each port is rows of equal width, and *pieces* say in which rows
 * of which port an input, a weight or an output of the original lies. A guard, one row in and one row out, is added:
 *
 *     guard_out = guard_in + 1
 *
 * so that whoever runs the program can tell an evaluation from none: what comes out depends on what went in just now.
 */
#ifndef ANEMONE_MIL_LOWER_H
#define ANEMONE_MIL_LOWER_H

#include "anemone/mil.h"

typedef enum mil_weight_mode {
    MIL_WEIGHTS_PACKED, /* rows behind the activations in the one input */
    MIL_WEIGHTS_INPUT, /* an input of its own for each; with pack_inputs, few inputs of about one size hold them */
    MIL_WEIGHTS_BAKED, /* constants in blob files: new weights need a new compilation */
} mil_weight_mode;

typedef struct mil_lower_options {
    mil_weight_mode weights;
    mil_dialect dialect;
    bool pack_inputs, pack_outputs; /* else each tensor has a port of its own */
    int64_t max_dim;                /* largest dimension */
    int64_t matmul_inner; /* inner dimensions of products are padded to multiples of this; 0, 1: not */
    const char *identity; /* told apart by this from equal programs of others; NULL: not */
} mil_lower_options;

typedef enum mil_piece_kind {
    MIL_PIECE_INPUT,
    MIL_PIECE_OUTPUT,
    MIL_PIECE_WEIGHT, /* in an input port, or baked */
    MIL_PIECE_GUARD_IN,
    MIL_PIECE_GUARD_OUT,
} mil_piece_kind;

/* The elements of a tensor in order are the first `width` of each of `rows` rows, from row `row` of the port on. */
typedef struct mil_piece {
    mil_piece_kind kind;
    const char *name; /* in the original */
    mil_type type;    /* there; in the port it is fp16 */
    int32_t port;     /* among the lowered inputs (outputs); MIL_NONE: baked */
    const char *port_name;
    int64_t row, rows, width;
} mil_piece;

typedef struct mil_port {
    const char *name;
    mil_type type; /* fp16 */
    int64_t rows, width;
} mil_port;

/* A constant that lies in a blob file of its own, at offset 64: what a compiler must be given. */
typedef struct mil_baked {
    const char *path;  /* "@model_path/weights/w0.bin" */
    const char *param; /* the original parameter; NULL: a constant */
    mil_type type;     /* as baked */
    bool transposed;   /* the parameter, seen as [rows, columns], is stored as [columns, rows] */
    int64_t rows, columns;
    const void *data; /* of a constant */
} mil_baked;

typedef struct mil_lowering {
    mil_program *program;
    mil_function *f;
    mil_lower_options options;
    int32_t n_pieces, n_baked, n_paths, piece_capacity, baked_capacity;
    mil_piece *pieces; /* inputs, outputs and weights in the original's order, then the guard's two */
    mil_baked *baked;
    int32_t n_inputs, n_outputs;
    mil_port *inputs, *outputs;
} mil_lowering;

/* Lower a copy of `f`. NULL on failure. */
mil_lowering *mil_lower(
    const mil_program *p, const mil_function *f, const mil_lower_options *options, ane_error *e);
void mil_lowering_free(mil_lowering *l);
/* The guard's pieces hold this many elements. */
enum { MIL_GUARD_WIDTH = 32 };

/* ---- the passes, in the order in which mil_lower runs them -------------------------------------------------------- */

bool mil_pass_guard(mil_lowering *l, ane_error *e);          /* guard.c */
bool mil_pass_lower_dtype(mil_lowering *l, ane_error *e);    /* lower_dtype.c: everything fp16 */
bool mil_pass_lower_tile(mil_lowering *l, ane_error *e);     /* lower_tile.c: tile by broadcasting */
bool mil_pass_bind_weights(mil_lowering *l, ane_error *e);   /* bind_weights.c: no parameters left */
bool mil_pass_pad_inner(mil_lowering *l, ane_error *e);      /* pad_inner.c: inner dimensions of matmul */
bool mil_pass_pack_inputs(mil_lowering *l, ane_error *e);    /* pack_inputs.c: one input, or rows */
bool mil_pass_pack_outputs(mil_lowering *l, ane_error *e);   /* pack_outputs.c: one output, or rows */
bool mil_pass_blob_constants(mil_lowering *l, ane_error *e); /* blob_constants.c: tables to files */
bool mil_pass_order_io(
    mil_lowering *l, ane_error *e); /* order_io.c: names and order that no rule can mix up */

/* ---- what they share ---------------------------------------------------------------------------------------------- */

mil_piece *mil_lowering_piece(
    mil_lowering *l, mil_piece_kind kind, const char *name); /* NULL when there is none */
bool mil_lowering_add_piece(
    mil_lowering *l, mil_piece_kind kind, const char *name, const mil_type *type, ane_error *e);
mil_baked *mil_lowering_add_baked(
    mil_lowering *l, const mil_type *type, ane_error *e); /* with a fresh path */

/* Where tensors of these counts go when they share rows of one width: fills row, rows and width of each. Returns the
 * width; 0 when it is not possible (reported). */
int64_t mil_pack_rows(
    mil_piece *const *pieces, int32_t n, int64_t max_dim, int64_t *total_rows, ane_error *e);
/* Where a tensor goes that has a port of its own. */
void mil_pack_alone(mil_piece *p);

#endif
