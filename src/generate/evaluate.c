#include "anemone/generate.h"

#include <math.h>
#include <stdlib.h>

/* One evaluation: what is asked, and what it works with. */
typedef struct job {
    const ane_dataset *data;
    ane_split split;
    int32_t batch, seq;
    int64_t windows, batches;
    ane_network *network;
    int32_t *tokens, *targets; /* [batch, seq] */
} job;

/* The last batch may reach into the next epoch: what was seen already is not counted. */
static int64_t mask_repeated(const job *j, int64_t index) {
    int64_t rows = j->windows - index * j->batch;
    if (rows > j->batch) rows = j->batch;
    for (int64_t i = rows * j->seq; i < (int64_t)j->batch * j->seq; i++) j->targets[i] = -1;
    return rows * j->seq;
}

static bool run(const job *j, ane_evaluation *result, ane_error *e) {
    double sum = 0;
    for (int64_t i = 0; i < j->batches; i++) {
        double loss;
        if (!ane_dataset_batch(j->data, j->split, 0, i, j->batch, j->seq, j->tokens, j->targets, e))
            return false;
        int64_t counted = mask_repeated(j, i);
        if (!ane_network_loss(j->network, j->tokens, j->targets, 1, &loss, e)) return false;
        sum += loss * (double)counted;
        result->tokens += counted;
    }
    result->loss = sum / (double)result->tokens;
    return true;
}

static double bits_per_byte(const job *j, double loss) {
    int64_t bytes = ane_dataset_text_bytes(j->data, j->split), tokens = ane_dataset_tokens(j->data, j->split);
    if (bytes <= 0) return -1;
    return loss / log(2) * (double)tokens / (double)bytes;
}

static bool check(const job *j, ane_error *e) {
    if (j->batch < 1 || j->seq < 1)
        return ane_fail(e, ANE_ERROR_ARGUMENT, "evaluation",
            "Expected a batch and a sequence of at least 1, found %d "
            "and %d.",
            j->batch, j->seq);
    if (j->windows > 0) return true;
    ane_fail(e, ANE_ERROR_ARGUMENT, "evaluation",
        "The data has %lld tokens, fewer than one sequence of %d and its "
        "target.",
        (long long)ane_dataset_tokens(j->data, j->split), j->seq);
    return ane_hint(e, "Take a shorter sequence or more data.");
}

bool ane_evaluate(ane_device *d, ane_weights *weights, const ane_dataset *data, ane_split split,
    int32_t batch, int32_t seq, int64_t max_batches, ane_evaluation *result, ane_error *e) {
    job j = {.data = data, .split = split, .batch = batch, .seq = seq};
    *result = (ane_evaluation){0};
    if (batch > 0 && seq > 0) j.windows = ane_dataset_windows(data, split, seq);
    if (!check(&j, e)) return false;
    j.batches = (j.windows + batch - 1) / batch;
    if (max_batches > 0 && max_batches < j.batches) j.batches = max_batches;
    size_t count = (size_t)batch * (size_t)seq;
    j.tokens = malloc(2 * count * sizeof *j.tokens);
    bool ok = j.tokens || ane_fail(e, ANE_ERROR_MEMORY, "evaluation", "Out of memory for %zu tokens.", count);
    if (ok) {
        j.targets = j.tokens + count;
        j.network = ane_network_new(d, weights, NULL, batch, seq, NULL, e);
    }
    ok = ok && j.network && run(&j, result, e);
    result->perplexity = exp(result->loss);
    result->bits_per_byte = bits_per_byte(&j, result->loss);
    ane_network_free(j.network);
    free(j.tokens);
    return ok;
}
