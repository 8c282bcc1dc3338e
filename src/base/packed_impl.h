/* packed_impl.h - the kernels behind packed.h, each in a file that is compiled for its instruction set. */
#ifndef ANEMONE_BASE_PACKED_IMPL_H
#define ANEMONE_BASE_PACKED_IMPL_H

#include "base/packed.h"

extern const ane_packed_kernel ane_packed_avx512, ane_packed_avx512bf16, ane_packed_amx;

#endif
