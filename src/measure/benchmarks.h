/* benchmarks.h - one benchmark a line; benchmarks.c puts them in the order in which "all" runs them. */
#ifndef ANEMONE_MEASURE_BENCHMARKS_H
#define ANEMONE_MEASURE_BENCHMARKS_H

#include "measure/harness.h"

extern const ane_benchmark ane_bench_peak;
extern const ane_benchmark ane_bench_dispatch;
extern const ane_benchmark ane_bench_sram, ane_bench_sram_fine;
extern const ane_benchmark ane_bench_eval;
extern const ane_benchmark ane_bench_paths;
extern const ane_benchmark ane_bench_qos;
extern const ane_benchmark ane_bench_throughput;
extern const ane_benchmark ane_bench_attention;
extern const ane_benchmark ane_bench_int8, ane_bench_quant;
extern const ane_benchmark ane_bench_dynamic, ane_bench_pipeline;
extern const ane_benchmark ane_bench_train;
extern const ane_benchmark ane_bench_single_layer;
extern const ane_benchmark ane_bench_generate;

#endif
