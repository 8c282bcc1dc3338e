/* bench_gemm.c - `anemone bench gemm`: every product of a training step, against what the processor can do. */
#include "cli/commands.h"
#include "cli/common.h"

#include "anemone/model.h"
#include "base/clock.h"
#include "base/gemm.h"
#include "base/packed.h"
#include "base/parallel.h"
#include "base/peak.h"
#include "base/random.h"

#include <stdlib.h>
#include <string.h>

/* The three products with a weight W [out, in] on x [in, columns], and how they read what lies in memory:
 *
 *     forward           y  = W x          W [out, in],     x [in, columns]
 *     input's gradient  dx = W^T dy       W transposed,    dy [out, columns]
 *     weight's gradient dW += dy x^T      dy [out, columns], x transposed */
typedef enum direction { FORWARD, INPUT_GRADIENT, WEIGHT_GRADIENT, N_DIRECTIONS } direction;
static const char *const direction_names[] = {"forward", "d input", "d weight"};

typedef struct weight {
    const char *name;
    int64_t out, in;
} weight;

typedef struct bench {
    int threads;
    double seconds;
    bool bf16;
    const ane_packed_kernel *kernel; /* NULL: the library's product */
    float *a, *b, *c;                /* as large as the largest operands */
    void *packed;
    double peak; /* operations a second, measured a moment ago */
} bench;

static ane_gemm product_of(const bench *b, const weight *w, int64_t columns, direction d) {
    ane_gemm g = {.transpose_a = d == INPUT_GRADIENT,
        .transpose_b = d == WEIGHT_GRADIENT,
        .m = d == INPUT_GRADIENT ? w->in : w->out,
        .n = d == WEIGHT_GRADIENT ? w->in : columns,
        .k = d == FORWARD          ? w->in
             : d == INPUT_GRADIENT ? w->out
                                   : columns,
        .alpha = 1,
        .a = b->a,
        .b = b->b,
        .beta = d == WEIGHT_GRADIENT,
        .c = b->c};
    g.lda = g.transpose_a ? g.m : g.k;
    g.ldb = g.transpose_b ? g.k : g.n;
    g.ldc = g.n;
    return g;
}

static ane_packed_product packed_product(const bench *b, const ane_gemm *g) {
    return (ane_packed_product){.kernel = b->kernel,
        .m = g->m,
        .n = g->n,
        .k = g->k,
        .a = {g->a, g->transpose_a ? 1 : g->lda, g->transpose_a ? g->lda : 1},
        .c = g->c,
        .ldc = g->ldc,
        .store = g->beta != 0 ? ANE_ADD : ANE_PUT};
}

/* As the CPU device multiplies. ms: of packing where it comes first, of the product. */
static void run_once(const bench *b, const ane_gemm *g, double ms[2]) {
    double start = ane_clock_ms(), packed = start;
    const ane_packed_source right = {g->b, g->transpose_b ? g->ldb : 1, g->transpose_b ? 1 : g->ldb};
    const ane_packed_product p = packed_product(b, g);
    if (b->kernel) {
        ane_packed_prepare(&p, &right, b->packed, b->threads);
        packed = ane_clock_ms();
        ane_packed_multiply(&p, &right, b->packed, b->threads);
    } else {
        ane_gemm_run(g, b->threads);
    }
    double end = ane_clock_ms();
    ms[0] = packed - start, ms[1] = end - packed;
}

/* Medians of packing and of the product, over `seconds` or at least five runs. */
static bool time_product(const bench *b, const ane_gemm *g, double median[2]) {
    enum { FEWEST = 5, MOST = 4096 };
    double *ms = malloc(sizeof(double[2]) * MOST);
    if (!ms) return false;
    int n = 0;
    run_once(b, g, ms);
    for (double start = ane_clock_ms(); n < MOST && (n < FEWEST || ane_clock_ms() - start < 1e3 * b->seconds);
         n++) {
        double each[2];
        run_once(b, g, each);
        ms[n] = each[0], ms[MOST + n] = each[1];
    }
    for (int i = 0; i < 2; i++) {
        json_t *spread = cli_json_spread(ms + (size_t)i * MOST, n);
        median[i] = json_real_value(json_object_get(spread, "median"));
        json_decref(spread);
    }
    free(ms);
    return true;
}

static json_t *row_of(const bench *b, const weight *w, int64_t columns, direction d, ane_error *e) {
    ane_gemm g = product_of(b, w, columns, d);
    double ms[2];
    if (!time_product(b, &g, ms)) {
        ane_fail(e, ANE_ERROR_MEMORY, "bench gemm", "no memory for times");
        return NULL;
    }
    double flops = 2.0 * (double)g.m * (double)g.n * (double)g.k, rate = 1e3 * flops / ms[1];
    return json_pack("{s:s, s:s, s:I, s:I, s:I, s:b, s:b, s:s, s:s, s:f, s:f, s:f, s:f, s:f}", "weight",
        w->name, "product", direction_names[d], "m", (json_int_t)g.m, "n", (json_int_t)g.n, "k",
        (json_int_t)g.k, "transpose_a", g.transpose_a, "transpose_b", g.transpose_b, "precision",
        b->bf16 ? "bf16" : "fp32", "kernel", b->kernel ? b->kernel->name : ane_gemm_library(), "ms", ms[1],
        "packing_ms", ms[0], "gflops", 1e-9 * rate, "peak_gflops", 1e-9 * b->peak, "of_peak", rate / b->peak);
}

/* ---- all shapes of a model ------------------------------------------------------------------------------------------ */

enum { N_WEIGHTS = 4, HEAD_COLUMNS = 512 }; /* a step's head works on at most so many columns at a time */

static void weights_of(const ane_model_config *c, weight w[N_WEIGHTS]) {
    int64_t wide = (int64_t)c->n_heads * c->head_dim;
    w[0] = (weight){"attention", wide, c->dim};
    w[1] = (weight){"gate, up", c->hidden_dim, c->dim};
    w[2] = (weight){"down", c->dim, c->hidden_dim};
    w[3] = (weight){"head", c->vocab_size, c->dim};
}

static int64_t larger(int64_t a, int64_t b) {
    return a > b ? a : b;
}

static float *numbers(int64_t n) {
    float *x = malloc((size_t)n * sizeof *x);
    ane_rng rng = ane_rng_new(1, 0);
    for (int64_t i = 0; x && i < n; i++) x[i] = (float)ane_rng_uniform(&rng) - 0.5f;
    return x;
}

static bool take_memory(bench *b, const weight w[N_WEIGHTS], int64_t columns, ane_error *e) {
    int64_t matrix = 0, side = 0, room = 0;
    for (int i = 0; i < N_WEIGHTS; i++) {
        matrix = larger(matrix, w[i].out * w[i].in);
        side = larger(side, larger(w[i].out, w[i].in) * columns);
        for (direction d = 0; b->kernel && d < N_DIRECTIONS; d++) {
            ane_gemm g = product_of(b, &w[i], columns, d);
            const ane_packed_product p = packed_product(b, &g);
            room = larger(room, ane_packed_room(&p, b->threads));
        }
    }
    b->a = numbers(larger(matrix, side)), b->b = numbers(side), b->c = numbers(larger(matrix, side));
    bool ok = b->a && b->b && b->c && posix_memalign(&b->packed, 64, (size_t)room + 64) == 0;
    return ok || ane_fail(e, ANE_ERROR_MEMORY, "bench gemm", "no memory for operands of %lld elements",
                     (long long)larger(matrix, side));
}

static void free_memory(bench *b) {
    free(b->a), free(b->b), free(b->c), free(b->packed);
    b->a = b->b = b->c = NULL, b->packed = NULL;
}

static bool measure(
    bench *b, const ane_model_config *c, const char *model, int64_t columns, json_t *rows, ane_error *e) {
    weight w[N_WEIGHTS];
    weights_of(c, w);
    bool ok = take_memory(b, w, columns, e);
    for (int i = 0; ok && i < N_WEIGHTS; i++) {
        int64_t n = strcmp(w[i].name, "head") == 0 && columns > HEAD_COLUMNS ? HEAD_COLUMNS : columns;
        b->peak = ane_peak_product_flops(b->bf16, b->threads);
        for (direction d = 0; ok && d < N_DIRECTIONS; d++) {
            json_t *row = row_of(b, &w[i], n, d, e);
            ok = row && json_object_set_new(row, "model", json_string(model)) == 0 &&
                 json_array_append_new(rows, row) == 0;
        }
    }
    free_memory(b);
    return ok;
}

static void print_rows(const json_t *rows) {
    size_t i;
    json_t *row;
    printf("%-12s %-10s %-9s %24s  %-5s %-12s %9s %8s %9s\n", "model", "weight", "product", "m x n x k", "",
        "kernel", "GFLOP/s", "of peak", "packing");
    json_array_foreach(rows, i, row) {
        char shape[64];
        bool a = json_is_true(json_object_get(row, "transpose_a")),
             t = json_is_true(json_object_get(row, "transpose_b"));
        snprintf(shape, sizeof shape, "%lld%s x %lld%s x %lld", json_integer_value(json_object_get(row, "m")),
            a ? "T" : "", json_integer_value(json_object_get(row, "n")), t ? "T" : "",
            json_integer_value(json_object_get(row, "k")));
        double ms = json_real_value(json_object_get(row, "ms")),
               packing = json_real_value(json_object_get(row, "packing_ms"));
        printf("%-12s %-10s %-9s %24s  %-5s %-12s %9.0f %7.0f%% %8.1f%%\n",
            json_string_value(json_object_get(row, "model")),
            json_string_value(json_object_get(row, "weight")),
            json_string_value(json_object_get(row, "product")), shape,
            json_string_value(json_object_get(row, "precision")),
            json_string_value(json_object_get(row, "kernel")),
            json_real_value(json_object_get(row, "gflops")),
            1e2 * json_real_value(json_object_get(row, "of_peak")), 1e2 * packing / ms);
    }
}

/* ---- the command ----------------------------------------------------------------------------------------------------- */

static bool choose_kernel(bench *b, const char *name, ane_error *e) {
    if (name && strcmp(name, "library") == 0) return true;
    b->kernel = ane_packed_kernel_find(b->bf16, name);
    return b->kernel || !name ||
           ane_fail(e, ANE_ERROR_ARGUMENT, "--products", "%s cannot be had here in %s", name,
               b->bf16 ? "bf16" : "fp32");
}

static bool measure_all(const cli_args *args, bench *b, json_t *rows, ane_error *e) {
    static const char *const models[] = {"stories15m", "stories110m"};
    static const int64_t all_columns[] = {256, 2048};
    const char *only = cli_string(args, "model"), *precision = cli_string(args, "precision");
    for (size_t m = 0; m < sizeof models / sizeof *models; m++) {
        ane_model_config c;
        const char *model = only ? only : models[m];
        if (!ane_model_preset(&c, model, e)) return false;
        for (size_t i = 0; i < sizeof all_columns / sizeof *all_columns; i++) {
            int64_t columns = cli_int(args, "columns") ? cli_int(args, "columns") : all_columns[i];
            for (int bf16 = 0; bf16 < 2; bf16++) {
                if (precision && strcmp(precision, bf16 ? "bf16" : "fp32") != 0) continue;
                b->bf16 = bf16, b->kernel = NULL;
                if (!choose_kernel(b, cli_string(args, "products"), e) ||
                    !measure(b, &c, model, columns, rows, e))
                    return false;
            }
            if (cli_int(args, "columns")) break;
        }
        if (only) break;
    }
    return true;
}

static int run(const cli_args *args, ane_error *e) {
    bench b = {.threads = (int)cli_int(args, "threads"), .seconds = cli_float(args, "time")};
    if (!b.threads) b.threads = ane_cpu_count();
    json_t *rows = json_array();
    bool ok = measure_all(args, &b, rows, e);
    if (ok && cli_flag(args, "json"))
        cli_put_json(json_pack("{s:i, s:O}", "threads", b.threads, "rows", rows));
    else if (ok)
        print_rows(rows);
    json_decref(rows);
    return ok ? CLI_OK : CLI_FAILED;
}

static const cli_option options[] = {
    {.name = "model",
        .letter = 'm',
        .kind = CLI_CHOICE,
        .value = "PRESET",
        .choices = "stories260k|stories15m|stories42m|stories110m",
        .help = "the shapes (default: stories15m and stories110m)"},
    {.name = "columns",
        .letter = 'c',
        .kind = CLI_INT,
        .value = "N",
        CLI_BETWEEN(1, 65536),
        .help = "tokens in a batch (default: 256 and 2048)"},
    {.name = "precision",
        .kind = CLI_CHOICE,
        .value = "P",
        .choices = "fp32|bf16",
        .help = "of the operands (default: both)"},
    {.name = "products",
        .kind = CLI_CHOICE,
        .value = "KERNEL",
        .choices = "amx|avx512bf16|avx512|library",
        .help = "what multiplies (default: the best there is)"},
    {.name = "threads",
        .kind = CLI_INT,
        .value = "N",
        CLI_BETWEEN(1, 1024),
        .help = "threads (default: all cores)"},
    {.name = "time",
        .kind = CLI_FLOAT,
        .value = "S",
        .fallback = "0.2",
        CLI_BETWEEN(0, 3600),
        .help = "seconds for each product"},
    {.name = "json", .kind = CLI_FLAG, .help = "print one JSON object"},
    {0},
};

const cli_command cli_bench_gemm = {
    .name = "bench gemm",
    .summary = "time every product of a training step against the processor's peak",
    .synopsis = (const char *const[]){"[--model PRESET] [--columns N] [options]", NULL},
    .description =
        "Forward, the input's gradient and the weight's gradient (added to fp32) of every weight, with "
        "operands as they lie in memory. GFLOP/s are medians; the peak is measured beside each weight's "
        "three, in registers: AMX's tiles where bf16 has them. More than four threads pack the right "
        "operand first, for all products of one input: told in percent of the product's time. Fewer pack "
        "it within that time.",
    .options = options,
    .examples = (const char *const[]){"anemone bench gemm --model stories110m --columns 256",
        "one sequence of 256 tokens", NULL},
    .run = run,
};
