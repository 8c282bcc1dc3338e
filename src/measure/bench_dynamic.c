/* bench_dynamic.c - dynamic: products whose weights come through an input (the M5 performance suite), and what new weights
 * cost. Unlike there, every evaluation's status is looked at and outputs are compared. */
#include "measure/update.h"

#include <string.h>

enum { POSITIONS = 1, SETS = 2, LARGEST_QUICK = 256 };
static const int dims[] = {128, 256, 512, 1024, 2048, 4096};
enum { N_DIMS = sizeof dims / sizeof *dims };

static void cases(ane_bench *b, json_t *list) {
    static const char *const modes[] = {"packed", "two-input"};
    for (int m = 0; m < 2; m++)
        for (int i = 0; i < N_DIMS; i++) {
            if (b->options.quick && dims[i] > LARGEST_QUICK) continue;
            ane_case_add(list,
                json_pack("{s:i, s:i, s:s}", "dim", dims[i], "positions", POSITIONS, "mode", modes[m]),
                "%d-%s", dims[i], modes[m]);
        }
}

/* Evaluation alone, then updates alone, then one evaluation with the last weights, which is compared. */
static bool measure(ane_bench *b, ane_update *u, json_t *row, ane_error *e) {
    ane_times update;
    const ane_subject s = ane_update_subject(u);
    if (!ane_trial_measure(u->trial, row, e) || !ane_bench_time(b, &s, &update, e) ||
        !ane_update_verify(u, true, row, e))
        return false;
    double ms = update.host.median, bytes = ane_update_bytes(u), flops = ane_trial_flops(u->trial);
    double eval = json_number_value(json_object_get(json_object_get(row, "device_ms"), "median"));
    ane_row_metric(row, "weights_mb", bytes / (1 << 20));
    ane_row_metric(row, "gflops", flops / eval * 1e-6);
    ane_row_metric(row, "update_ms", ms);
    ane_row_metric(row, "update_gb_s", bytes / ms * 1e-6);
    ane_row_metric(row, "total_ms", ms + eval);
    ane_row_metric(row, "total_gflops", flops / (ms + eval) * 1e-6);
    return true;
}

static bool run(ane_bench *b, json_t *row, ane_error *e) {
    ane_update u;
    bool packed = strcmp(ane_row_text(row, "mode"), "packed") == 0;
    if (!ane_update_open(&u, b, ane_row_int(row, "dim"), ane_row_int(row, "positions"), packed, SETS, e))
        return false;
    bool ok = measure(b, &u, row, e);
    ane_update_close(&u);
    return ok;
}

const ane_benchmark ane_bench_dynamic = {
    .info = {"dynamic", "products with weights from an input, packed or alone, and what new weights cost",
        "M5 performance suite"},
    .cases = cases,
    .run = run,
};
