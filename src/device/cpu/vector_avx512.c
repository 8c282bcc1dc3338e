/* The inner loops for AVX-512. */
#include <immintrin.h>
#include <stdint.h>

#define FMA(a, b, c) __builtin_fmaf(a, b, c)
#define REG __m512
#define REG_LANES 16
#define REG_PANEL 4
#define REG_LOAD(p) _mm512_loadu_ps(p)
#define REG_STORE(p, x) _mm512_storeu_ps(p, x)
#define REG_STREAM(p, x) _mm512_stream_ps(p, x)
#define REG_ALL(x) _mm512_set1_ps(x)
#define REG_ZERO _mm512_setzero_ps()
#define REG_FMA(a, b, c) _mm512_fmadd_ps(a, b, c)

/* Columns of 2, 4, 8, 16 rows come together in turn. */
static inline void transpose_patch(float *d, int64_t ldd, const float *x, int64_t ldx) {
    __m512 r[16], t[16];
    for (int i = 0; i < 16; i++) r[i] = _mm512_loadu_ps(x + i * ldx);
    for (int i = 0; i < 16; i += 2) {
        t[i] = _mm512_unpacklo_ps(r[i], r[i + 1]);
        t[i + 1] = _mm512_unpackhi_ps(r[i], r[i + 1]);
    }
    for (int i = 0; i < 16; i += 4)
        for (int k = 0; k < 2; k++) {
            __m512d a = _mm512_castps_pd(t[i + k]), b = _mm512_castps_pd(t[i + k + 2]);
            r[i + 2 * k] = _mm512_castpd_ps(_mm512_unpacklo_pd(a, b));
            r[i + 2 * k + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(a, b));
        }
    for (int c = 0; c < 4; c++) { /* column 4 l + c in lane l of r[c], r[4 + c], r[8 + c], r[12 + c] */
        __m512 even[2], odd[2];
        for (int k = 0; k < 2; k++) {
            even[k] = _mm512_shuffle_f32x4(r[8 * k + c], r[8 * k + 4 + c], 0x88);
            odd[k] = _mm512_shuffle_f32x4(r[8 * k + c], r[8 * k + 4 + c], 0xdd);
        }
        _mm512_storeu_ps(d + c * ldd, _mm512_shuffle_f32x4(even[0], even[1], 0x88));
        _mm512_storeu_ps(d + (4 + c) * ldd, _mm512_shuffle_f32x4(odd[0], odd[1], 0x88));
        _mm512_storeu_ps(d + (8 + c) * ldd, _mm512_shuffle_f32x4(even[0], even[1], 0xdd));
        _mm512_storeu_ps(d + (12 + c) * ldd, _mm512_shuffle_f32x4(odd[0], odd[1], 0xdd));
    }
}

#define TRANSPOSE_PATCH transpose_patch
#define VECTORS ane_cpu_vectors_avx512
#define VECTORS_NAME "avx512"
#include "device/cpu/vector.inc"
