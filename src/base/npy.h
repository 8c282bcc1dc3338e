/* npy.h - NumPy's .npy files: one array each. */
#ifndef ANEMONE_BASE_NPY_H
#define ANEMONE_BASE_NPY_H

#include "anemone/error.h"

#include <stddef.h>
#include <stdint.h>

enum { ANE_NPY_MAX_RANK = 8 };

/* An array as its file says it; `data` points into the file's bytes and may be unaligned. */
typedef struct ane_npy {
    char kind; /* 'f' float, 'i' signed, 'u' unsigned, 'b' bool */
    int item;  /* bytes of an element: 1, 2, 4, 8 (f: from 2; b: 1) */
    int rank;
    int64_t dim[ANE_NPY_MAX_RANK];
    int64_t count; /* product of dim; may be 0 */
    bool fortran_order;
    const unsigned char *data; /* little-endian, count * item bytes */
} ane_npy;

/* Read the array that `size` bytes hold (versions 1 to 3 of the format); `name` is used in messages. */
bool ane_npy_parse(ane_npy *a, const void *bytes, size_t size, const char *name, ane_error *e);
/* Element `index`, counted row by row whatever the file's order is. Integers beyond 2^53 are rounded. */
double ane_npy_at(const ane_npy *a, int64_t index);
/* "float32" */
const char *ane_npy_dtype_name(const ane_npy *a);

/* Write a row-major array; kind, item, rank and dim of `a` count, its data is row-major. */
bool ane_npy_write(const char *path, const ane_npy *a, ane_error *e);

#endif
