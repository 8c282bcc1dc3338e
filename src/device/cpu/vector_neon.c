/* The inner loops for 64-bit ARM, whose NEON instructions include fused multiply-add. */
#include <arm_neon.h>

#define FMA(a, b, c) __builtin_fmaf(a, b, c)
#define REG float32x4_t
#define REG_LANES 4
#define REG_PANEL 4
#define REG_LOAD(p) vld1q_f32(p)
#define REG_STORE(p, x) vst1q_f32(p, x)
#define REG_ALL(x) vdupq_n_f32(x)
#define REG_ZERO vdupq_n_f32(0)
#define REG_FMA(a, b, c) vfmaq_f32(c, a, b)
#define VECTORS ane_cpu_vectors_neon
#define VECTORS_NAME "neon"
#include "device/cpu/vector.inc"
