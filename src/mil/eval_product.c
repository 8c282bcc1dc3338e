/* Products: conv, matmul, linear, attention. Each result element is one sum in double, rounded once. */
#include "mil/eval.h"
#include "mil/op_functions.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- convolution
 * ------------------------------------------------------------------------------------------------ */

/* Read a list with one number per spatial axis (or `per_axis` of them) into height, width order. */
static bool spatial_ints(const mil_function *f, const mil_operation *op, const char *param, int n_spatial,
    int per_axis, int32_t otherwise, int32_t *out, ane_error *e) {
    int32_t given[4];
    int n = 0, offset = (2 - n_spatial) * per_axis;
    for (int i = 0; i < 2 * per_axis; i++) out[i] = i < offset && per_axis == 1 ? 1 : otherwise;
    if (mil_arg_value(op, param) == MIL_NONE) return true;
    if (!mil_arg_ints(f, op, param, 4, given, &n, e)) return false;
    if (n != n_spatial * per_axis)
        return ane_fail(
            e, ANE_ERROR_SHAPE, NULL, "%s must have %d elements, found %d", param, n_spatial * per_axis, n);
    memcpy(out + offset, given, sizeof *given * (size_t)n);
    return true;
}

/* Padding before the first element; what `same` needs in all is split evenly, the odd one after (before for
 * same_lower). */
static int64_t pad_before(const mil_conv_shape *s, int axis, const char *pad_type, const int32_t *pad) {
    if (strcmp(pad_type, "custom") == 0) return pad[2 * axis];
    if (strncmp(pad_type, "same", 4) != 0) return 0;
    int64_t reach = (s->out[axis] - 1) * s->stride[axis] + (s->kernel[axis] - 1) * s->dilation[axis] + 1;
    int64_t total = reach > s->in[axis] ? reach - s->in[axis] : 0;
    return strcmp(pad_type, "same_lower") == 0 ? (total + 1) / 2 : total / 2;
}

bool mil_conv_shape_of(const mil_function *f, const mil_operation *op, mil_conv_shape *s, ane_error *e) {
    const mil_type *x = mil_type_of(f, mil_arg_value(op, "x")),
                   *w = mil_type_of(f, mil_arg_value(op, "weight")), *y = mil_type_of(f, op->results[0]);
    int n = x->rank - 2; /* spatial axes */
    if (n < 1 || n > 2)
        return ane_fail(
            e, ANE_ERROR_UNSUPPORTED, NULL, "conv with %d spatial axes: only 1 and 2 are evaluated", n);
    int32_t stride[2], dilation[2], pad[4];
    if (!spatial_ints(f, op, "strides", n, 1, 1, stride, e) ||
        !spatial_ints(f, op, "dilations", n, 1, 1, dilation, e) ||
        !spatial_ints(f, op, "pad", n, 2, 0, pad, e))
        return false;
    *s = (mil_conv_shape){.batch = x->dim[0],
        .in_channels = x->dim[1],
        .out_channels = w->dim[0],
        .groups = mil_arg_int(f, op, "groups", 1)};
    const char *pad_type = mil_arg_string(f, op, "pad_type", "valid");
    for (int axis = 0; axis < 2; axis++) {
        int from = axis - (2 - n) + 2; /* where this axis is in the tensors; below 2 when it is not */
        s->in[axis] = from < 2 ? 1 : x->dim[from];
        s->out[axis] = from < 2 ? 1 : y->dim[from];
        s->kernel[axis] = from < 2 ? 1 : w->dim[from];
        s->stride[axis] = stride[axis];
        s->dilation[axis] = dilation[axis];
        s->pad[axis] = from < 2 ? 0 : pad_before(s, axis, pad_type, pad);
    }
    return true;
}

/* One output element: the sum over input channels of the group and kernel positions inside the image. */
static double conv_at(const mil_conv_shape *s, const double *x, const double *w, int64_t n, int64_t o,
    int64_t row, int64_t column) {
    int64_t ci = s->in_channels / s->groups, first = o / (s->out_channels / s->groups) * ci;
    double sum = 0;
    for (int64_t i = 0; i < ci; i++)
        for (int64_t kh = 0; kh < s->kernel[0]; kh++)
            for (int64_t kw = 0; kw < s->kernel[1]; kw++) {
                int64_t h = row * s->stride[0] + kh * s->dilation[0] - s->pad[0];
                int64_t v = column * s->stride[1] + kw * s->dilation[1] - s->pad[1];
                if (h < 0 || h >= s->in[0] || v < 0 || v >= s->in[1]) continue;
                sum += x[((n * s->in_channels + first + i) * s->in[0] + h) * s->in[1] + v] *
                       w[((o * ci + i) * s->kernel[0] + kh) * s->kernel[1] + kw];
            }
    return sum;
}

bool mil_eval_conv(const mil_eval_context *c, mil_array *out, ane_error *e) {
    const mil_array *x = mil_eval_arg(c, "x"), *w = mil_eval_arg(c, "weight"),
                    *bias = mil_eval_arg(c, "bias");
    mil_conv_shape s;
    if (!mil_conv_shape_of(c->f, c->op, &s, e) || !mil_eval_result(c, 0, out, e)) return false;
    double *y = out->data;
    for (int64_t n = 0; n < s.batch; n++)
        for (int64_t o = 0; o < s.out_channels; o++)
            for (int64_t row = 0; row < s.out[0]; row++)
                for (int64_t column = 0; column < s.out[1]; column++)
                    *y++ = conv_at(&s, x->data, w->data, n, o, row, column) + (bias ? bias->data[o] : 0);
    mil_eval_keep_all(c, out);
    return true;
}

/* ---- matrix products
 * --------------------------------------------------------------------------------------------- */

/* An operand seen as a batch of matrices: leading dimensions, then rows and columns with their strides. A
 * vector is one row on the left and one column on the right. */
typedef struct matrix {
    mil_type batch;
    int64_t rows, columns, row_stride, column_stride;
    const double *data;
} matrix;

static matrix matrix_of(const mil_array *a, bool transpose, bool is_left) {
    const mil_type *t = &a->type;
    matrix m = {.data = a->data, .batch = {t->dtype, t->rank > 2 ? t->rank - 2 : 0, {0}}};
    memcpy(m.batch.dim, t->dim, sizeof *t->dim * (size_t)m.batch.rank);
    int64_t n = t->rank > 0 ? t->dim[t->rank - 1] : 1;
    if (t->rank < 2) {
        m.rows = is_left ? 1 : n;
        m.columns = is_left ? n : 1;
        m.row_stride = is_left ? n : 1;
        m.column_stride = 1;
        return m;
    }
    int64_t rows = t->dim[t->rank - 2];
    m.rows = transpose ? n : rows;
    m.columns = transpose ? rows : n;
    m.row_stride = transpose ? 1 : n;
    m.column_stride = transpose ? n : 1;
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
    matrix x = matrix_of(mil_eval_arg(c, "x"), mil_arg_bool(c->f, c->op, "transpose_x", false), true);
    matrix y = matrix_of(mil_eval_arg(c, "y"), mil_arg_bool(c->f, c->op, "transpose_y", false), false);
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
            double sum = bias ? bias->data[bias->type.rank ? o : 0] : 0;
            for (int64_t i = 0; i < n_in; i++) sum += x->data[r * n_in + i] * w->data[o * n_in + i];
            out->data[r * n_out + o] = sum;
        }
    mil_eval_keep_all(c, out);
    return true;
}

/* ---- attention
 * ------------------------------------------------------------------------------------------------------ */

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
