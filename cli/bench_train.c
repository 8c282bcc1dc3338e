/* bench_train.c - `anemone bench train`: how long a training step takes. */
#include "cli/bench.h"
#include "cli/commands.h"
#include "cli/common.h"
#include "cli/profile.h"
#include "cli/recipes.h"

#include "base/clock.h"
#include "measure/training.h"

#include <math.h>
#include <stdlib.h>
#include <sys/resource.h>

enum { WARM_UP = 3 }; /* steps that are not counted: first touch of memory, first choice of kernels */

/* What is timed in a step. */
enum { STEP, FORWARD, BACKWARD, OPTIMIZER, N_TIMES };
static const char *const time_names[N_TIMES] = {"step_ms", "forward_ms", "backward_ms", "optimizer_ms"};

typedef struct bench {
    ane_training t;
    int64_t steps;
    double *ms[N_TIMES];       /* steps each */
    ane_network_timers timers; /* of all steps */
} bench;

static void free_bench(bench *b) {
    ane_training_close(&b->t);
    for (int i = 0; i < N_TIMES; i++) free(b->ms[i]);
}

static bool open_bench(const cli_args *args, bench *b, ane_error *e) {
    ane_model_config c;
    const char *weights;
    char spec[640];
    ane_placement placement;
    b->steps = cli_int(args, "steps");
    if (!ane_model_preset(&c, cli_string(args, "model"), e)) return false;
    const int32_t seq = (int32_t)cli_int(args, "seq");
    if (c.max_seq < seq) c.max_seq = seq; /* what is timed has no weights that were made for fewer */
    if (!cli_read_placement(args, &placement, &weights, e) ||
        !cli_device_spec(args, weights, spec, sizeof spec, e) ||
        (cli_flag(args, "profile") && !cli_profile_spec(spec, sizeof spec, e)))
        return false;
    for (int i = 0; i < N_TIMES; i++) {
        b->ms[i] = calloc((size_t)b->steps, sizeof(double));
        if (!b->ms[i]) return ane_fail(e, ANE_ERROR_MEMORY, NULL, "out of memory");
    }
    return ane_training_open(&b->t, spec, &c, (int32_t)cli_int(args, "batch"), seq, &placement, e);
}

static void add_timers(ane_network_timers *sum, ane_network_timers t) {
    sum->embedding += t.embedding;
    sum->loss += t.loss;
    sum->backward += t.backward;
    sum->norms += t.norms;
    sum->products += t.products;
    sum->scatter += t.scatter;
}

/* Where gradients are not kept, the update runs the way back. */
static bool run_step(bench *b, ane_network_timers *timers, double ms[N_TIMES], ane_error *e) {
    const double start = ane_clock_ms();
    ane_training_times micro, update, told;
    if (!ane_training_micro_step(&b->t, &micro, e)) return false;
    const double optimizer = ane_clock_ms();
    if (!ane_training_optimize(&b->t, &update, e) || !ane_training_tell(&b->t, &told, e)) return false;
    const double end = ane_clock_ms();
    *timers = micro.network;
    add_timers(timers, update.network);
    ms[STEP] = end - start;
    ms[FORWARD] = timers->embedding + timers->forward + timers->head + timers->loss;
    ms[BACKWARD] = ane_network_back_ms(timers);
    ms[OPTIMIZER] = end - optimizer - ane_network_back_ms(&update.network);
    return true;
}

static bool run_steps(bench *b, ane_error *e) {
    for (int64_t i = -WARM_UP; i < b->steps; i++) {
        double ms[N_TIMES] = {0};
        ane_network_timers timers;
        if (i == 0) ane_device_profile_reset(b->t.device);
        if (!run_step(b, &timers, ms, e)) return false;
        for (int k = 0; i >= 0 && k < N_TIMES; k++) b->ms[k][i] = ms[k];
        if (i >= 0) add_timers(&b->timers, timers);
    }
    return true;
}

static double peak_rss_mib(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
#if defined(__APPLE__)
    return (double)usage.ru_maxrss / (1 << 20); /* bytes there, KiB elsewhere */
#else
    return (double)usage.ru_maxrss / (1 << 10);
#endif
}

static json_t *result(const cli_args *args, bench *b) {
    const ane_capabilities *c = ane_device_capabilities(b->t.device);
    const ane_model_config *m = &b->t.weights->config;
    json_t *o = json_pack("{s:s, s:s, s:s, s:i, s:i, s:s, s:i, s:I, s:I, s:f, s:f}", "system",
        "anemone " ANEMONE_VERSION, "device", c->description, "model", cli_string(args, "model"), "batch",
        b->t.batch, "seq", b->t.seq, "precision", ane_precision_name(c->precision), "threads", c->threads,
        "parameters", (json_int_t)ane_model_parameter_count(m), "steps", (json_int_t)b->steps, "final_loss",
        b->t.loss, "lnV", log(m->vocab_size));
    for (int i = 0; o && i < N_TIMES; i++)
        json_object_set_new(o, time_names[i], cli_json_spread(b->ms[i], (int)b->steps));
    double ms = json_real_value(json_object_get(json_object_get(o, "step_ms"), "median"));
    json_object_set_new(o, "tokens_per_second", json_real(1e3 * b->t.batch * b->t.seq / ms));
    json_object_set_new(o, "gflops", json_real(ane_network_step_flops(b->t.network) / ms / 1e6));
    json_object_set_new(o, "peak_rss_mib", json_integer((json_int_t)peak_rss_mib()));
    return o;
}

static double sum_of(const double *x, int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += x[i];
    return sum;
}

/* What the host does beside the device's plans, and what it must do at least. */
static json_t *profile(const bench *b, ane_error *e) {
    const ane_model_config *m = &b->t.weights->config;
    double parameters = (double)ane_model_parameter_count(m), columns = (double)b->t.batch * b->t.seq;
    double logits = columns * m->vocab_size, x = columns * m->dim, n = (double)b->steps;
    const cli_host_work host[] = {
        {"embedding", 0, 8 * x, b->timers.embedding / n},
        {"loss", 0, 8 * logits, b->timers.loss / n},
        {"weight gradients", ane_network_product_flops(b->t.network), 8 * parameters, b->timers.products / n},
        {"embedding's gradient", 0, 12 * x, b->timers.scatter / n},
        {"optimizer", 0, 28 * parameters, sum_of(b->ms[OPTIMIZER], b->steps) / n},
    };
    return cli_profile(
        b->t.device, b->steps, sum_of(b->ms[STEP], b->steps) / n, (int)(sizeof host / sizeof *host), host, e);
}

static void print_result(const json_t *o) {
    printf("%s: %s, batch %lld, sequence %lld, %s, %lld threads\n",
        json_string_value(json_object_get(o, "system")), json_string_value(json_object_get(o, "model")),
        json_integer_value(json_object_get(o, "batch")), json_integer_value(json_object_get(o, "seq")),
        json_string_value(json_object_get(o, "precision")),
        json_integer_value(json_object_get(o, "threads")));
    for (int i = 0; i < N_TIMES; i++) {
        const json_t *t = json_object_get(o, time_names[i]);
        printf("  %-13s median %9.2f  least %9.2f  most %9.2f\n", time_names[i],
            json_real_value(json_object_get(t, "median")), json_real_value(json_object_get(t, "min")),
            json_real_value(json_object_get(t, "max")));
    }
    printf("  %.0f tokens/s, %.1f GFLOP/s, peak memory %lld MiB\n",
        json_real_value(json_object_get(o, "tokens_per_second")),
        json_real_value(json_object_get(o, "gflops")),
        json_integer_value(json_object_get(o, "peak_rss_mib")));
}

static int run_one(const cli_args *args, ane_error *e) {
    bench b = {0};
    bool ok = open_bench(args, &b, e) && run_steps(&b, e);
    json_t *steps = ok && cli_flag(args, "profile") ? profile(&b, e) : NULL;
    ok = ok && (steps || !cli_flag(args, "profile"));
    if (ok) {
        json_t *o = result(args, &b);
        if (!cli_flag(args, "json")) {
            print_result(o);
            if (steps) cli_profile_print(steps, "training step");
        } else {
            if (steps) json_object_set(o, "profile", steps);
            cli_put_json(json_incref(o));
        }
        json_decref(o);
    }
    json_decref(steps);
    free_bench(&b);
    return ok ? CLI_OK : CLI_FAILED;
}

static int run(const cli_args *args, ane_error *e) {
    static const char *const own[] = {"model", "batch", "seq", "steps", "profile", "recipe", "weights",
        "head", "norms-backward", "dw", NULL};
    return cli_bench_one_or_run(args, "train", own, run_one, e);
}

static const cli_option options[] = {
    {.name = "model",
        .letter = 'm',
        .kind = CLI_CHOICE,
        .value = "PRESET",
        .choices = "stories260k|stories15m|stories42m|stories110m",
        .fallback = "stories15m",
        .help = "the shape"},
    CLI_BATCH_OPTION("1"),
    CLI_SEQ_OPTION,
    {.name = "steps",
        .letter = 'n',
        .kind = CLI_INT,
        .value = "N",
        .fallback = "12",
        CLI_BETWEEN(1, 1000000),
        .help = "steps that are timed, behind three that are not"},
    {.name = "profile",
        .kind = CLI_FLAG,
        .help = "every step of the device's plans against its own bound, sorted by time lost (CPU)"},
    CLI_BENCH_OPTIONS,
    CLI_DEVICE_OPTIONS,
    CLI_WEIGHTS_OPTION,
    CLI_PLACEMENT_OPTIONS,
    {0},
};

const cli_command cli_bench_train = {
    .name = "bench train",
    .summary = "time a training step: one, or by every design of the field",
    .synopsis = (const char *const[]){"[options]", "--model PRESET [options]", NULL},
    .description =
        "Without options of its own, the benchmark's cases: the designs of the field as recipes, with the "
        "efficiency report. With one of them (--model, --batch, --seq, --steps, --recipe, --weights, "
        "--head, --norms-backward, --dw, --profile), "
        "times whole training steps (forward, backward, AdamW) on random tokens: medians, and "
        "what they come to in "
        "tokens/s, GFLOP/s (products only, 2 per multiply-add) and peak memory of this process.",
    .options = options,
    .examples =
        (const char *const[]){"anemone bench train --model stories110m --batch 1 --seq 256 --steps 12 --json",
            "one object for a program to read",
            "anemone bench train --device ane:emulator,chip=m4-max --recorded",
            "the field's recipes on an emulated chip, beside what was recorded of it", NULL},
    .run = run,
};
