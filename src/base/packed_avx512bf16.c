#define BF16 1
#define KERNEL ane_packed_avx512bf16
#define NAME "avx512bf16"
#define K_CHUNK 768
#include "base/packed_outer.inc"
