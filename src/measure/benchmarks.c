/* benchmarks.c - which benchmarks there are: one row each; each lives in bench_NAME.c. */
#include "measure/benchmarks.h"

#include <stddef.h>

const ane_benchmark *const ane_benchmarks[] = {
    &ane_bench_peak,
    &ane_bench_dispatch,
    &ane_bench_sram,
    &ane_bench_sram_fine,
    &ane_bench_eval,
    &ane_bench_paths,
    &ane_bench_qos,
    &ane_bench_throughput,
    &ane_bench_attention,
    &ane_bench_int8,
    &ane_bench_quant,
    &ane_bench_dynamic,
    &ane_bench_pipeline,
    &ane_bench_train,
    &ane_bench_single_layer,
    &ane_bench_generate,
    NULL,
};
