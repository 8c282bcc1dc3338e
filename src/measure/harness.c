/* harness.c - the benchmarks' driver: which cases, one after another, into rows. */
#include "measure/harness.h"

#include "base/nearest.h"
#include "measure/results.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_BENCHMARKS = 64 };

/* ---- which there are --------------------------------------------------------------------------------------------- */

int ane_benchmark_count(void) {
    int n = 0;
    while (ane_benchmarks[n]) n++;
    return n;
}

const ane_benchmark_info *ane_benchmark_at(int index) {
    return index >= 0 && index < ane_benchmark_count() ? &ane_benchmarks[index]->info : NULL;
}

static const ane_benchmark *find(const char *name, ane_error *e) {
    const char *names[MOST_BENCHMARKS + 1] = {0};
    for (int i = 0; i < MOST_BENCHMARKS && ane_benchmarks[i]; i++) {
        names[i] = ane_benchmarks[i]->info.name;
        if (strcmp(names[i], name) == 0) return ane_benchmarks[i];
    }
    ane_fail(e, ANE_ERROR_ARGUMENT, "bench", "there is no benchmark \"%s\"", name);
    const char *near = ane_nearest(name, names);
    if (near) ane_hint(e, "Did you mean \"%s\"?", near);
    ane_hint(e, "\"anemone bench\" lists them.");
    return NULL;
}

/* ---- open and close ---------------------------------------------------------------------------------------------- */

static ane_bench_options with_defaults(const ane_bench_options *given) {
    ane_bench_options o = given ? *given : (ane_bench_options){0};
    if (o.seconds <= 0) o.seconds = o.quick ? 0.3 : 2;
    if (o.ci <= 0) o.ci = 0.02;
    return o;
}

static bool same_device(const json_t *earlier, const json_t *now, ane_error *e) {
    const char *a = json_string_value(json_object_get(json_object_get(earlier, "device"), "spec"));
    const char *b = json_string_value(json_object_get(json_object_get(now, "device"), "spec"));
    const json_t *chip_a = json_object_get(json_object_get(earlier, "machine"), "chip");
    const json_t *chip_b = json_object_get(json_object_get(now, "machine"), "chip");
    if (strcmp(a, b) == 0 && json_equal(chip_a, chip_b)) return true;
    ane_fail(e, ANE_ERROR_ARGUMENT, "bench",
        "the earlier results are of %s on \"%.60s\", not of %s on \"%.60s\"", a, json_string_value(chip_a), b,
        json_string_value(chip_b));
    return ane_hint(e, "Write to another file.");
}

/* The earlier rows, in a document of this run. */
static bool take_over(ane_bench *b, json_t *earlier, ane_error *e) {
    b->results = ane_results_new(b->spec, b->device, e);
    if (!b->results || !earlier) return b->results != NULL;
    if (!same_device(earlier, b->results, e)) return false;
    json_object_set(b->results, "rows", json_object_get(earlier, "rows"));
    if (json_object_get(earlier, "probes"))
        json_object_set(b->results, "probes", json_object_get(earlier, "probes"));
    return true;
}

static void learn(ane_bench *b) {
    b->capabilities = ane_device_capabilities(b->device);
    b->emulated = strstr(b->spec, ":emulator") != NULL;
    b->peak_gflops = b->capabilities->device_gflops;
    if (strcmp(b->capabilities->device, "cpu") == 0)
        b->peak_gflops = ane_bench_cpu_peak(b->capabilities->threads);
}

ane_bench *ane_bench_open(
    const char *device, const ane_bench_options *options, json_t *earlier, ane_error *e) {
    ane_bench *b = calloc(1, sizeof *b);
    bool ok = b && (b->spec = strdup(device));
    if (!ok) ane_fail(e, ANE_ERROR_MEMORY, "bench", "out of memory");
    ok = ok && (b->device = ane_device_open(device, e));
    if (ok) {
        b->options = with_defaults(options);
        learn(b);
        ok = take_over(b, earlier, e);
    }
    json_decref(earlier);
    if (ok) return b;
    ane_bench_close(b);
    return NULL;
}

void ane_bench_close(ane_bench *b) {
    if (!b) return;
    json_decref(b->results);
    ane_device_close(b->reference);
    ane_device_close(b->device);
    free(b->spec);
    free(b);
}

json_t *ane_bench_results(ane_bench *b) {
    return b->results;
}

const ane_device *ane_bench_device(const ane_bench *b) {
    return b->device;
}

ane_device *ane_bench_open_with(ane_bench *b, const char *option, ane_error *e) {
    char spec[1024];
    if (strcmp(b->capabilities->device, "cpu") == 0) return ane_device_open(b->spec, e);
    int n = snprintf(spec, sizeof spec, "%s%c%s", b->spec, strchr(b->spec, ':') ? ',' : ':', option);
    if (n > 0 && (size_t)n < sizeof spec) return ane_device_open(spec, e);
    ane_fail(e, ANE_ERROR_ARGUMENT, "bench", "the device's name is too long");
    return NULL;
}

/* ---- cases ------------------------------------------------------------------------------------------------------- */

static json_t *cases_of(ane_bench *b, const ane_benchmark *which) {
    json_t *all = json_array(), *some = json_array();
    which->cases(b, all);
    size_t i;
    json_t *c;
    json_array_foreach(all, i, c) {
        const char *name = json_string_value(json_object_get(c, "case"));
        if (!b->options.filter || strstr(name, b->options.filter)) json_array_append(some, c);
    }
    json_decref(all);
    return some;
}

int ane_bench_cases(ane_bench *b, const char *name) {
    const ane_benchmark *which = find(name, NULL);
    if (!which) return 0;
    json_t *cases = cases_of(b, which);
    int n = (int)json_array_size(cases);
    json_decref(cases);
    return n;
}

static json_t *new_row(const ane_bench *b, const ane_benchmark *which, const json_t *c) {
    return json_pack("{s:s, s:O, s:O, s:s, s:s, s:b}", "benchmark", which->info.name, "case",
        json_object_get(c, "case"), "config", json_object_get(c, "config"), "status", "ok", "error", "",
        "modelled", b->emulated);
}

/* False when it must go on in another process. */
static bool run_case(ane_bench *b, const ane_benchmark *which, json_t *row, ane_error *e) {
    ane_error why = {0};
    if (which->run(b, row, &why)) return true;
    if (why.code == ANE_OK) ane_fail(&why, ANE_ERROR_DEVICE, which->info.name, "failed without a report");
    if (why.code == ANE_ERROR_EXHAUSTED) {
        if (e) *e = why;
        return false;
    }
    if (why.code == ANE_ERROR_UNSUPPORTED)
        ane_row_skip(row, &why);
    else
        ane_row_fail(row, &why);
    return true;
}

static bool tell(const ane_bench *b, const ane_bench_event *event, ane_error *e) {
    if (!b->options.listener || b->options.listener(b->options.context, event)) return true;
    return ane_fail(e, ANE_ERROR_INTERRUPTED, "bench", "stopped; what was measured is kept");
}

static bool one_case(
    ane_bench *b, const ane_benchmark *which, const json_t *c, int index, int count, ane_error *e) {
    const char *name = json_string_value(json_object_get(c, "case"));
    ane_bench_event event = {.benchmark = which->info.name, .name = name, .index = index, .count = count};
    json_t *earlier = ane_results_find(b->results, which->info.name, name);
    if (earlier && ane_row_is_ok(earlier) &&
        json_equal(json_object_get(earlier, "config"), json_object_get(c, "config"))) {
        event.kept = true;
        event.row = earlier;
        return tell(b, &event, e);
    }
    if (!tell(b, &event, e)) return false;
    json_t *row = new_row(b, which, c);
    if (!row) return ane_fail(e, ANE_ERROR_MEMORY, "bench", "out of memory");
    if (!run_case(b, which, row, e)) {
        json_decref(row);
        return false;
    }
    event.row = row;
    return ane_results_add_row(b->results, row, e) && tell(b, &event, e);
}

static json_t *rows_of(const ane_bench *b, const ane_benchmark *which) {
    json_t *rows = json_array(), *row;
    size_t i;
    json_array_foreach(ane_results_rows(b->results), i, row) {
        const char *name = json_string_value(json_object_get(row, "benchmark"));
        if (strcmp(name, which->info.name) == 0) json_array_append(rows, row);
    }
    return rows;
}

static bool conclude(ane_bench *b, const ane_benchmark *which, ane_error *e) {
    if (!which->conclude) return true;
    json_t *rows = rows_of(b, which), *row = which->conclude(b, rows);
    json_decref(rows);
    if (!row) return true;
    json_object_set_new(row, "benchmark", json_string(which->info.name));
    json_object_set_new(row, "modelled", json_boolean(b->emulated));
    const ane_bench_event event = {
        .benchmark = which->info.name, .name = json_string_value(json_object_get(row, "case")), .row = row};
    return ane_results_add_row(b->results, row, e) && tell(b, &event, e);
}

bool ane_bench_run(ane_bench *b, const char *name, ane_error *e) {
    const ane_benchmark *which = find(name, e);
    if (!which) return false;
    json_t *cases = cases_of(b, which), *c;
    int count = (int)json_array_size(cases);
    bool ok =
        count > 0 || ane_fail(e, ANE_ERROR_ARGUMENT, "bench", "%s has no case whose name contains \"%s\"",
                         name, b->options.filter ? b->options.filter : "");
    size_t i;
    json_array_foreach(cases, i, c) ok = ok && one_case(b, which, c, (int)i, count, e);
    json_decref(cases);
    return ok && conclude(b, which, e);
}
