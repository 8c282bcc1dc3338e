/* grad.h - what the gradients of operations are written with.
 *
 * Derivation goes twice over the forward function from its end. The first time every forward value that a
 * gradient asks for becomes an input of backward, and is noted. Then the taps are chosen (grad_taps.c), and
 * the second time what is asked for is a tap, an input, a parameter, a constant, or computed again from
 * these.
 *
 * A derivative may have 1 where the value's dimension is larger: the same number stands for all of them. So
 * sums and means cost nothing on the way back. Element-wise operations see such derivatives; all others see
 * full ones.
 */
#ifndef ANEMONE_MIL_GRAD_H
#define ANEMONE_MIL_GRAD_H

#include "mil/ops.h"

/* The derivative by a slice of a value: `value` is the derivative by elements begin .. begin + size of an
 * axis. */
typedef struct mil_grad_part {
    mil_value value;
    int32_t axis;
    int64_t begin, size;
} mil_grad_part;

/* The derivative by one forward value so far. */
typedef struct mil_grad_sum {
    mil_value total; /* MIL_NONE: none yet */
    bool negative;   /* it is -total: a sign travels along until it meets a sum, where it costs nothing */
    int n_parts;
    mil_grad_part *parts; /* to be joined and added to total */
} mil_grad_sum;

/* One side of a product: a value whose memory is a matrix, in the forward or in the backward function. */
typedef struct mil_grad_operand {
    mil_value value;
    bool is_forward, transposed;
} mil_grad_operand;

/* left * right^T, to be the derivative by a parameter. */
typedef struct mil_grad_product {
    mil_value param;
    mil_grad_operand left, right;
    int64_t m, n, k;
} mil_grad_product;

typedef struct mil_grad_state {
    const mil_function *f; /* forward */
    mil_function *b;       /* backward */
    struct ane_arena *arena;
    bool products_in_program, recompute_attention;
    bool
        negate; /* the derivative by the result at hand is negative, so all that follows from it is: gradients are
                    linear in it */
    bool planned;     /* false: finding out what backward needs; true: `kept` says what it is given */
    bool *depends;    /* per forward value: depends on what is differentiated by */
    bool *leaf;       /* per forward value: an inner one that is differentiated by; nothing flows behind it */
    bool *is_output;  /* per forward value: an output of the original */
    bool *needed;     /* per forward value: a gradient asked for it */
    bool *kept;       /* per forward value: tap, or output that backward takes */
    mil_value *image; /* per forward value: what holds it in backward */
    mil_grad_sum *sums; /* per forward value */
    int n_products, product_capacity;
    mil_grad_product *products;
    ane_error error; /* the first error */
} mil_grad_state;

/* ---- for the gradients of operations ------------------------------------------------------------------- */

/* True when the derivative by `v` is wanted; ask before computing it. */
bool mil_grad_wants(const mil_grad_state *g, mil_value v);
/* Add a derivative of v's shape (or with 1s, see above) to that of forward value `v`. Ignored unless wanted.
 */
void mil_grad_add(mil_grad_state *g, mil_value v, mil_value derivative);
/* The same with the opposite sign. */
void mil_grad_subtract(mil_grad_state *g, mil_value v, mil_value derivative);
/* Add the derivative by elements begin, begin + 1, ... of `axis`, all of the other axes. */
void mil_grad_add_part(mil_grad_state *g, mil_value v, int32_t axis, int64_t begin, mil_value derivative);
/* Sum a derivative by a value of type z over the axes along which x was broadcast to z; the result suits x.
 */
mil_value mil_grad_unbroadcast(mil_grad_state *g, mil_value derivative, const mil_type *z, const mil_type *x);
/* Add to the derivative by `v`, seen as [m, k]: left[m, n] * right[k, n]^T. A row of the gradient's table
 * when v is a parameter (perhaps reshaped, transposed or cast), else a matmul in backward. */
void mil_grad_add_product(mil_grad_state *g, mil_value v, mil_grad_operand left, mil_grad_operand right,
    int64_t m, int64_t n, int64_t k);
/* True when `v`, with its last two axes as a matrix, is a parameter to mil_grad_add_product. */
bool mil_grad_is_param(const mil_grad_state *g, mil_value v);
/* The value of backward that holds forward value `v`. */
mil_value mil_grad_forward(mil_grad_state *g, mil_value v);

/* The derivative so far with its parts joined, of v's full shape if asked so; MIL_NONE when there is none. When
 * `negative` is given it says whether the derivative is minus that; else the sign is worked in. */
mil_value mil_grad_total(mil_grad_state *g, mil_value v, bool full, bool *negative);

/* ---- helpers around the builder ------------------------------------------------------------------------ */

/* Reshape to t's dimensions, unless it has them. */
mil_value mil_back_reshape(mil_grad_state *g, mil_value x, const mil_type *t);
/* Elements begin .. begin + size of one axis. */
mil_value mil_back_slice(mil_grad_state *g, mil_value x, int axis, int64_t begin, int64_t size);
/* Zeros in front of and behind one axis. */
mil_value mil_back_pad(mil_grad_state *g, mil_value x, int axis, int64_t before, int64_t after);
/* stride - 1 zeros between neighbours of one axis: size n becomes (n - 1) * stride + 1. */
mil_value mil_back_spread(mil_grad_state *g, mil_value x, int axis, int64_t stride);
/* A tensor of zeros. */
mil_value mil_back_zeros(mil_grad_state *g, const mil_type *t);
/* Report (the first is kept) that something has no gradient; returns false. */
bool mil_grad_none(mil_grad_state *g, const mil_operation *op, const char *why);

/* ---- the plan ------------------------------------------------------------------------------------------ */

/* Decide `kept` from `needed`: the least memory from which all that is needed can be computed again; by views
 * alone, or by element-wise operations too when `cheap`. */
bool mil_grad_choose_taps(mil_grad_state *g, bool cheap, ane_error *e);
/* v without the reshapes, expand_dims, squeezes, identities and transposes of empty dimensions that made it: the same
 * elements in the same order. */
mil_value mil_grad_same_memory(const mil_function *f, mil_value v);
/* True when v is an input, output or tap of forward: whoever runs the programs can find it by its name. */
bool mil_grad_is_port(const mil_grad_state *g, mil_value v);
/* True for inputs, parameters and constants: what backward has without being given a tap. */
bool mil_grad_is_root(const mil_function *f, mil_value v);

#endif
