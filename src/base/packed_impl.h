/* packed_impl.h - the kernels behind packed.h, each in a file that is compiled for its instruction set. */
#ifndef ANEMONE_BASE_PACKED_IMPL_H
#define ANEMONE_BASE_PACKED_IMPL_H

#include "base/packed.h"

/* A panel of A, k_chunk long, of any kernel. */
enum { ANE_PACKED_A_BYTES = 48 << 10 };

extern const ane_packed_kernel ane_packed_avx512, ane_packed_avx512bf16, ane_packed_amx;

#endif
