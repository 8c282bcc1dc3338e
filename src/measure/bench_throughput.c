/* bench_throughput.c - twelve kernels in sequence (test_throughput_ceiling): what lies between them. Three programs take turns,
 * each evaluation has surfaces of its own. */
#include "base/background.h"
#include "base/clock.h"
#include "base/random.h"
#include "measure/check.h"
#include "measure/programs.h"

#include <stdlib.h>
#include <string.h>

enum { KERNELS = 12, PROGRAMS = 3 };

/* `n` convolutions, one behind the other, with the weights of streams first, first + 1, ... */
static mil_program *convolutions(const ane_bench *b, const json_t *row, int first, int n, ane_error *e) {
    const int64_t channels = ane_row_int(row, "channels"), positions = ane_row_int(row, "positions");
    const mil_dtype dtype = b->capabilities->activation_dtype;
    mil_program *p = mil_program_new(MIL_IOS18, e);
    if (!p) return NULL;
    mil_function *f = mil_function_new(p, "main");
    mil_value x = mil_input(f, "x", mil_tensor(dtype, 4, (int64_t[]){1, channels, 1, positions}));
    for (int i = 0; i < n; i++) {
        const uint64_t stream = (uint64_t)((first + i) % PROGRAMS);
        x = mil_conv(f, x, ane_program_weight(f, channels, channels, dtype, NULL, stream));
    }
    mil_output(f, "y", x);
    if (mil_program_ok(p, e)) return p;
    mil_program_free(p);
    return NULL;
}

/* ---- the line of kernels ------------------------------------------------------------------------------------------- */

typedef struct line line;
typedef struct station {
    ane_job job;
    line *line;
    ane_binding *binding;
    ane_buffer *in, *out;
    ane_run_stats stats;
    ane_error error;
    bool ok;
} station;

struct line {
    ane_bench *bench;
    ane_kernel *kernels[PROGRAMS];
    station stations[KERNELS];
    bool copies;  /* each output is copied into the next input */
    bool chained; /* each output is the next input */
    bool queue;   /* a thread evaluates, one job for each */
    ane_background thread;
    float *x; /* what the first input was given */
    int64_t n;
    double compile_ms, copy_ms;
};

static bool copy(ane_buffer *from, ane_buffer *to, ane_error *e) {
    const void *source = ane_buffer_map(from, ANE_READ, e);
    void *target = source ? ane_buffer_map(to, ANE_WRITE, e) : NULL;
    if (target) memcpy(target, source, (size_t)mil_type_bytes(ane_buffer_type(from)));
    bool ok = target && ane_buffer_unmap(to, e);
    return source && ane_buffer_unmap(from, e) && ok;
}

static void evaluate(ane_job *job) {
    station *s = (station *)job;
    s->error = (ane_error){0};
    s->ok = ane_run(s->binding, &s->stats, &s->error);
}

static bool pass(line *l, int i, ane_error *e) {
    station *s = &l->stations[i];
    s->job.work = evaluate;
    if (l->queue) {
        if (!ane_background_submit(&l->thread, &s->job, e)) return false;
        ane_background_wait(&l->thread, &s->job);
    } else
        evaluate(&s->job);
    if (!s->ok) {
        *e = s->error;
        return false;
    }
    if (!l->copies || i == KERNELS - 1) return true;
    const double start = ane_clock_ms();
    bool ok = copy(s->out, l->stations[i + 1].in, e);
    l->copy_ms += ane_clock_ms() - start;
    return ok;
}

/* An ane_subject's `run`. */
static bool run_line(void *context, ane_run_stats *stats, ane_error *e) {
    line *l = context;
    const double start = ane_clock_ms();
    *stats = (ane_run_stats){0};
    l->copy_ms = 0;
    for (int i = 0; i < KERNELS; i++) {
        if (!pass(l, i, e)) return false;
        stats->device_ms += l->stations[i].stats.device_ms;
        stats->modelled |= l->stations[i].stats.modelled;
    }
    stats->host_ms = ane_clock_ms() - start;
    return true;
}

/* ---- making it ------------------------------------------------------------------------------------------------------ */

static bool compile(line *l, const json_t *row, double *flops, ane_error *e) {
    for (int i = 0; i < PROGRAMS; i++) {
        mil_program *p = convolutions(l->bench, row, i, 1, e);
        const double start = ane_clock_ms();
        l->kernels[i] = p ? ane_device_compile(l->bench->device, p, NULL, e) : NULL;
        l->compile_ms += ane_clock_ms() - start;
        mil_program_free(p);
        if (!l->kernels[i]) return false;
        *flops = KERNELS * ane_kernel_flops(l->kernels[i]);
    }
    return true;
}

static bool make_station(line *l, int i, ane_error *e) {
    station *s = &l->stations[i];
    ane_kernel *k = l->kernels[i % PROGRAMS];
    mil_type type;
    ane_kernel_input(k, 0, &type);
    s->line = l;
    s->binding = ane_binding_new(k, e);
    s->in = l->chained && i > 0 ? l->stations[i - 1].out : ane_buffer_new(l->bench->device, type, e);
    s->out = ane_buffer_new(l->bench->device, type, e);
    l->n = mil_type_count(&type);
    return s->binding && s->in && s->out && ane_bind(s->binding, "x", s->in, 0, e) &&
           ane_bind(s->binding, "y", s->out, 0, e);
}

/* The same numbers into every input, 0 into every output: what is there afterwards was computed since. */
static bool refresh(line *l, uint64_t seed, ane_error *e) {
    ane_rng rng = ane_rng_new(seed, 0);
    float *zero = calloc((size_t)l->n, sizeof *zero);
    bool ok = zero != NULL || ane_fail(e, ANE_ERROR_MEMORY, "throughput", "out of memory");
    for (int64_t i = 0; i < l->n; i++) l->x[i] = (float)ane_rng_normal(&rng);
    for (int i = 0; i < KERNELS && ok; i++)
        ok = ane_buffer_write_f32(l->stations[i].in, l->x, l->n, e) &&
             ane_buffer_write_f32(l->stations[i].out, zero, l->n, e);
    free(zero);
    return ok;
}

static bool make(line *l, const json_t *row, double *flops, ane_error *e) {
    if (!compile(l, row, flops, e)) return false;
    for (int i = 0; i < KERNELS; i++)
        if (!make_station(l, i, e)) return false;
    l->x = calloc((size_t)l->n, sizeof *l->x);
    if (!l->x) return ane_fail(e, ANE_ERROR_MEMORY, "throughput", "out of memory");
    return !l->queue || ane_background_init(&l->thread, e);
}

static void destroy(line *l, bool made) {
    if (made && l->queue) ane_background_destroy(&l->thread);
    for (int i = 0; i < KERNELS; i++) ane_binding_free(l->stations[i].binding);
    for (int i = 0; i < KERNELS; i++) {
        if (!l->chained || i == 0) ane_buffer_free(l->stations[i].in);
        ane_buffer_free(l->stations[i].out);
    }
    for (int i = 0; i < PROGRAMS; i++) ane_kernel_free(l->kernels[i]);
    free(l->x);
}

/* ---- measuring ------------------------------------------------------------------------------------------------------ */

/* The last output: of all twelve, or, where nothing is handed on, of the last one alone. */
static bool verify(line *l, json_t *row, ane_error *e) {
    const bool whole = l->copies || l->chained;
    mil_program *p = convolutions(l->bench, row, whole ? 0 : KERNELS - 1, whole ? KERNELS : 1, e);
    float *y = p ? ane_buffer_copy(l->stations[KERNELS - 1].out, e) : NULL;
    const float *const inputs[] = {l->x};
    bool ok = y && ane_check_output(l->bench, p, inputs, y, 0, row, e);
    free(y);
    mil_program_free(p);
    return ok;
}

static bool measure(line *l, double flops, json_t *row, ane_error *e) {
    const ane_subject s = {.run = run_line, .context = l, .flops = flops, .evaluations = KERNELS};
    ane_times t;
    if (!refresh(l, 0, e) || !ane_bench_warm(l->bench, &s, e) || !refresh(l, 1, e) ||
        !ane_bench_repeat(l->bench, &s, &t, e) || !refresh(l, 2, e))
        return false;
    ane_run_stats last;
    if (!run_line(l, &last, e) || !verify(l, row, e)) return false;
    ane_bench_put_times(l->bench, row, &t, flops);
    ane_row_metric(row, "ms_per_kernel", t.device.median / KERNELS);
    ane_row_metric(row, "call_per_kernel", t.host.median / KERNELS);
    if (l->copies) ane_row_metric(row, "copy_per_kernel", l->copy_ms / (KERNELS - 1));
    ane_row_metric(row, "compile_ms", l->compile_ms);
    return true;
}

static bool run(ane_bench *b, json_t *row, ane_error *e) {
    const char *way = ane_row_text(row, "way");
    line l = {.bench = b,
        .copies = strcmp(way, "copies") == 0,
        .chained = strcmp(way, "chained") == 0,
        .queue = strcmp(way, "queue") == 0};
    double flops = 0;
    bool made = make(&l, row, &flops, e), ok = made && measure(&l, flops, row, e);
    destroy(&l, made);
    return ok;
}

static void cases(ane_bench *b, json_t *list) {
    static const struct {
        int channels, positions;
        bool quick;
    } shapes[] = {{64, 32, true}, {256, 64, false}, {768, 256, false}};
    static const char *const ways[] = {"copies", "run", "chained", "queue"};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (size_t k = 0; k < sizeof ways / sizeof *ways; k++) {
            if (b->options.quick && !shapes[i].quick) continue;
            json_t *config = json_pack("{s:s, s:i, s:i, s:i}", "way", ways[k], "channels", shapes[i].channels,
                "positions", shapes[i].positions, "kernels", KERNELS);
            ane_case_add(list, config, "%s-%dx%d", ways[k], shapes[i].channels, shapes[i].positions);
        }
}

const ane_benchmark ane_bench_throughput = {
    .info = {"throughput", "twelve kernels in sequence: with copies between, without, chained, from a queue",
        "test_throughput_ceiling"},
    .cases = cases,
    .run = run,
};
