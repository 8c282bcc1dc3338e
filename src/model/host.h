/* host.h - the parts of a training step that the host computes: embedding, loss, products of parameter
 * gradients. Results do not depend on the number of threads, matrix products apart. */
#ifndef ANEMONE_MODEL_HOST_H
#define ANEMONE_MODEL_HOST_H

#include "anemone/device.h"
#include "anemone/mil.h"

/* x[channels, columns]: column n is row tokens[n] of table[vocab, channels]. */
void ane_embedding_gather(
    float *x, const float *table, const int32_t *tokens, int64_t channels, int64_t columns, int threads);
/* Row tokens[n] of a table += column n of d[channels, columns]; d_table has its rows [first, first + rows), others are left out.
 * Returns by how much the sum of the table's squares grows. */
double ane_embedding_scatter(float *d_table, int64_t first, int64_t rows, const float *d,
    const int32_t *tokens, int64_t channels, int64_t columns, int threads);
void ane_zero(float *x, int64_t n, int threads);
/* in[rows, columns] -> out[columns, rows] */
void ane_transpose(float *out, const float *in, int64_t rows, int64_t columns, int threads);

/* Softmax and cross-entropy of every column of logits[vocab, columns] against targets[columns]; -1 is not
 * counted. column_loss[columns] receives each one's loss in nats, 0 where the target is -1. With `gradient`,
 * logits become scale * d(sum of the losses)/d(logits). */
void ane_cross_entropy(float *logits, int64_t vocab, int64_t columns, const int32_t *targets, float scale,
    bool gradient, double *column_loss, int threads);

/* A buffer's elements as fp32 for the host: mapped when they are, else converted through `staging`. NULL on
 * failure. Close with the same arguments. */
float *ane_floats_open(ane_buffer *b, ane_access access, float *staging, ane_error *e);
bool ane_floats_close(ane_buffer *b, ane_access access, float *staging, ane_error *e);

/* All elements of `from` into `to`: buffers of two devices, one of which holds fp32. */
bool ane_copy_floats(ane_buffer *to, ane_buffer *from, ane_error *e);
/* to = a + b; `b` holds fp32. `staging` as for ane_floats_open. */
bool ane_add_floats(ane_buffer *to, ane_buffer *a, ane_buffer *b, float *staging, int threads, ane_error *e);

/* How one parameter's gradient is formed from buffers. */
typedef struct ane_product {
    const mil_param_grad *how;
    ane_buffer *left, *right; /* of a product */
    ane_buffer *value;        /* otherwise: the gradient itself */
    float *gradient;          /* where it goes */
    const float *weight;      /* whose gradient it is */
    int64_t count;            /* numbers in it */
    bool continues;           /* the one before this is of the same weight */
    int threads;
    const struct ane_packed_kernel *kernel; /* NULL: the library's product */
    void *packed;         /* room for right, packed: ane_product_room bytes, aligned to 64 */
    bool right_is_packed; /* the product before this one has left it there */
    double *squares;      /* NULL, or where the sum of squares of the gradient goes: NaN when not known */
    double *blocks;       /* room for ane_product_blocks of them; NULL: it is not known */
} ane_product;
/* Whole, and, unless that is 0, so many rows of it at a time; the last may be fewer, and need more than those before. */
int64_t ane_product_room(const ane_product *p, int64_t rows);
int64_t ane_product_blocks(const ane_product *p);
/* gradient = the product, or with `add` gradient += the product. staging[2] as for ane_floats_open, each as large as the
 * largest operand that needs it. */
bool ane_product_form(const ane_product *p, bool add, float *const staging[2], ane_error *e);
/* The same of rows [first, first + rows) of the product alone; they begin where it would. Its sum of squares is not known then. */
bool ane_product_form_rows(
    const ane_product *p, int64_t first, int64_t rows, bool add, float *const staging[2], ane_error *e);
/* 2 operations per multiply-add. */
double ane_product_flops(const mil_param_grad *how);

#endif
