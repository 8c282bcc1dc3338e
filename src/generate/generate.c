#include "anemone/generate.h"

#include "base/clock.h"
#include "base/random.h"

#include <stdlib.h>

static bool check(const ane_decoder *d, const int32_t *prompt, int32_t n, ane_error *e) {
    int32_t vocab = ane_decoder_vocab_size(d), room = ane_decoder_positions(d) - ane_decoder_position(d);
    if (n < 1) {
        ane_fail(e, ANE_ERROR_ARGUMENT, "prompt", "Expected at least one token, found %d.", n);
        return ane_hint(e, "Begin with the tokenizer's begin token when there is no text.");
    }
    if (n > room)
        return ane_fail(
            e, ANE_ERROR_ARGUMENT, "prompt", "The prompt has %d tokens, but there is room for %d.", n, room);
    for (int32_t i = 0; i < n; i++)
        if (prompt[i] < 0 || prompt[i] >= vocab)
            return ane_fail(e, ANE_ERROR_ARGUMENT, "prompt",
                "Token %d at position %d is not in a vocabulary of %d.", prompt[i], i, vocab);
    return true;
}

/* Sample, tell, feed, until something says stop; logits hold those behind the last token. */
static bool decode(ane_decoder *d, float *logits, int32_t max_new, int32_t stop_token, const ane_sampling *s,
    ane_token_fn *each, void *context, int32_t *new_tokens, ane_error *e) {
    ane_rng rng = ane_rng_new(s->seed, 0);
    int32_t vocab = ane_decoder_vocab_size(d);
    for (*new_tokens = 0; *new_tokens < max_new;) {
        int32_t token = ane_sample(logits, vocab, s, s->temperature > 0 ? ane_rng_uniform(&rng) : 0);
        if (token == stop_token) return true;
        ++*new_tokens;
        if (each && !each(context, token)) return true;
        bool last = *new_tokens == max_new || ane_decoder_position(d) == ane_decoder_positions(d);
        if (last) return true;
        if (!ane_decoder_feed(d, 1, &token, logits, e)) return false;
    }
    return true;
}

bool ane_generate(ane_decoder *d, const int32_t *prompt, int32_t n, int32_t max_new, int32_t stop_token,
    const ane_sampling *s, ane_token_fn *each, void *context, ane_generate_stats *stats, ane_error *e) {
    ane_generate_stats ignored;
    if (!stats) stats = &ignored;
    *stats = (ane_generate_stats){.prompt_tokens = n};
    if (!check(d, prompt, n, e)) return false;
    float *logits = malloc((size_t)ane_decoder_vocab_size(d) * sizeof *logits);
    if (!logits) return ane_fail(e, ANE_ERROR_MEMORY, "logits", "Out of memory.");
    double start = ane_clock_ms();
    bool ok = ane_decoder_feed(d, n, prompt, logits, e);
    double fed = ane_clock_ms();
    ok = ok && decode(d, logits, max_new, stop_token, s, each, context, &stats->new_tokens, e);
    stats->prompt_ms = fed - start;
    stats->decode_ms = ane_clock_ms() - fed;
    free(logits);
    return ok;
}
