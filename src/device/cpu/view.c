/* Views: how a value lies in its storage. */
#include "device/cpu/plan.h"

#include <stdio.h>

cpu_view ane_cpu_view_packed(int32_t storage, const mil_type *type) {
    cpu_view v = {.storage = storage, .rank = type->rank};
    int64_t stride = 1;
    for (int i = type->rank - 1; i >= 0; i--) {
        v.dim[i] = type->dim[i];
        v.stride[i] = stride;
        stride *= type->dim[i];
    }
    return v;
}

int64_t ane_cpu_view_count(const cpu_view *v) {
    int64_t n = 1;
    for (int i = 0; i < v->rank; i++) n *= v->dim[i];
    return n;
}

bool ane_cpu_view_is_packed(const cpu_view *v) {
    int64_t stride = 1;
    for (int i = v->rank - 1; i >= 0; i--) {
        if (v->dim[i] != 1 && v->stride[i] != stride) return false;
        stride *= v->dim[i];
    }
    return true;
}

/* Match runs of old dimensions with runs of new ones of the same size; inside each run of old ones memory
 * must be evenly spaced. */
bool ane_cpu_view_reshape(const cpu_view *v, int rank, const int64_t *dim, cpu_view *out) {
    cpu_view old = {.rank = 0}, made = {.storage = v->storage, .rank = rank, .offset = v->offset};
    for (int i = 0; i < v->rank; i++)
        if (v->dim[i] != 1) {
            old.dim[old.rank] = v->dim[i];
            old.stride[old.rank++] = v->stride[i];
        }
    for (int i = 0; i < rank; i++) made.dim[i] = dim[i];
    int i = 0, j = 0;
    while (i < old.rank) {
        while (j < rank && dim[j] == 1) made.stride[j++] = 0;
        int i_end = i + 1, j_end = j + 1;
        int64_t a = old.dim[i], b = j < rank ? dim[j] : 0;
        if (b == 0) return false;
        while (a != b) {
            if (a < b) {
                if (i_end >= old.rank || old.stride[i_end - 1] != old.stride[i_end] * old.dim[i_end])
                    return false;
                a *= old.dim[i_end++];
            } else {
                if (j_end >= rank) return false;
                b *= dim[j_end++];
            }
        }
        int64_t stride = old.stride[i_end - 1];
        for (int k = j_end - 1; k >= j; k--) {
            made.stride[k] = stride;
            stride *= dim[k];
        }
        i = i_end;
        j = j_end;
    }
    for (; j < rank; j++) {
        if (dim[j] != 1) return false;
        made.stride[j] = 0;
    }
    *out = made;
    return true;
}

cpu_view ane_cpu_view_transpose(const cpu_view *v, const int32_t *perm) {
    cpu_view t = *v;
    for (int i = 0; i < v->rank; i++) {
        t.dim[i] = v->dim[perm[i]];
        t.stride[i] = v->stride[perm[i]];
    }
    return t;
}

cpu_view ane_cpu_view_slice(const cpu_view *v, int axis, int64_t begin, int64_t size, int64_t step) {
    cpu_view s = *v;
    s.offset += begin * v->stride[axis];
    s.dim[axis] = size;
    s.stride[axis] *= step;
    return s;
}

cpu_view ane_cpu_view_broadcast(const cpu_view *v, int rank, const int64_t *dim) {
    cpu_view b = {.storage = v->storage, .rank = rank, .offset = v->offset};
    for (int i = 0; i < rank; i++) {
        int from = i - (rank - v->rank);
        b.dim[i] = dim[i];
        b.stride[i] = from < 0 || v->dim[from] == 1 ? 0 : v->stride[from];
    }
    return b;
}

bool ane_cpu_view_equal(const cpu_view *a, const cpu_view *b) {
    if (a->storage != b->storage || a->offset != b->offset || a->rank != b->rank) return false;
    for (int i = 0; i < a->rank; i++) {
        if (a->dim[i] != b->dim[i]) return false;
        if (a->dim[i] != 1 && a->stride[i] != b->stride[i]) return false;
    }
    return true;
}

const char *ane_cpu_view_print(const cpu_view *v, char *text, size_t size) {
    size_t n = (size_t)snprintf(text, size, "[");
    for (int i = 0; i < v->rank && n < size; i++)
        n += (size_t)snprintf(text + n, size - n, "%s%lld", i ? ", " : "", (long long)v->dim[i]);
    if (n < size) snprintf(text + n, size - n, "]");
    return text;
}

static bool mergeable(int i, const int64_t *dim, int n_views, int64_t (*strides)[MIL_MAX_RANK]) {
    for (int v = 0; v < n_views; v++)
        if (strides[v][i] != strides[v][i + 1] * dim[i + 1]) return false;
    return true;
}

static void drop(int i, int rank, int64_t *dim, int n_views, int64_t (*strides)[MIL_MAX_RANK]) {
    for (int k = i; k + 1 < rank; k++) {
        dim[k] = dim[k + 1];
        for (int v = 0; v < n_views; v++) strides[v][k] = strides[v][k + 1];
    }
}

int ane_cpu_collapse(int rank, int64_t *dim, int n_views, int64_t (*strides)[MIL_MAX_RANK]) {
    for (int i = rank - 1; i >= 0; i--)
        if (dim[i] == 1) drop(i, rank--, dim, n_views, strides);
    for (int i = rank - 2; i >= 0; i--)
        if (mergeable(i, dim, n_views, strides)) {
            dim[i + 1] *= dim[i];
            drop(i, rank--, dim, n_views, strides);
        }
    if (rank == 0) {
        dim[0] = 1;
        for (int v = 0; v < n_views; v++) strides[v][0] = 1;
        rank = 1;
    }
    return rank;
}
