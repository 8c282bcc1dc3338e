#include "cli/progress.h"

#include "cli/common.h"
#include "cli/report.h"

#include <math.h>
#include <string.h>

static const char *const event_names[] = {
    [ANE_EVENT_START] = "start",
    [ANE_EVENT_STEP] = "step",
    [ANE_EVENT_EVAL] = "eval",
    [ANE_EVENT_SAMPLE] = "sample",
    [ANE_EVENT_SAVE] = "save",
    [ANE_EVENT_WARNING] = "warning",
    [ANE_EVENT_END] = "end",
};

void cli_progress_break(cli_progress *p) {
    if (!p->bar_is_drawn) return;
    fputs("\n", stdout);
    fflush(stdout);
    p->bar_is_drawn = false;
}

/* "1h02m", "4m10s", "38s" */
static const char *print_duration(double seconds, char *text, size_t size) {
    if (!isfinite(seconds) || seconds < 0) seconds = 0;
    long s = (long)(seconds + 0.5);
    if (s >= 3600)
        snprintf(text, size, "%ldh%02ldm", s / 3600, s / 60 % 60);
    else if (s >= 60)
        snprintf(text, size, "%ldm%02lds", s / 60, s % 60);
    else
        snprintf(text, size, "%lds", s);
    return text;
}

enum { NUMBERS_TEXT = 200 };

/* "loss 2.3142  lr 4.9e-04  |g| 0.52  3,412 tokens/s  MFU 31 %  ETA 4m10s" */
static const char *print_numbers(const ane_train_event *v, char text[NUMBERS_TEXT]) {
    char eta[32], rate[32], loss[40] = "skipped: a gradient is not finite";
    if (!v->skipped) snprintf(loss, sizeof loss, "loss %.4f", v->loss);
    snprintf(text, NUMBERS_TEXT, "%s  lr %.2e  |g| %.2f  %s tokens/s  MFU %.0f %%  ETA %s", loss, v->lr,
        v->grad_norm, cli_thousands((int64_t)(v->tokens_per_second + 0.5), rate, sizeof rate), 100 * v->mfu,
        print_duration(v->eta_seconds, eta, sizeof eta));
    return text;
}

static void on_step(cli_progress *p, const ane_train_event *v) {
    char numbers[NUMBERS_TEXT];
    p->bar_is_drawn = p->style == CLI_PROGRESS_BAR;
    if (p->bar_is_drawn)
        cli_draw_bar(stdout, v->step, v->total_steps, print_numbers(v, numbers));
    else if (v->step == 1 || v->step == v->total_steps || v->step % p->log_every == 0 || v->skipped)
        printf(
            "step %lld/%lld  %s\n", (long long)v->step, (long long)v->total_steps, print_numbers(v, numbers));
}

static void on_end(const cli_progress *p, const ane_train_event *v) {
    if (v->interrupted || v->step < v->total_steps)
        printf("stopped after step %lld of %lld; to continue: anemone train --resume %s\n",
            (long long)v->step, (long long)v->total_steps, p->run);
    else
        printf("done: %s\nto sample: anemone generate --model %s\n", p->run, p->run);
}

static json_t *json_finite(double x) {
    return isfinite(x) ? json_real(x) : json_null();
}

static void put_json(const ane_train_event *v) {
    json_t *o = json_pack("{s:s, s:I, s:I}", "type", event_names[v->type], "step", (json_int_t)v->step,
        "total_steps", (json_int_t)v->total_steps);
    if (v->type == ANE_EVENT_STEP) {
        json_object_set_new(o, "loss", json_finite(v->loss));
        json_object_set_new(o, "lr", json_finite(v->lr));
        json_object_set_new(o, "grad_norm", json_finite(v->grad_norm));
        json_object_set_new(o, "tokens", json_integer(v->tokens));
        json_object_set_new(o, "ms", json_finite(v->ms));
        json_object_set_new(o, "tokens_per_second", json_finite(v->tokens_per_second));
        json_object_set_new(o, "mfu", json_finite(v->mfu));
        json_object_set_new(o, "eta_seconds", json_finite(v->eta_seconds));
        json_object_set_new(o, "skipped", json_boolean(v->skipped));
    }
    if (v->type == ANE_EVENT_EVAL) json_object_set_new(o, "loss", json_finite(v->eval_loss));
    if (v->type == ANE_EVENT_END) json_object_set_new(o, "interrupted", json_boolean(v->interrupted));
    if (v->text) json_object_set_new(o, "text", cli_json_text(v->text, strlen(v->text)));
    cli_put_json(o);
    fflush(stdout);
}

void cli_progress_event(void *context, const ane_train_event *v) {
    cli_progress *p = context;
    const char *text = v->text ? v->text : "";
    if (v->type != ANE_EVENT_STEP) cli_progress_break(p);
    if (v->type == ANE_EVENT_WARNING) cli_warn(text);
    if (p->style == CLI_PROGRESS_JSON) put_json(v);
    if (p->style == CLI_PROGRESS_JSON || p->style == CLI_PROGRESS_QUIET) return;
    switch (v->type) {
    case ANE_EVENT_START: puts(text); break;
    case ANE_EVENT_STEP: on_step(p, v); break;
    case ANE_EVENT_EVAL: printf("step %lld  held-out loss %.4f\n", (long long)v->step, v->eval_loss); break;
    case ANE_EVENT_SAMPLE: printf("---- sample after step %lld\n%s\n----\n", (long long)v->step, text); break;
    case ANE_EVENT_SAVE: printf("saved %s\n", text); break;
    case ANE_EVENT_WARNING: break;
    case ANE_EVENT_END: on_end(p, v); break;
    }
    fflush(stdout);
}
