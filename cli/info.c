/* info.c - `anemone info`: what this machine offers. */
#include "cli/commands.h"
#include "cli/common.h"

#include "base/clock.h"
#include "base/gemm.h"
#include "base/peak.h"

#include <stdlib.h>

/* The rate of one square product, in operations a second: what is left of the peak in practice. */
static double product_rate(int threads) {
    enum { N = 1024, RUNS = 8 };
    size_t bytes = sizeof(float) * N * N;
    float *x = calloc(3, bytes);
    if (!x) return 0;
    for (size_t i = 0; i < (size_t)2 * N * N; i++) x[i] = (float)(i % 7) - 3;
    ane_gemm g = {.m = N,
        .n = N,
        .k = N,
        .alpha = 1,
        .a = x,
        .lda = N,
        .b = x + (size_t)N * N,
        .ldb = N,
        .c = x + (size_t)2 * N * N,
        .ldc = N};
    double best = 0;
    for (int i = 0; i < RUNS; i++) {
        double start = ane_clock_ms();
        ane_gemm_run(&g, threads);
        double rate = 2e3 * N * N * N / (ane_clock_ms() - start);
        best = rate > best ? rate : best;
    }
    free(x);
    return best;
}

static json_t *describe(const ane_capabilities *c) {
    return json_pack("{s:s, s:s, s:s, s:s, s:i, s:s, s:s}", "version", ANEMONE_VERSION, "device", c->device,
        "description", c->description, "precision", ane_precision_name(c->precision), "threads", c->threads,
        "vectors", ane_peak_vectors(), "products", ane_gemm_library());
}

static void print_lines(const json_t *o) {
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)o, key, value) {
        if (json_is_string(value))
            printf("%-18s %s\n", key, json_string_value(value));
        else if (json_is_integer(value))
            printf("%-18s %lld\n", key, json_integer_value(value));
        else
            printf("%-18s %.1f\n", key, json_real_value(value));
    }
}

static int run(const cli_args *args, ane_error *e) {
    ane_device *d = cli_open_device(args, e);
    if (!d) return CLI_FAILED;
    const ane_capabilities *c = ane_device_capabilities(d);
    json_t *o = describe(c);
    if (o && cli_flag(args, "peak")) {
        json_object_set_new(o, "peak_gflops", json_real(1e-9 * ane_peak_flops(c->threads)));
        json_object_set_new(o, "peak_bf16_gflops", json_real(1e-9 * ane_peak_bf16_flops(c->threads)));
        json_object_set_new(o, "peak_tile_gflops", json_real(1e-9 * ane_peak_tile_flops(c->threads)));
        json_object_set_new(o, "product_gflops", json_real(1e-9 * product_rate(c->threads)));
        json_object_set_new(o, "update_gbs", json_real(1e-9 * ane_peak_bandwidth(c->threads)));
        json_object_set_new(o, "read_gbs", json_real(1e-9 * ane_peak_read(c->threads)));
    }
    if (!cli_flag(args, "json"))
        print_lines(o);
    else
        cli_put_json(json_incref(o));
    json_decref(o);
    ane_device_close(d);
    return CLI_OK;
}

static const cli_option options[] = {
    {.name = "peak",
        .kind = CLI_FLAG,
        .help = "measure: multiply-adds in registers (fp32, bf16 dot products, bf16 matrix tiles), one 1024 "
                "x 1024 "
                "x 1024 product, and memory: an update in place (12 bytes an element) and reading"},
    {.name = "json", .kind = CLI_FLAG, .help = "print one JSON object"},
    CLI_DEVICE_OPTIONS,
    {0},
};

const cli_command cli_info = {
    .name = "info",
    .summary = "device, vector units, libraries, measured peak",
    .synopsis = (const char *const[]){"[--peak] [--json] [--device DEVICE]", NULL},
    .description = "Tells where programs would run and with what. With --peak it measures, for a fraction of "
                   "a second, what "
                   "the processor can do; utilisation (MFU) is measured against peak_gflops.",
    .options = options,
    .examples = (const char *const[]){"anemone info --peak", "for a bug report", NULL},
    .run = run,
};
