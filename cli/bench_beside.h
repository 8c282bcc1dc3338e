/* bench_beside.h - results beside others: what is recorded, or an earlier file. */
#ifndef ANEMONE_CLI_BENCH_BESIDE_H
#define ANEMONE_CLI_BENCH_BESIDE_H

#include "anemone/error.h"

#include <jansson.h>

/* The rows of one benchmark with a column for each machine on which it is recorded (measure/recorded.h's documents):
 * milliseconds, and TFLOPS where they are told. A question mark is behind suspect numbers; the reasons follow. */
void cli_print_recorded(const json_t *results, const char *benchmark, const json_t *recorded);

/* What changed since `before`, row by row. */
bool cli_print_comparison(const json_t *results, const json_t *before, ane_error *e);

#endif
