/* timing.c - warm-up, repetitions, and what is too fast to be true. */
#include "base/clock.h"
#include "base/peak.h"
#include "measure/harness.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    WARM_UPS = 3,
    MODELLED_RUNS = 3, /* a model always says the same; one when it takes long to compute */
    LEAST_RUNS = 3,    /* whatever the limit is */
    RUNS_FOR_CI = 10,  /* before an interval is believed */
    MOST_RUNS = 1000000,
};

/* Margins: a recorded peak is what someone reached, not what the chip can do; a dispatch of a tenth of the recorded time was
 * never seen. bf16 units multiply up to 16 times as fast as fp32 ones (AMX: 2,048 a cycle for 128), and fp32 by six of their products. */
static const double FASTER_THAN_RECORDED = 2, SHORTER_DISPATCH = 0.1, WIDER_MEMORY = 10, BF16_UNITS = 16,
                    FP32_BY_TILES = 16.0 / 6;

double ane_bench_bound_ms(const ane_bench *b, const ane_subject *s) {
    if (s->on_host) return 0;
    const ane_capabilities *c = b->capabilities;
    double rate = b->peak_gflops * FASTER_THAN_RECORDED * (s->speedup > 0 ? s->speedup : 1);
    if (c->precision == ANE_BF16 || c->precision == ANE_INT8)
        rate *= BF16_UNITS;
    else if (strcmp(c->products, "amx") == 0)
        rate *= FP32_BY_TILES;
    double arithmetic = rate > 0 ? s->flops / rate * 1e-6 : 0;
    double memory =
        c->device_bandwidth_gbs > 0 ? s->bytes / (c->device_bandwidth_gbs * WIDER_MEMORY) * 1e-6 : 0;
    double dispatch = c->device_dispatch_ms * SHORTER_DISPATCH * (s->evaluations > 0 ? s->evaluations : 1);
    return fmax(arithmetic, fmax(memory, dispatch));
}

double ane_bench_cpu_peak(int threads) {
    return 1e-9 * fmax(ane_peak_flops(threads), threads * ane_peak_undisturbed_flops());
}

/* A CPU's peak is measured when the benchmark is opened. Before a time is refused it is measured again. */
static bool is_possible(ane_bench *b, const ane_subject *s, double ms) {
    if (!isfinite(ms) || ms < 0) return false;
    if (ms >= ane_bench_bound_ms(b, s)) return true;
    if (strcmp(b->capabilities->device, "cpu") != 0) return false;
    b->peak_gflops = fmax(b->peak_gflops, ane_bench_cpu_peak(b->capabilities->threads));
    return ms >= ane_bench_bound_ms(b, s);
}

bool ane_bench_possible(ane_bench *b, const ane_subject *s, double ms, ane_error *e) {
    if (is_possible(b, s, ms)) return true;
    ane_fail(e, ANE_ERROR_DEVICE, "bench",
        "%.4g ms for %.4g GFLOP and %.4g MB is impossible here (at least %.4g ms, at %.4g TFLOPS): it cannot "
        "have been "
        "computed",
        ms, s->flops * 1e-9, s->bytes / (1 << 20), ane_bench_bound_ms(b, s), b->peak_gflops * 1e-3);
    return ane_hint(e, "Nothing of this case was kept. Run `anemone doctor`.");
}

static bool run(ane_bench *b, const ane_subject *s, ane_run_stats *stats, ane_error *e) {
    *stats = (ane_run_stats){0};
    return s->run(s->context, stats, e) && ane_bench_possible(b, s, stats->device_ms, e);
}

bool ane_bench_warm(ane_bench *b, const ane_subject *s, ane_error *e) {
    double start = ane_clock_ms();
    ane_run_stats stats = {0};
    for (int i = 0; i < WARM_UPS; i++) {
        if (!run(b, s, &stats, e)) return false;
        if (stats.modelled || ane_clock_ms() - start > 100 * b->options.seconds) break;
    }
    return true;
}

typedef struct series {
    ane_samples device, host;
    bool modelled;
} series;

static bool narrow(series *r, double target) {
    return ane_stats_of(r->device.x, r->device.n).ci <= target;
}

static bool enough(ane_bench *b, series *r, double elapsed_ms, int *next_look) {
    int n = r->device.n;
    bool late = elapsed_ms > 1e3 * b->options.seconds;
    if (r->modelled) return n >= MODELLED_RUNS || late;
    if (n >= MOST_RUNS || (n >= LEAST_RUNS && late)) return true;
    if (n < *next_look) return false;
    *next_look = n + n / 2; /* sorting at every run would take longer than the runs */
    return narrow(r, b->options.ci);
}

static bool collect(ane_bench *b, const ane_subject *s, series *r, ane_error *e) {
    double start = ane_clock_ms();
    int next_look = RUNS_FOR_CI;
    do {
        ane_run_stats stats;
        if (!run(b, s, &stats, e)) return false;
        r->modelled |= stats.modelled;
        if (!ane_samples_add(&r->device, stats.device_ms) || !ane_samples_add(&r->host, stats.host_ms))
            return ane_fail(e, ANE_ERROR_MEMORY, "bench", "out of memory");
    } while (!enough(b, r, ane_clock_ms() - start, &next_look));
    return true;
}

bool ane_bench_repeat(ane_bench *b, const ane_subject *s, ane_times *t, ane_error *e) {
    series r = {.modelled = false};
    bool ok = collect(b, s, &r, e);
    if (ok)
        *t = (ane_times){ane_stats_of(r.device.x, r.device.n), ane_stats_of(r.host.x, r.host.n), r.modelled};
    free(r.device.x);
    free(r.host.x);
    return ok;
}

bool ane_bench_time(ane_bench *b, const ane_subject *s, ane_times *t, ane_error *e) {
    return ane_bench_warm(b, s, e) && ane_bench_repeat(b, s, t, e);
}

void ane_bench_put_times(ane_bench *b, json_t *row, const ane_times *t, double flops) {
    ane_row_times(row, "device_ms", &t->device);
    ane_row_times(row, "host_ms", &t->host);
    json_object_set_new(row, "modelled", json_boolean(t->modelled || b->emulated));
    if (flops <= 0) return;
    double tflops = flops / t->device.median * 1e-9;
    ane_row_metric(row, "gflop", flops * 1e-9);
    ane_row_metric(row, "tflops", tflops);
    if (b->peak_gflops > 0) ane_row_metric(row, "peak_percent", 1e5 * tflops / b->peak_gflops);
}
