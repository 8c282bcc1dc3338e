#define BF16 0
#define KERNEL ane_packed_fp32_amx
#define K_CHUNK 384
#define K_ACROSS 192
#include "base/packed_tiles.inc"
