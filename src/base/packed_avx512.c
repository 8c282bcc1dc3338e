#define BF16 0
#define KERNEL ane_packed_avx512
#define NAME "avx512"
#define K_CHUNK 384
#include "base/packed_outer.inc"
