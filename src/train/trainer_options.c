#include "train/trainer.h"

#include <limits.h>
#include <math.h>

void ane_train_defaults(ane_train_options *o) {
    *o = (ane_train_options){.device = "cpu",
        .steps = 1000,
        .batch = 8,
        .seq = 256,
        .accumulate = 1,
        .schedule = {.kind = ANE_COSINE, .lr = 5e-4, .min_lr = 0, .warmup = 100, .total = 1000, .decay = 100},
        .adamw = {.beta1 = 0.9, .beta2 = 0.95, .epsilon = 1e-8, .weight_decay = 0.1, .clip = 1},
        .validation = 0.05,
        .eval_every = 100,
        .eval_batches = 8,
        .save_every = 500,
        .log_every = 10,
        .keep = 3,
        .sample_prompt = ""};
}

typedef struct range {
    const char *name;
    double value, least, most;
} range;

/* The ranges are the widest that mean something; NaN is in none. */
static bool in_ranges(const ane_train_options *o, ane_error *e) {
    const ane_adamw_options *a = &o->adamw;
    const double any = 1e300, count = 0x1p53; /* counts must stay exact as doubles */
    const range ranges[] = {
        {"steps", (double)o->steps, 1, count},
        {"stop_after", (double)o->stop_after, 0, count},
        {"batch", o->batch, 1, INT_MAX},
        {"seq", o->seq, 1, INT_MAX},
        {"accumulate", o->accumulate, 1, INT_MAX},
        {"lr", o->schedule.lr, 0, any},
        {"min_lr", o->schedule.min_lr, 0, any},
        {"warmup", (double)o->schedule.warmup, 0, count},
        {"decay", (double)o->schedule.decay, 0, count},
        {"beta1", a->beta1, 0, 1 - 1e-12},
        {"beta2", a->beta2, 0, 1 - 1e-12},
        {"epsilon", a->epsilon, 1e-30, any},
        {"weight_decay", a->weight_decay, 0, any},
        {"clip", a->clip, 0, any},
        {"validation", o->validation, 0, 1 - 1e-12},
        {"eval_every", (double)o->eval_every, 0, count},
        {"eval_batches", (double)o->eval_batches, 0, count},
        {"save_every", (double)o->save_every, 0, count},
        {"sample_every", (double)o->sample_every, 0, count},
        {"keep", o->keep, 0, INT_MAX},
    };
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++) {
        const range *r = &ranges[i];
        if (r->value >= r->least && r->value <= r->most) continue;
        return ane_fail(e, ANE_ERROR_ARGUMENT, r->name, "Expected a number from %g to %g, found %g.",
            r->least, r->most, r->value);
    }
    return true;
}

bool ane_train_options_check(const ane_train_options *o, ane_error *e) {
    if (!o->model || !*o->model)
        return ane_fail(
            e, ANE_ERROR_ARGUMENT, "model", "Expected a preset, a config.json, or weights; found nothing.");
    if (o->n_data < 1)
        return ane_fail(e, ANE_ERROR_ARGUMENT, "data", "Expected at least one file, found none.");
    if (!in_ranges(o, e)) return false;
    if ((int64_t)o->batch * o->seq > INT_MAX)
        return ane_fail(e, ANE_ERROR_ARGUMENT, "batch",
            "%d sequences of %d tokens are more than %d tokens a batch.", o->batch, o->seq, INT_MAX);
    if (o->accumulate == 1 || o->placement.recompute != ANE_RECOMPUTE_GRADIENTS) return true;
    ane_fail(e, ANE_ERROR_ARGUMENT, "accumulate",
        "Gradients of %d batches are to be added up, but none are kept where gradients are recomputed.",
        o->accumulate);
    return ane_hint(e, "Accumulate 1 batch, a larger one; or recompute blocks alone (--recompute block).");
}
