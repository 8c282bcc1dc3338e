/* check.h - comparing what a benchmark of several programs computed with one program that says what it should be. */
#ifndef ANEMONE_MEASURE_CHECK_H
#define ANEMONE_MEASURE_CHECK_H

#include "measure/harness.h"

/* Run `p` on the reference (ane_reference_spec): inputs[f->n_inputs] in the program's order, fp32; compare its first output with
 * y. Puts `verified` into the row; false with a report when the relative error (root mean square) is above `tolerance`
 * (0: 0.02) or y is not finite. */
bool ane_check_output(const ane_bench *b, const mil_program *p, const float *const *inputs, const float *y,
    double tolerance, json_t *row, ane_error *e);
/* The same for numbers that are there already. */
bool ane_check_numbers(const char *against, const float *wanted, const float *y, int64_t n, double tolerance,
    json_t *row, ane_error *e);
/* An fp32 copy of a buffer; caller frees. NULL with a report. */
float *ane_buffer_copy(ane_buffer *b, ane_error *e);

#endif
