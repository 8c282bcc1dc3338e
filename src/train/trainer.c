/* The loop of a training run. */
#include "train/trainer.h"

#include <stdlib.h>

enum { MOST_SKIPPED = 10 };

/* Is it time for what happens every so many steps, and at the last one? */
static bool is_due(const ane_trainer *t, int64_t every) {
    return every > 0 && (t->state.step % every == 0 || t->state.step == t->config.options.steps);
}

static bool check_skipped(const ane_trainer *t, ane_error *e) {
    if (t->skipped_in_a_row < MOST_SKIPPED) return true;
    ane_fail(e, ANE_ERROR_NUMERIC, t->run.text,
        "The loss or the gradient was not finite in %d steps in a row.", MOST_SKIPPED);
    return ane_hint(e,
        "Begin a new run with a lower learning rate or a longer warm-up, perhaps from an earlier "
        "checkpoint's weights.");
}

static ane_train_owes owed(const ane_trainer *t) {
    const ane_train_options *o = &t->config.options;
    if (t->can_evaluate && is_due(t, o->eval_every)) return ANE_OWES_EVALUATION;
    return is_due(t, o->sample_every) ? ANE_OWES_SAMPLE : ANE_OWES_NOTHING;
}

/* Evaluation and sample come before the save: what they draw belongs to this step, and a resumed run does not
 * repeat them. What a used-up process leaves of them, the next one does first. */
static bool end_step(ane_trainer *t, ane_error *e) {
    const ane_train_options *o = &t->config.options;
    if (t->state.owes == ANE_OWES_EVALUATION) {
        if (!ane_trainer_evaluate(t, e)) return false;
        t->progressed = true;
        t->state.owes = is_due(t, o->sample_every) ? ANE_OWES_SAMPLE : ANE_OWES_NOTHING;
    }
    if (t->state.owes == ANE_OWES_SAMPLE) {
        if (!ane_trainer_sample(t, e)) return false;
        t->progressed = true;
        t->state.owes = ANE_OWES_NOTHING;
    }
    bool last = t->state.step == o->steps;
    return last || !is_due(t, o->save_every) || ane_trainer_save(t, false, e);
}

static bool step(ane_trainer *t, ane_error *e) {
    ane_step_record record;
    if (!ane_trainer_step(t, &record, e)) return false;
    t->progressed = true;
    if (!ane_trainer_report_step(t, &record, e) || !ane_trainer_tell_notices(t, e) || !check_skipped(t, e))
        return false;
    t->state.owes = owed(t);
    return end_step(t, e);
}

/* Is there a step to make, and leave to make it? */
static bool goes_on(const ane_trainer *t, const volatile int *stop) {
    bool at_limit = t->stop_after > 0 && t->state.step >= t->stop_after;
    return t->state.step < t->config.options.steps && !at_limit && !(stop && *stop);
}

/* A new process would come no further. */
static bool refuse_restart(ane_error *e) {
    e->code = ANE_ERROR_DEVICE;
    e->hint[0] = 0;
    return ane_hint(e, "Not even one step could be made: use --weights packed, which needs few programs.");
}

static bool is_saved(const ane_trainer *t) {
    return t->saved_step == t->state.step && t->saved_owes == t->state.owes;
}

/* A process that has used up what it gets can be followed by a new one, if it got anything done. */
static bool give_over(ane_trainer *t, ane_error *e) {
    ane_error why = *e;
    if (why.code != ANE_ERROR_EXHAUSTED) return false;
    if (!t->progressed) return refuse_restart(e);
    *e = (ane_error){0};
    if (!is_saved(t) && !ane_trainer_save(t, true, e)) return false;
    if (ane_trainer_say(t, "warning", why.message, e)) *e = why;
    return false;
}

static bool run(ane_trainer *t, const volatile int *stop, ane_error *e) {
    if (t->state.owes && !end_step(t, e)) return give_over(t, e);
    while (goes_on(t, stop))
        if (!step(t, e)) return give_over(t, e);
    if (!is_saved(t) && !ane_trainer_save(t, true, e)) return false;
    return ane_trainer_end(t, stop && *stop && t->state.step < t->config.options.steps, e);
}

bool ane_train(const ane_train_options *options, const char *resume, const volatile int *stop,
    ane_train_listener *listener, void *context, ane_error *e) {
    ane_error own = {0};
    if (!e) e = &own;
    ane_trainer *t = calloc(1, sizeof *t);
    if (!t) return ane_fail(e, ANE_ERROR_MEMORY, "trainer", "Out of memory.");
    t->log.fd = -1;
    t->listener = listener;
    t->context = context;
    bool ready = resume    ? ane_trainer_resume(t, resume, options, e)
                 : options ? ane_trainer_start(t, options, e)
                           : ane_fail(e, ANE_ERROR_ARGUMENT, "train", "Neither options nor a run to resume.");
    bool ok = ready && run(t, stop, e);
    if (!ready && e->code == ANE_ERROR_EXHAUSTED) refuse_restart(e);
    ane_trainer_free(t);
    free(t);
    return ok;
}
