/* beside.c - see beside.h. */
#include "model/beside.h"

#include "base/clock.h"

bool ane_beside_init(ane_beside *b, ane_error *e) {
    return b->made = ane_background_init(&b->background, e);
}

static void work(ane_job *job) {
    ane_beside_job *j = (ane_beside_job *)job;
    double start = ane_clock_ms();
    j->ok = ane_stage_products(j->stage, j->copy, j->add, j->staging, &j->error);
    j->ms = ane_clock_ms() - start;
}

static bool wait(ane_beside *b, ane_beside_job *j, ane_error *e) {
    if (!j->pending) return true;
    double start = ane_clock_ms();
    ane_background_wait(&b->background, &j->job);
    b->waiting_ms += ane_clock_ms() - start;
    b->ms += j->ms;
    j->pending = false;
    if (!j->ok && e && e->code == ANE_OK) *e = j->error;
    return j->ok;
}

bool ane_beside_make_room(ane_beside *b, ane_error *e) {
    return wait(b, &b->jobs[b->turn], e);
}

bool ane_beside_products(
    ane_beside *b, ane_stage *s, int copy, bool add, float *const staging[2], ane_error *e) {
    ane_beside_job *j = &b->jobs[b->turn];
    *j = (ane_beside_job){.job.work = work, .stage = s, .copy = copy, .add = add, .staging = staging};
    if (!ane_background_submit(&b->background, &j->job, e)) return false;
    j->pending = true;
    b->turn = (b->turn + 1) % ANE_BESIDE;
    return true;
}

bool ane_beside_finish(ane_beside *b, ane_error *e) {
    bool ok = true;
    for (int i = 0; i < ANE_BESIDE; i++) ok = wait(b, &b->jobs[i], e) && ok;
    return ok;
}

void ane_beside_destroy(ane_beside *b) {
    if (!b->made) return;
    ane_beside_finish(b, NULL);
    ane_background_destroy(&b->background);
    b->made = false;
}
