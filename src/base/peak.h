/* peak.h - how fast this processor can multiply and add: what utilisation is measured against. */
#ifndef ANEMONE_BASE_PEAK_H
#define ANEMONE_BASE_PEAK_H

#include <stdbool.h>
#include <stdint.h>

/* fp32 operations a second (2 per multiply-add) that `threads` threads reach together when everything is in
 * registers; the best of a few bursts, about 50 ms in all. */
double ane_peak_flops(int threads);
/* The same of one thread by the time that it had the processor: no lower when others are busy. */
double ane_peak_undisturbed_flops(void);
/* The same for products of bf16 numbers added up in fp32, by dot products in vectors; where there are none, by fp32's. */
double ane_peak_bf16_flops(int threads);
/* The same by matrix tiles (AMX); 0 where there are none. */
double ane_peak_tile_flops(int threads);
/* The best of these for products of bf16, or of fp32 numbers: by tiles an fp32 one takes six of bf16. */
double ane_peak_product_flops(bool bf16, int threads);
/* Bytes a second that `threads` threads move together between memory and processor: two arrays read and one of them
 * written, 12 bytes an element; about 40 ms. 0: no memory to measure with. */
double ane_peak_bandwidth(int threads);
/* Bytes a second that `threads` threads read from memory; about 20 ms. 0: no memory to measure with. */
double ane_peak_read(int threads);

/* An array as large as wished, in huge pages as weights lie, to be read again and again, of which a cache may hold a part. NULL:
 * no memory. */
typedef struct ane_reader ane_reader;
ane_reader *ane_reader_new(int threads, int64_t bytes);
void ane_reader_free(ane_reader *r);
/* Read it once: bytes a second. Plainly, in four streams for each thread; or in two, of which half a KiB is asked for in turn, well before
 * it is read. Which one is faster depends on the machine. */
typedef enum ane_reader_way { ANE_READ_PLAINLY, ANE_READ_ASKED, ANE_READER_WAYS } ane_reader_way;
double ane_reader_pass(ane_reader *r, ane_reader_way way);
/* The vector instructions that it was measured with: "AVX-512", "AVX2", "NEON", "plain C". */
const char *ane_peak_vectors(void);

#endif
