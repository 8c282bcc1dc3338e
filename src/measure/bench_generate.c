/* bench_generate.c - generating: the prompt at once, then token by token. */
#include "anemone/model.h"
#include "base/clock.h"
#include "base/random.h"
#include "measure/check.h"

#include <stdlib.h>
#include <string.h>

typedef struct generation {
    ane_bench *bench;
    ane_weights *weights;
    ane_decoder *decoder;
    int32_t prompt, more, *tokens; /* prompt + more of them */
    float *logits;                 /* [2, vocab]: behind the prompt, behind the last token */
    ane_samples prefill, decode;   /* time on the device of a prompt, of a token */
} generation;

static ane_device_counts since(ane_device *d, const ane_device_counts *before) {
    const ane_device_counts now = ane_device_counts_get(d);
    return ane_device_counts_since(&now, before);
}

/* Feed n tokens; adds to the times, and to the samples what each token took on the device. */
static bool feed(generation *g, int32_t n, const int32_t *tokens, float *logits, ane_run_stats *stats,
    ane_samples *to, ane_error *e) {
    const ane_device_counts before = ane_device_counts_get(g->bench->device);
    const double start = ane_clock_ms();
    if (!ane_decoder_feed(g->decoder, n, tokens, logits, e)) return false;
    const double host = ane_clock_ms() - start;
    const ane_device_counts d = since(g->bench->device, &before);
    const double device = strcmp(g->bench->capabilities->device, "cpu") == 0 ? host : d.device_ms;
    stats->host_ms += host;
    stats->device_ms += device;
    stats->modelled |= d.modelled;
    return ane_samples_add(to, device) || ane_fail(e, ANE_ERROR_MEMORY, "generate", "out of memory");
}

/* An ane_subject's `run`: prompt and tokens. */
static bool generate(void *context, ane_run_stats *stats, ane_error *e) {
    generation *g = context;
    const int32_t vocab = g->weights->config.vocab_size;
    *stats = (ane_run_stats){0};
    ane_decoder_reset(g->decoder);
    if (!feed(g, g->prompt, g->tokens, g->logits, stats, &g->prefill, e)) return false;
    for (int32_t i = 0; i < g->more; i++)
        if (!feed(g, 1, g->tokens + g->prompt + i, g->logits + vocab, stats, &g->decode, e)) return false;
    return true;
}

/* ---- verifying ------------------------------------------------------------------------------------------------------ */

static bool reference_logits(const generation *g, ane_decoder *d, float *wanted, ane_error *e) {
    if (!d || !ane_decoder_feed(d, g->prompt, g->tokens, wanted, e)) return false;
    float *last = wanted + g->weights->config.vocab_size;
    for (int32_t i = 0; i < g->more; i++)
        if (!ane_decoder_feed(d, 1, g->tokens + g->prompt + i, last, e)) return false;
    return true;
}

/* Weights of 8 bits round a prompt's numbers as well as a token's, but not alike: what comes of that in 12 loud layers was up to
 * 0.18 of the logits. What was not computed is 1 off and more. */
static double tolerance_of(const ane_bench *b) {
    return b->capabilities->precision == ANE_INT8 ? 0.3 : 0;
}

static bool verify(const generation *g, json_t *row, ane_error *e) {
    const int64_t n = 2 * (int64_t)g->weights->config.vocab_size;
    const char *against = ane_reference_spec(g->bench);
    ane_device *cpu = ane_device_open(against, e);
    ane_decoder *d = cpu ? ane_decoder_new(cpu, g->weights, g->prompt + g->more, e) : NULL;
    float *wanted = calloc((size_t)n, sizeof *wanted);
    bool ok = wanted != NULL || ane_fail(e, ANE_ERROR_MEMORY, "generate", "out of memory");
    ok = ok && reference_logits(g, d, wanted, e) &&
         ane_check_numbers(against, wanted, g->logits, n, tolerance_of(g->bench), row, e);
    free(wanted);
    ane_decoder_free(d);
    ane_device_close(cpu);
    return ok;
}

/* ---- measuring ------------------------------------------------------------------------------------------------------ */

/* Weights as after training, not as at its begin: there, all logits are about 0. */
static void draw_weights(ane_weights *w) {
    enum { LOUDER = 4 };
    ane_weights_init(w, 0);
    for (int i = 0; i < w->n_tensors; i++)
        for (int64_t k = 0; w->tensors[i].rank == 2 && k < w->tensors[i].count; k++)
            w->data[w->tensors[i].offset + k] *= LOUDER;
}

static bool make(generation *g, const json_t *row, ane_error *e) {
    ane_model_config c;
    if (!ane_model_preset(&c, ane_row_text(row, "model"), e)) return false;
    g->prompt = (int32_t)ane_row_int(row, "positions");
    g->more = (int32_t)ane_row_int(row, "new");
    g->weights = ane_weights_new(&c, e);
    if (!g->weights) return false;
    draw_weights(g->weights);
    g->tokens = calloc((size_t)g->prompt + (size_t)g->more, sizeof *g->tokens);
    g->logits = calloc(2 * (size_t)c.vocab_size, sizeof *g->logits);
    if (!g->tokens || !g->logits) return ane_fail(e, ANE_ERROR_MEMORY, "generate", "out of memory");
    ane_rng rng = ane_rng_new(1, 0);
    for (int32_t i = 0; i < g->prompt + g->more; i++)
        g->tokens[i] = (int32_t)ane_rng_below(&rng, (uint64_t)c.vocab_size);
    g->decoder = ane_decoder_new(g->bench->device, g->weights, g->prompt + g->more, e);
    return g->decoder != NULL;
}

static void destroy(generation *g) {
    ane_decoder_free(g->decoder);
    ane_weights_free(g->weights);
    free(g->tokens);
    free(g->logits);
    free(g->prefill.x);
    free(g->decode.x);
}

static void put_rates(generation *g, json_t *row) {
    const double prefill = ane_stats_of(g->prefill.x, g->prefill.n).median;
    const double decode = ane_stats_of(g->decode.x, g->decode.n).median;
    ane_row_metric(row, "prefill_ms", prefill);
    ane_row_metric(row, "prefill_tokens_per_second", 1e3 * g->prompt / prefill);
    ane_row_metric(row, "decode_ms", decode);
    ane_row_metric(row, "decode_tokens_per_second", 1e3 / decode);
}

static bool measure(generation *g, json_t *row, ane_error *e) {
    ane_subject s = {.run = generate, .context = g};
    ane_times times;
    const ane_device_counts before = ane_device_counts_get(g->bench->device);
    ane_run_stats first;
    if (!generate(g, &first, e)) return false;
    s.flops = since(g->bench->device, &before).flops;
    g->prefill.n = g->decode.n = 0; /* the first run touches new memory */
    memset(g->logits, 0, 2 * (size_t)g->weights->config.vocab_size * sizeof *g->logits);
    if (!ane_bench_repeat(g->bench, &s, &times, e) || !verify(g, row, e)) return false;
    ane_bench_put_times(g->bench, row, &times, s.flops);
    put_rates(g, row);
    return true;
}

static bool run(ane_bench *b, json_t *row, ane_error *e) {
    generation g = {.bench = b};
    bool ok = make(&g, row, e) && measure(&g, row, e);
    destroy(&g);
    return ok;
}

static void cases(ane_bench *b, json_t *list) {
    static const struct {
        const char *model;
        int prompt, more;
        bool quick;
    } all[] = {{"stories260k", 64, 16, true}, {"stories15m", 64, 16, false}, {"stories15m", 224, 32, false},
        {"stories110m", 256, 16, false}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        if (b->options.quick && !all[i].quick) continue;
        json_t *config = json_pack(
            "{s:s, s:i, s:i}", "model", all[i].model, "positions", all[i].prompt, "new", all[i].more);
        ane_case_add(list, config, "%s-%d", all[i].model, all[i].prompt);
    }
}

const ane_benchmark ane_bench_generate = {
    .info = {"generate", "a prompt at once, then token by token", ""},
    .cases = cases,
    .run = run,
};
