/* Products: conv, matmul, linear, attention. Each result element is one sum in double, rounded once. */
#include "mil/eval.h"
#include "mil/op_functions.h"
#include "mil/shape.h"

#include <math.h>
#include <stdlib.h>

/* ---- convolution --------------------------------------------------------------------------------------- */

/* Where the weight's element `k` of output place `row` reads along a spatial axis; -1 in the padding. */
static int64_t source(const mil_conv_geometry *s, int axis, int64_t row, int64_t k) {
    int64_t at = row * s->stride[axis] + k * s->dilation[axis] - s->pad_before[axis];
    return at < s->in[axis] ? at : -1;
}

/* One output element: the sum over the group's input channels and the kernel places inside the image. */
static double conv_at(const mil_conv_geometry *s, const double *x, const double *w, const int64_t *at) {
    int64_t channels = s->in_channels / s->groups, o = at[1];
    int64_t first = at[0] * s->in_channels + o / (s->out_channels / s->groups) * channels;
    double sum = 0;
    for (int64_t i = 0; i < channels; i++)
        for (int64_t kd = 0; kd < s->kernel[0]; kd++)
            for (int64_t kh = 0; kh < s->kernel[1]; kh++)
                for (int64_t kw = 0; kw < s->kernel[2]; kw++) {
                    double weight =
                        w[(((o * channels + i) * s->kernel[0] + kd) * s->kernel[1] + kh) * s->kernel[2] + kw];
                    int64_t d = source(s, 0, at[2], kd), h = source(s, 1, at[3], kh),
                            v = source(s, 2, at[4], kw);
                    if (d < 0 || h < 0 || v < 0) continue;
                    sum += weight * x[(((first + i) * s->in[0] + d) * s->in[1] + h) * s->in[2] + v];
                }
    return sum;
}

/* 1-d and 2-d as 3-d: missing axes in front have one element. */
static mil_conv_geometry with_three_axes(mil_conv_geometry s) {
    mil_conv_geometry t = s;
    for (int i = 0; i < 3; i++) {
        int from = i - (3 - s.n_spatial);
        t.in[i] = from < 0 ? 1 : s.in[from];
        t.out[i] = from < 0 ? 1 : s.out[from];
        t.kernel[i] = from < 0 ? 1 : s.kernel[from];
        t.stride[i] = from < 0 ? 1 : s.stride[from];
        t.dilation[i] = from < 0 ? 1 : s.dilation[from];
        t.pad_before[i] = from < 0 ? 0 : s.pad_before[from];
    }
    return t;
}

bool mil_eval_conv(const mil_eval_context *c, mil_array *out, ane_error *e) {
    const mil_array *x = mil_eval_arg(c, "x"), *w = mil_eval_arg(c, "weight"),
                    *bias = mil_eval_arg(c, "bias");
    mil_conv_geometry s;
    if (!mil_conv_resolve(c->f, c->op, &s, e) || !mil_eval_result(c, 0, out, e)) return false;
    s = with_three_axes(s);
    mil_type shape =
        mil_tensor(out->type.dtype, 5, (int64_t[]){s.batch, s.out_channels, s.out[0], s.out[1], s.out[2]});
    int64_t n = mil_type_count(&shape), at[MIL_MAX_RANK];
    for (int64_t i = 0; i < n; i++) {
        mil_unravel(&shape, i, at);
        out->data[i] = conv_at(&s, x->data, w->data, at) + (bias ? bias->data[at[1]] : 0);
    }
    mil_eval_keep_all(c, out);
    return true;
}

/* ---- matrix products ----------------------------------------------------------------------------------- */

/* An operand seen as a batch of matrices: leading dimensions, then rows and columns with their strides. */
typedef struct matrix {
    mil_type batch;
    int64_t rows, columns, row_stride, column_stride;
    const double *data;
} matrix;

static matrix matrix_of(const mil_array *a, bool transpose) {
    const mil_type *t = &a->type;
    int64_t rows = t->dim[t->rank - 2], columns = t->dim[t->rank - 1];
    matrix m = {.batch = mil_tensor(t->dtype, t->rank - 2, t->dim), .data = a->data};
    m.rows = transpose ? columns : rows;
    m.columns = transpose ? rows : columns;
    m.row_stride = transpose ? 1 : columns;
    m.column_stride = transpose ? columns : 1;
    return m;
}

/* z[rows, columns] = x * y for one pair of matrices. */
static void multiply(const matrix *x, const matrix *y, const double *xd, const double *yd, double *z) {
    for (int64_t i = 0; i < x->rows; i++)
        for (int64_t j = 0; j < y->columns; j++) {
            double sum = 0;
            for (int64_t k = 0; k < x->columns; k++)
                sum += xd[i * x->row_stride + k * x->column_stride] *
                       yd[k * y->row_stride + j * y->column_stride];
            *z++ = sum;
        }
}

bool mil_eval_matmul(const mil_eval_context *c, mil_array *out, ane_error *e) {
    matrix x = matrix_of(mil_eval_arg(c, "x"), mil_arg_bool(c->f, c->op, "transpose_x", false));
    matrix y = matrix_of(mil_eval_arg(c, "y"), mil_arg_bool(c->f, c->op, "transpose_y", false));
    mil_type batch;
    if (!mil_broadcast(&x.batch, &y.batch, &batch, e) || !mil_eval_result(c, 0, out, e)) return false;
    int64_t n = mil_type_count(&batch), index[MIL_MAX_RANK];
    for (int64_t b = 0; b < n; b++) {
        mil_unravel(&batch, b, index);
        multiply(&x, &y, x.data + mil_ravel(&x.batch, index, batch.rank) * x.rows * x.columns,
            y.data + mil_ravel(&y.batch, index, batch.rank) * y.rows * y.columns,
            out->data + b * x.rows * y.columns);
    }
    mil_eval_keep_all(c, out);
    return true;
}

bool mil_eval_linear(const mil_eval_context *c, mil_array *out, ane_error *e) {
    const mil_array *x = mil_eval_arg(c, "x"), *w = mil_eval_arg(c, "weight"),
                    *bias = mil_eval_arg(c, "bias");
    if (!mil_eval_result(c, 0, out, e)) return false;
    int64_t n_out = w->type.dim[0], n_in = w->type.dim[1], rows = mil_type_count(&x->type) / n_in;
    for (int64_t r = 0; r < rows; r++)
        for (int64_t o = 0; o < n_out; o++) {
            double sum = bias ? bias->data[o] : 0;
            for (int64_t i = 0; i < n_in; i++) sum += x->data[r * n_in + i] * w->data[o * n_in + i];
            out->data[r * n_out + o] = sum;
        }
    mil_eval_keep_all(c, out);
    return true;
}

/* ---- attention ----------------------------------------------------------------------------------------- */

/* What Apple's compiler adds to a score that a bool mask leaves out. */
static const double left_out = -3e4;

/* scores[S] = q . k_s / sqrt(E) + mask, then softmax in place. `at` is the index of the query row: [batch..,
 * l, 0]. */
static void attention_row(const mil_array *mask, const double *q, const double *k, int64_t size, int64_t keys,
    int64_t *at, int rank, double *scores) {
    double highest = -INFINITY, total = 0;
    for (int64_t s = 0; s < keys; s++) {
        double sum = 0;
        for (int64_t i = 0; i < size; i++) sum += q[i] * k[s * size + i];
        scores[s] = sum / sqrt((double)size);
        at[rank - 1] = s;
        if (mask) {
            double m = mask->data[mil_ravel(&mask->type, at, rank)];
            scores[s] += mask->type.dtype == MIL_BOOL ? (m != 0 ? 0 : left_out) : m;
        }
        highest = fmax(highest, scores[s]);
    }
    for (int64_t s = 0; s < keys; s++) total += scores[s] = exp(scores[s] - highest);
    for (int64_t s = 0; s < keys; s++) scores[s] /= total;
}

/* One operation, so one rounding: softmax(query key^T / sqrt(E) + mask) value. */
bool mil_eval_attention(const mil_eval_context *c, mil_array *out, ane_error *e) {
    const mil_array *query = mil_eval_arg(c, "query"), *key = mil_eval_arg(c, "key"),
                    *value = mil_eval_arg(c, "value"), *mask = mil_eval_arg(c, "attn_mask");
    int rank = query->type.rank;
    int64_t size = query->type.dim[rank - 1], length = query->type.dim[rank - 2],
            keys = key->type.dim[rank - 2], width = value->type.dim[rank - 1],
            rows = mil_type_count(&query->type) / size, at[MIL_MAX_RANK];
    double *scores = calloc((size_t)keys, sizeof *scores);
    if (!scores) return ane_fail(e, ANE_ERROR_MEMORY, NULL, "no memory for %lld scores", (long long)keys);
    bool ok = mil_eval_result(c, 0, out, e);
    for (int64_t row = 0; ok && row < rows; row++) {
        int64_t head = row / length;
        mil_unravel(&query->type, row * size, at);
        attention_row(
            mask, query->data + row * size, key->data + head * keys * size, size, keys, at, rank, scores);
        for (int64_t j = 0; j < width; j++) {
            double sum = 0;
            for (int64_t s = 0; s < keys; s++) sum += scores[s] * value->data[(head * keys + s) * width + j];
            out->data[row * width + j] = sum;
        }
    }
    free(scores);
    if (ok) mil_eval_keep_all(c, out);
    return ok;
}
