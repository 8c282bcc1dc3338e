/* The inner loops for any processor: the plain C that the other paths are tested against. */
#define VECTORS ane_cpu_vectors_baseline
#define VECTORS_NAME "baseline"
#include "device/cpu/vector.inc"
