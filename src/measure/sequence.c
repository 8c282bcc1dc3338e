/* sequence.c - see sequence.h. */
#include "measure/sequence.h"

#include "base/clock.h"

bool ane_sequence_add(ane_sequence *s, mil_program *p, ane_error *e) {
    if (!p) return false;
    ane_trial *t = s->n < ANE_SEQUENCE_MOST ? ane_trial_new(s->bench, p, NULL, e) : NULL;
    if (!t) {
        mil_program_free(p);
        return ane_fail(e, ANE_ERROR_ARGUMENT, "sequence", "more than %d programs", ANE_SEQUENCE_MOST);
    }
    s->programs[s->n] = p;
    s->trials[s->n++] = t;
    return true;
}

void ane_sequence_free(ane_sequence *s) {
    for (int i = s->n - 1; i >= 0; i--) {
        ane_trial_free(s->trials[i]);
        mil_program_free(s->programs[i]);
    }
    s->n = 0;
}

bool ane_sequence_chain(
    ane_sequence *s, int from, const char *output, int to, const char *input, ane_error *e) {
    ane_buffer *b = ane_trial_buffer(s->trials[from], output);
    return ane_bind(ane_trial_binding(s->trials[to]), input, b, 0, e);
}

/* An ane_subject's `run`. */
static bool run(void *context, ane_run_stats *stats, ane_error *e) {
    ane_sequence *s = context;
    const double start = ane_clock_ms();
    *stats = (ane_run_stats){0};
    s->device_ms = s->between_ms = 0;
    for (int i = 0; i < s->n; i++) {
        ane_run_stats one = {0};
        if (!ane_trial_run(s->trials[i], &one, e)) return false;
        s->device_ms += one.device_ms;
        stats->modelled |= one.modelled;
        double mark = ane_clock_ms();
        if (s->between && !s->between(s, i, e)) return false;
        s->between_ms += ane_clock_ms() - mark;
    }
    stats->host_ms = ane_clock_ms() - start;
    stats->device_ms = s->device_ms;
    return true;
}

static double flops(const ane_sequence *s) {
    double sum = 0;
    for (int i = 0; i < s->n; i++) sum += ane_trial_flops(s->trials[i]);
    return sum;
}

static ane_subject subject_of(ane_sequence *s) {
    return (ane_subject){.run = run, .context = s, .flops = flops(s), .evaluations = s->n};
}

bool ane_sequence_time(ane_sequence *s, json_t *row, ane_error *e) {
    const ane_subject subject = subject_of(s);
    double compile_ms = 0;
    ane_times times;
    if (!ane_bench_warm(s->bench, &subject, e)) return false;
    for (int i = 0; i < s->n; i++) {
        if (!ane_trial_refresh(s->trials[i], 7, e)) return false;
        compile_ms += ane_trial_compile_ms(s->trials[i]);
    }
    if (!ane_bench_repeat(s->bench, &subject, &times, e)) return false;
    ane_bench_put_times(s->bench, row, &times, subject.flops);
    ane_row_metric(row, "compile_ms", compile_ms);
    ane_row_metric(row, "dispatches", s->n);
    if (!s->between) return true;
    ane_row_part(row, "device", s->device_ms);
    ane_row_part(row, "host", s->between_ms);
    return true;
}

bool ane_sequence_verify(ane_sequence *s, json_t *row, ane_error *e) {
    double worst = -1;
    json_t *verified = NULL;
    bool ok = true;
    for (int i = 0; i < s->n && ok; i++) {
        ok = ane_trial_verify(s->trials[i], false, row, e);
        json_t *v = json_object_get(row, "verified");
        double error = json_number_value(json_object_get(v, "error"));
        if (!v || error <= worst) continue;
        worst = error;
        json_decref(verified);
        verified = json_deep_copy(v);
    }
    if (verified) json_object_set_new(row, "verified", verified);
    return ok;
}
