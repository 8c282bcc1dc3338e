/* beside.h - products of one stage's backward on a thread of their own, while the next backward runs.
 *
 * At most two are under way: before a third backward overwrites what the first one's products read, that one is waited
 * for. They are done in their order, so sums come out as without a thread. */
#ifndef ANEMONE_MODEL_BESIDE_H
#define ANEMONE_MODEL_BESIDE_H

#include "base/background.h"
#include "model/stage.h"

enum { ANE_BESIDE = 2 };

typedef struct ane_beside_job {
    ane_job job;
    ane_stage *stage;
    int copy;
    bool add;
    float *const *staging;
    bool pending, ok;
    ane_error error;
    double ms;
} ane_beside_job;

typedef struct ane_beside {
    ane_background background;
    bool made;
    ane_beside_job jobs[ANE_BESIDE];
    int turn;              /* of the next job */
    double ms, waiting_ms; /* of products, and of the wait for them */
} ane_beside;

bool ane_beside_init(ane_beside *b, ane_error *e);
void ane_beside_destroy(ane_beside *b); /* waits; fine when init was not called or failed */
/* Before a backward runs: the products of the last but one are done. */
bool ane_beside_make_room(ane_beside *b, ane_error *e);
/* ane_stage_products; staging[2] must stay, and be used by nothing else until ane_beside_finish. */
bool ane_beside_products(
    ane_beside *b, ane_stage *s, int copy, bool add, float *const staging[2], ane_error *e);
bool ane_beside_finish(ane_beside *b, ane_error *e);

#endif
