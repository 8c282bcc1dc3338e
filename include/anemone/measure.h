/* measure.h - benchmarks on any device, into results files (docs/results.md, docs/measuring.md).
 *
 *     open(device) -> run("peak"), run("sram"), ... -> results -> close
 *
 * A results document is a JSON value of jansson's, as docs/results.md says.
 */
#ifndef ANEMONE_MEASURE_H
#define ANEMONE_MEASURE_H

#include "anemone/device.h"

struct json_t;

/* ---- results ----------------------------------------------------------------------------------------------------- */

/* A document for this machine and device, without rows. Caller owns it (json_decref). NULL on failure. */
struct json_t *ane_results_new(const char *spec, const ane_device *d, ane_error *e);
/* Whole or not at all. */
bool ane_results_write(const struct json_t *results, const char *path, ane_error *e);
/* Read and check; what is missing or of the wrong type is refused with its path in the document. */
struct json_t *ane_results_read(const char *path, ane_error *e);

/* ---- benchmarks -------------------------------------------------------------------------------------------------- */

typedef struct ane_benchmark_info {
    const char *name;    /* "peak" */
    const char *summary; /* one line */
    const char *field;   /* what the field calls it: "inmem_peak"; "" when nothing */
} ane_benchmark_info;

int ane_benchmark_count(void);
const ane_benchmark_info *ane_benchmark_at(int index);

/* Told of every case; `row` is NULL before it ran. Returning false stops: what was measured stays. */
typedef struct ane_bench_event {
    const char *benchmark, *name; /* the case's */
    int index, count;             /* of this benchmark's cases, from 0 */
    bool kept;                    /* measured before, taken over */
    const struct json_t *row;
} ane_bench_event;
typedef bool ane_bench_listener(void *context, const ane_bench_event *event);

typedef struct ane_bench_options {
    double seconds; /* repetitions of one case end after that many; 0: 2 (quick: 0.3) */
    double ci;  /* ... or when half the confidence interval of the median is below this part of it; 0: 0.02 */
    bool quick; /* the cases that take a moment, briefly */
    const char *filter;           /* only cases whose name contains it; NULL: all */
    ane_bench_listener *listener; /* NULL: nobody */
    void *context;
} ane_bench_options;

typedef struct ane_bench ane_bench;

/* `device`: a spec, as ane_device_open takes it. `earlier`: a document to go on with (it is taken over in any case): rows in
 * it that are ok are not measured again; it must be of the same device. NULL: a new one. */
ane_bench *ane_bench_open(
    const char *device, const ane_bench_options *options, struct json_t *earlier, ane_error *e);
void ane_bench_close(ane_bench *b); /* NULL is fine */
/* Borrowed; changes with every case. */
struct json_t *ane_bench_results(ane_bench *b);
const ane_device *ane_bench_device(const ane_bench *b);
/* Run every case of one benchmark. A case that fails is a row with an error, not a failure of this; false when there is no
 * such benchmark, when the listener stopped it (ANE_ERROR_INTERRUPTED), or when nothing compiles any more in this process
 * (ANE_ERROR_EXHAUSTED: a new process can go on from the results). */
bool ane_bench_run(ane_bench *b, const char *name, ane_error *e);
/* How many cases it has here, with these options; 0 when there is no such benchmark. */
int ane_bench_cases(ane_bench *b, const char *name);

#endif
