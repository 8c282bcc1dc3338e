#include "cli/tensor.h"

#include "base/file.h"
#include "base/half.h"
#include "base/npy.h"
#include "mil/ops.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* "[2, 3]" */
static const char *print_shape(int rank, const int64_t *dim, char *text, size_t size) {
    size_t used = (size_t)snprintf(text, size, "[");
    for (int i = 0; i < rank && used < size; i++)
        used += (size_t)snprintf(text + used, size - used, "%s%lld", i ? ", " : "", (long long)dim[i]);
    if (used < size) snprintf(text + used, size - used, "]");
    return text;
}

static bool check_fits(const char *path, const ane_npy *a, const mil_type *type, ane_error *e) {
    char want[128], have[256];
    bool same = a->rank == type->rank && !memcmp(a->dim, type->dim, sizeof *a->dim * (size_t)a->rank);
    if (!same)
        return ane_fail(e, ANE_ERROR_SHAPE, path, "expected shape %s, found %s",
            print_shape(type->rank, type->dim, want, sizeof want),
            print_shape(a->rank, a->dim, have, sizeof have));
    if (a->kind == 'f' && !mil_dtype_is_float(type->dtype))
        return ane_fail(e, ANE_ERROR_TYPE, path, "expected %s, found %s", mil_dtype_name(type->dtype),
                   ane_npy_dtype_name(a)) ||
               ane_hint(e, "in Python: numpy.save(f, x.astype(numpy.int32))");
    return true;
}

bool cli_read_tensor(const char *path, const mil_type *type, void *data, ane_error *e) {
    ane_mapping m;
    ane_npy a;
    if (!ane_map_file(&m, path, e)) return false;
    bool ok = ane_npy_parse(&a, m.data, m.size, path, e) && check_fits(path, &a, type, e);
    for (int64_t i = 0; ok && i < a.count; i++) mil_constant_set(type, data, i, ane_npy_at(&a, i));
    ane_unmap_file(&m);
    return ok;
}

/* What NumPy calls a type of ours, and which of our types has its bytes. */
static ane_npy nearest_npy(const mil_type *type, mil_dtype *same) {
    int bits = mil_dtype_bits(type->dtype), bytes = bits <= 8 ? 1 : bits / 8;
    ane_npy a = {.item = bytes, .rank = type->rank, .count = mil_type_count(type)};
    memcpy(a.dim, type->dim, sizeof a.dim);
    *same = type->dtype;
    if (type->dtype == MIL_BF16) {
        a.item = 4;
        *same = MIL_FP32;
    }
    bool is_signed = type->dtype >= MIL_INT4 && type->dtype <= MIL_INT64;
    if (bits < 8) *same = is_signed ? MIL_INT8 : MIL_UINT8;
    a.kind = mil_dtype_is_float(type->dtype) ? 'f' : type->dtype == MIL_BOOL ? 'b' : is_signed ? 'i' : 'u';
    return a;
}

bool cli_write_tensor(const char *path, const mil_type *type, const void *data, ane_error *e) {
    mil_type out = *type;
    ane_npy a = nearest_npy(type, &out.dtype);
    void *bytes = calloc((size_t)a.count + 1, (size_t)a.item);
    if (!bytes) return ane_fail(e, ANE_ERROR_MEMORY, path, "out of memory");
    for (int64_t i = 0; i < a.count; i++) mil_constant_set(&out, bytes, i, mil_constant_at(type, data, i));
    a.data = bytes;
    bool ok = ane_npy_write(path, &a, e);
    free(bytes);
    return ok;
}

void cli_print_tensor(const char *name, const mil_type *type, const void *data) {
    char text[160];
    int64_t n = mil_type_count(type), bad = 0;
    double low = INFINITY, high = -INFINITY, sum = 0;
    for (int64_t i = 0; i < n; i++) {
        double x = mil_constant_at(type, data, i);
        if (!isfinite(x)) {
            bad++;
            continue;
        }
        low = x < low ? x : low;
        high = x > high ? x : high;
        sum += x;
    }
    printf("%s  %s", name, mil_type_print(type, text, sizeof text));
    if (n > bad) printf("  from %.6g to %.6g, mean %.6g", low, high, sum / (double)(n - bad));
    if (bad) printf("  %lld NaN or infinite", (long long)bad);
    puts("");
}
