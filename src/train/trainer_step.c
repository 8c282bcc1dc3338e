/* One step: batches, loss and gradients, update. Every part is timed by the clock; see runlog.h. */
#include "train/trainer.h"

#include "base/clock.h"

#include <math.h>

enum { SCALE_GROWS_AFTER = 2000 };
static const double LARGEST_SCALE = 16777216; /* 2^24 */

/* Mean loss of the accumulated batches; gradients are those of the mean, times the loss scale. */
static bool forward_backward(ane_trainer *t, ane_step_record *r, ane_error *e) {
    const ane_train_options *o = &t->config.options;
    double scale = t->state.loss_scale / o->accumulate, sum = 0;
    ane_network_clear_gradients(t->network);
    for (int32_t i = 0; i < o->accumulate; i++) {
        double start = ane_clock_ms(), loss;
        if (!ane_dataset_batch(t->data, ANE_TRAIN, o->seed, t->state.data_position, o->batch, o->seq,
                t->tokens, t->targets, e))
            return false;
        t->state.data_position++;
        r->timers.data += ane_clock_ms() - start;
        if (!ane_network_loss(t->network, t->tokens, t->targets, scale, &loss, e)) return false;
        sum += loss;
    }
    r->loss = sum / o->accumulate;
    return true;
}

/* Loss scaling as for any fp16 training (Micikevicius et al. 2018, arXiv:1710.03740), but that nothing is lost: while
 * the scale can still fall, an overflow of the gradient has the same batches run again at half of it. A long time
 * without doubles it. Other precisions need none: their scale stays 1. */
static bool must_repeat(ane_trainer *t, const ane_step_record *r) {
    ane_train_state *s = &t->state;
    if (!r->skipped || !isfinite(r->loss) || t->config.precision != ANE_FP16 || s->loss_scale <= 1)
        return false;
    s->loss_scale = fmax(1, s->loss_scale / 2);
    s->good_steps = 0;
    s->data_position -= t->config.options.accumulate;
    return true;
}

static void adapt_scale(ane_trainer *t, bool skipped) {
    ane_train_state *s = &t->state;
    if (t->config.precision != ANE_FP16) return;
    if (skipped) {
        s->good_steps = 0;
    } else if (++s->good_steps == SCALE_GROWS_AFTER) {
        s->loss_scale = fmin(LARGEST_SCALE, s->loss_scale * 2);
        s->good_steps = 0;
    }
}

static double back_ms(const ane_trainer *t) {
    const ane_network_timers timers = ane_network_timers_get(t->network);
    return ane_network_back_ms(&timers);
}

/* A loss that is no number must change nothing, whatever the gradients are: a scale that is no number sees to
 * that. What of the way back is run for the update's sake is the network's time. */
static bool update(ane_trainer *t, ane_step_record *r, ane_error *e) {
    double start = ane_clock_ms(), scale = isfinite(r->loss) ? 1 / t->state.loss_scale : NAN;
    double before = back_ms(t);
    int threads = ane_device_capabilities(t->device)->threads;
    r->lr = ane_schedule_lr(&t->config.options.schedule, t->state.step);
    if (!ane_adamw_step(
            t->optimizer, t->network, t->weights, t->tokens, scale, r->lr, threads, &r->grad_norm, e))
        return false;
    r->skipped = !isfinite(r->grad_norm);
    t->weights_changed |= !r->skipped;
    r->timers.optimizer += ane_clock_ms() - start - (back_ms(t) - before);
    return true;
}

/* At the begin of the step that uses them: so a device that fails does it where nothing is half done. */
static bool tell_network(ane_trainer *t, ane_step_record *r, ane_error *e) {
    double start = ane_clock_ms();
    if (t->weights_changed && !ane_network_weights_changed(t->network, e)) return false;
    t->weights_changed = false;
    r->timers.weights += ane_clock_ms() - start;
    return true;
}

static void rate(const ane_trainer *t, ane_step_record *r) {
    double seconds = r->ms / 1e3, flops = ane_network_step_flops(t->network) * t->config.options.accumulate;
    r->tokens_per_second = (double)r->tokens / seconds;
    r->mfu = t->peak_flops > 0 ? flops / seconds / t->peak_flops : 0;
}

/* Failed, it leaves the state as it was: the run can be saved, and goes on with this step; unless the error says otherwise
 * (ane_adamw_step). */
static bool try_step(ane_trainer *t, ane_step_record *r, ane_error *e) {
    const ane_train_state before = t->state;
    bool ok = tell_network(t, r, e);
    do {
        ok = ok && forward_backward(t, r, e);
        ok = ok && update(t, r, e);
    } while (ok && must_repeat(t, r) && ++r->repeats);
    if (!ok) t->state = before;
    return ok;
}

bool ane_trainer_step(ane_trainer *t, ane_step_record *r, ane_error *e) {
    const ane_train_options *o = &t->config.options;
    double start = ane_clock_ms();
    *r = (ane_step_record){.step = t->state.step + 1,
        .tokens = (int64_t)o->batch * o->seq * o->accumulate,
        .timers.report = t->report_ms};
    const ane_device_counts before = ane_device_counts_get(t->device);
    ane_network_timers_reset(t->network);
    if (!try_step(t, r, e)) return false;
    r->loss_scale = t->state.loss_scale;
    adapt_scale(t, r->skipped);
    t->skipped_in_a_row = r->skipped ? t->skipped_in_a_row + 1 : 0;
    const ane_device_counts after = ane_device_counts_get(t->device);
    r->device = ane_device_counts_since(&after, &before);
    r->timers.network = ane_network_timers_get(t->network);
    t->state.step++;
    t->state.tokens += r->tokens;
    r->ms = ane_clock_ms() - start + t->report_ms;
    t->state.seconds += r->ms / 1e3;
    rate(t, r);
    return true;
}
