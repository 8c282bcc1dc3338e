#define BF16 1
#define KERNEL ane_packed_amx
#define K_CHUNK 384
#define K_ACROSS 384
#include "base/packed_tiles.inc"
