/* tensor.h - tensors of programs in NumPy files. */
#ifndef ANEMONE_CLI_TENSOR_H
#define ANEMONE_CLI_TENSOR_H

#include "anemone/mil.h"

/* Fill `data`, of mil_type_bytes(type), from a .npy file of the same shape. Numbers are converted to the
 * type's elements; floats are not squeezed into integers. */
bool cli_read_tensor(const char *path, const mil_type *type, void *data, ane_error *e);
/* Write it as the nearest type that NumPy has: bf16 becomes float32, sub-byte integers int8 or uint8. */
bool cli_write_tensor(const char *path, const mil_type *type, const void *data, ane_error *e);
/* "y  tensor<fp32, [2, 3]>  from -1.2 to 3.4, mean 0.1" on stdout */
void cli_print_tensor(const char *name, const mil_type *type, const void *data);

#endif
