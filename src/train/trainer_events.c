/* What a run says: every event goes to the log and to the listener. */
#include "train/trainer.h"

#include "base/clock.h"
#include "base/decimal.h"
#include "base/random.h"
#include "train/checkpoint.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void tell(ane_trainer *t, ane_train_event event) {
    event.step = t->state.step;
    event.total_steps = t->config.options.steps;
    if (t->listener) t->listener(t->context, &event);
}

bool ane_trainer_say(ane_trainer *t, const char *type, const char *text, ane_error *e) {
    bool warning = strcmp(type, "warning") == 0;
    tell(t, (ane_train_event){.type = warning ? ANE_EVENT_WARNING : ANE_EVENT_START, .text = text});
    return ane_runlog_text(&t->log, type, t->state.step, text, e);
}

/* The time left, from a mean of the steps' times in which a step counts half after ten more. */
static double seconds_left(ane_trainer *t, double ms) {
    enum { HALF_LIFE = 10 };
    const double fresh = 0.693 / HALF_LIFE;
    t->smoothed_ms = t->smoothed_ms > 0 ? t->smoothed_ms + fresh * (ms - t->smoothed_ms) : ms;
    return (double)(t->config.options.steps - t->state.step) * t->smoothed_ms / 1e3;
}

static bool say_repeats(ane_trainer *t, const ane_step_record *r, ane_error *e) {
    char text[200];
    ane_print(text, sizeof text,
        "In step %lld the gradient overflowed fp16: its batches were run again, with the loss scale at %g in "
        "the end.",
        (long long)r->step, r->loss_scale);
    return ane_trainer_say(t, "warning", text, e);
}

static bool say_skipped(ane_trainer *t, const ane_step_record *r, ane_error *e) {
    char text[200];
    ane_print(text, sizeof text,
        "Step %lld is skipped: its loss is %g, its gradient is not finite. The weights stay as they were.",
        (long long)r->step, r->loss);
    return ane_trainer_say(t, "warning", text, e);
}

bool ane_trainer_report_step(ane_trainer *t, const ane_step_record *r, ane_error *e) {
    double start = ane_clock_ms();
    tell(t, (ane_train_event){.type = ANE_EVENT_STEP,
                .loss = r->loss,
                .lr = r->lr,
                .grad_norm = r->grad_norm,
                .ms = r->ms,
                .tokens_per_second = r->tokens_per_second,
                .mfu = r->mfu,
                .eta_seconds = seconds_left(t, r->ms),
                .tokens = r->tokens,
                .skipped = r->skipped});
    bool ok = ane_runlog_step(&t->log, r, e);
    ok = ok && (!r->repeats || say_repeats(t, r, e)) && (!r->skipped || say_skipped(t, r, e));
    t->report_ms = ane_clock_ms() - start;
    return ok;
}

bool ane_trainer_tell_notices(ane_trainer *t, ane_error *e) {
    char text[512];
    while (ane_device_take_notice(t->device, text, sizeof text))
        if (!ane_trainer_say(t, "warning", text, e)) return false;
    return true;
}

bool ane_trainer_evaluate(ane_trainer *t, ane_error *e) {
    const ane_train_options *o = &t->config.options;
    ane_evaluation v;
    if (!ane_evaluate(
            t->device, t->weights, t->data, ANE_VALIDATION, o->batch, o->seq, o->eval_batches, &v, e))
        return false;
    tell(t, (ane_train_event){.type = ANE_EVENT_EVAL, .eval_loss = v.loss, .tokens = v.tokens});
    return ane_runlog_eval(&t->log, t->state.step, &v, e);
}

/* ---- samples ------------------------------------------------------------------------------------------- */

/* Tokens of a sample: the prompt, then what the model adds. */
typedef struct sample {
    int32_t *ids;
    int32_t n, capacity;
} sample;

static bool add_token(void *context, int32_t token) {
    sample *s = context;
    s->ids[s->n++] = token;
    return s->n < s->capacity;
}

/* The prompt's tokens in front of room for `length` in all; an empty prompt without a begin token is token 0.
 */
static bool begin_sample(const ane_trainer *t, int32_t length, sample *s, ane_error *e) {
    const char *prompt = t->config.options.sample_prompt ? t->config.options.sample_prompt : "";
    int32_t *ids;
    size_t n;
    if (!ane_tokenizer_encode(t->tokenizer, prompt, strlen(prompt), true, &ids, &n, e)) return false;
    if (n > (size_t)length) n = (size_t)length;
    *s = (sample){calloc((size_t)length, sizeof *ids), n ? (int32_t)n : 1, length};
    if (s->ids && n) memcpy(s->ids, ids, n * sizeof *ids);
    free(ids);
    return s->ids || ane_fail(e, ANE_ERROR_MEMORY, "sample", "Out of memory for %d tokens.", length);
}

static bool continue_sample(ane_trainer *t, sample *s, ane_error *e) {
    ane_rng rng;
    memcpy(rng.state, t->state.rng, sizeof rng.state);
    const ane_sampling sampling = {.temperature = 0.8, .top_p = 0.95, .seed = ane_rng_u64(&rng)};
    ane_decoder *d = ane_decoder_new(t->device, t->weights, s->capacity, e);
    int32_t prompt = s->n, room = s->capacity - s->n, eos = ane_tokenizer_eos(t->tokenizer);
    bool ok =
        d && (room == 0 || ane_generate(d, s->ids, prompt, room, eos, &sampling, add_token, s, NULL, e));
    ane_decoder_free(d);
    if (ok) memcpy(t->state.rng, rng.state, sizeof rng.state); /* one that failed is drawn again */
    return ok;
}

bool ane_trainer_sample(ane_trainer *t, ane_error *e) {
    sample s = {0};
    char *text = NULL;
    bool ok = begin_sample(t, t->config.options.seq, &s, e) && continue_sample(t, &s, e) &&
              ane_tokenizer_decode(t->tokenizer, s.ids, (size_t)s.n, &text, NULL, e);
    if (ok) tell(t, (ane_train_event){.type = ANE_EVENT_SAMPLE, .text = text});
    ok = ok && ane_runlog_text(&t->log, "sample", t->state.step, text, e);
    free(text);
    free(s.ids);
    return ok;
}

/* ---- saving and ending --------------------------------------------------------------------------------- */

bool ane_trainer_save(ane_trainer *t, bool must, ane_error *e) {
    ane_error reason = {0};
    ane_path path;
    if (!ane_path_set(&path, e, "%s/checkpoints/step-%lld", t->run.text, (long long)t->state.step))
        return false;
    if (ane_runlog_sync(&t->log, &reason) &&
        ane_checkpoint_save(t->run.text, &t->state, t->weights, t->optimizer, t->tokenizer,
            t->config.options.keep, &reason)) {
        t->saved_step = t->state.step;
        t->saved_owes = t->state.owes;
        tell(t, (ane_train_event){.type = ANE_EVENT_SAVE, .text = path.text});
        return ane_runlog_text(&t->log, "save", t->state.step, path.text, e);
    }
    if (must) {
        if (e) *e = reason;
        return false;
    }
    char text[sizeof reason + 64];
    snprintf(text, sizeof text, "The checkpoint was not saved: %s: %s; %s", reason.where, reason.message,
        reason.hint);
    return ane_trainer_say(t, "warning", text, e);
}

bool ane_trainer_end(ane_trainer *t, bool interrupted, ane_error *e) {
    char text[ANE_PATH_BYTES + 64];
    bool complete = t->state.step >= t->config.options.steps;
    snprintf(text, sizeof text, complete ? "%s" : "anemone train --resume %s", t->run.text);
    tell(t, (ane_train_event){.type = ANE_EVENT_END, .text = text, .interrupted = interrupted});
    const ane_device_counts all = ane_device_counts_get(t->device);
    return ane_runlog_end(&t->log, t->state.step, interrupted, &all, e);
}
