/* profile.c - `anemone bench train --profile`, `bench generate --profile`: every plan step against its own bound. */
#include "cli/profile.h"

#include "cli/common.h"

#include "base/peak.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool cli_profile_spec(char *spec, size_t size, ane_error *e) {
    size_t n = strlen(spec);
    if (strncmp(spec, "cpu", 3) != 0 || (spec[3] != 0 && spec[3] != ':'))
        return ane_fail(e, ANE_ERROR_UNSUPPORTED, "--profile",
            "only the device cpu has plans to profile, found \"%s\"", spec);
    if (n + sizeof ",profile=on" > size)
        return ane_fail(
            e, ANE_ERROR_ARGUMENT, "--profile", "the device spec is longer than %zu characters", size);
    strcat(spec, spec[3] ? ",profile=on" : ":profile=on");
    return true;
}

typedef struct row {
    char what[192];
    const char *kind;
    double runs, flops, bytes, ms, bound_ms; /* per training step, prompt or token */
} row;

static int by_loss(const void *a, const void *b) {
    const row *x = a, *y = b;
    double lost = (y->ms - y->bound_ms) - (x->ms - x->bound_ms);
    return lost < 0 ? -1 : lost > 0;
}

static int fill_rows(
    row *rows, int n, const ane_step_profile *steps, int64_t count, int n_host, const cli_host_work *host) {
    int at = 0;
    for (int i = 0; i < n; i++) {
        const ane_step_profile *s = &steps[i];
        if (!s->runs) continue;
        row *r = &rows[at++];
        double runs = (double)s->runs / (double)count;
        *r = (row){.kind = s->kind,
            .runs = runs,
            .flops = s->flops * runs,
            .bytes = s->bytes * runs,
            .ms = s->ms / (double)count};
        snprintf(r->what, sizeof r->what, "%d.%02d %s: %s", s->kernel_index, s->step, s->kernel, s->what);
    }
    for (int i = 0; i < n_host; i++) {
        row *r = &rows[at++];
        *r = (row){
            .kind = "host", .runs = 1, .flops = host[i].flops, .bytes = host[i].bytes, .ms = host[i].ms};
        snprintf(r->what, sizeof r->what, "%s", host[i].what);
    }
    return at;
}

static json_t *json_of(const row *rows, int n, double step_ms, double peak, double bandwidth) {
    json_t *list = json_array();
    double bound = 0, timed = 0;
    for (int i = 0; i < n; i++) {
        const row *r = &rows[i];
        bound += r->bound_ms;
        timed += r->ms;
        json_array_append_new(list,
            json_pack("{s:s, s:s, s:f, s:f, s:f, s:f, s:f}", "kind", r->kind, "what", r->what, "runs",
                r->runs, "ms", r->ms, "bound_ms", r->bound_ms, "gflops",
                r->ms > 0 ? r->flops / r->ms / 1e6 : 0.0, "gbs", r->ms > 0 ? r->bytes / r->ms / 1e6 : 0.0));
    }
    return json_pack("{s:f, s:f, s:f, s:f, s:f, s:o}", "peak_gflops", peak * 1e-9, "bandwidth_gbs",
        bandwidth * 1e-9, "step_ms", step_ms, "timed_ms", timed, "bound_ms", bound, "rows", list);
}

/* The fastest way to multiply in the device's precision. */
static double peak_of(const ane_device *d) {
    const ane_capabilities *c = ane_device_capabilities(d);
    bool bf16 = c->precision == ANE_BF16 || c->precision == ANE_INT8;
    return ane_peak_product_flops(bf16, c->threads);
}

json_t *cli_profile(
    ane_device *d, int64_t count, double ms, int n_host, const cli_host_work *host, ane_error *e) {
    int threads = ane_device_capabilities(d)->threads, n = ane_device_profile(d, NULL, 0);
    double peak = peak_of(d), bandwidth = ane_peak_bandwidth(threads);
    ane_step_profile *profile = calloc((size_t)n + 1, sizeof *profile);
    row *rows = calloc((size_t)n + (size_t)n_host + 1, sizeof *rows);
    json_t *o = NULL;
    if (profile && rows && peak > 0 && bandwidth > 0) {
        ane_device_profile(d, profile, n);
        n = fill_rows(rows, n, profile, count, n_host, host);
        for (int i = 0; i < n; i++) {
            double compute = 1e3 * rows[i].flops / peak, move = 1e3 * rows[i].bytes / bandwidth;
            rows[i].bound_ms = compute > move ? compute : move;
        }
        qsort(rows, (size_t)n, sizeof *rows, by_loss);
        o = json_of(rows, n, ms, peak, bandwidth);
    }
    if (!o) ane_fail(e, ANE_ERROR_MEMORY, "--profile", "out of memory");
    free(profile);
    free(rows);
    return o;
}

static double real(const json_t *o, const char *key) {
    return json_number_value(json_object_get(o, key));
}

void cli_profile_print(const json_t *o, const char *one) {
    size_t i;
    const json_t *r;
    printf("\n  this machine now: %.0f GFLOP/s in products, %.1f GB/s; per %s:\n", real(o, "peak_gflops"),
        real(o, "bandwidth_gbs"), one);
    printf("  %8s %8s %8s %5s %8s %7s  %s\n", "lost ms", "ms", "bound", "runs", "GFLOP/s", "GB/s", "step");
    json_array_foreach(json_object_get(o, "rows"), i, r) {
        double ms = real(r, "ms"), bound = real(r, "bound_ms");
        printf("  %8.2f %8.2f %8.2f %5.0f %8.1f %7.1f  %-8s %.100s\n", ms - bound, ms, bound, real(r, "runs"),
            real(r, "gflops"), real(r, "gbs"), json_string_value(json_object_get(r, "kind")),
            json_string_value(json_object_get(r, "what")));
    }
    double ms = real(o, "step_ms"), timed = real(o, "timed_ms"), bound = real(o, "bound_ms");
    printf("  %8.2f %8.2f %8.2f  all of the %s, of which %.2f ms outside of what is listed\n", ms - bound, ms,
        bound, one, ms - timed);
}
