/* Where what a plan computes lies in scratch memory: what does not live at the same time shares it. */
#include "device/cpu/plan.h"

#include <stdlib.h>

enum { ALIGNMENT = 64 };

static bool needs_memory(const cpu_storage *s) {
    return s->place == CPU_SCRATCH && s->first >= 0;
}

static bool live_together(const cpu_storage *a, const cpu_storage *b) {
    return a->first <= b->last && b->first <= a->last;
}

/* The lowest offset where `s` meets nothing placed before that lives when it does. */
static int64_t lowest_offset(const cpu_plan *plan, const cpu_storage *s, int32_t n, const int32_t *placed) {
    int64_t offset = 0;
    for (bool moved = true; moved;) {
        moved = false;
        for (int32_t i = 0; i < n; i++) {
            const cpu_storage *p = &plan->storages[placed[i]];
            if (!live_together(s, p) || offset + s->bytes <= p->offset || p->offset + p->bytes <= offset)
                continue;
            offset = (p->offset + p->bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
            moved = true;
        }
    }
    return offset;
}

/* The largest first; equal ones in order of their first step. */
static bool goes_before(const cpu_storage *a, const cpu_storage *b) {
    return a->bytes != b->bytes ? a->bytes > b->bytes : a->first < b->first;
}

bool ane_cpu_place_storages(cpu_plan *plan, ane_error *e) {
    int32_t *order = malloc((size_t)(plan->n_storages + 1) * sizeof *order), n = 0;
    if (!order) return ane_fail(e, ANE_ERROR_MEMORY, plan->f->name, "no memory to plan memory");
    for (int32_t i = 0; i < plan->n_storages; i++) {
        if (!needs_memory(&plan->storages[i])) continue;
        int32_t k = n++;
        for (; k > 0 && goes_before(&plan->storages[i], &plan->storages[order[k - 1]]); k--)
            order[k] = order[k - 1];
        order[k] = i;
    }
    for (int32_t k = 0; k < n; k++) {
        cpu_storage *s = &plan->storages[order[k]];
        s->offset = lowest_offset(plan, s, k, order);
        if (s->offset + s->bytes > plan->scratch_bytes) plan->scratch_bytes = s->offset + s->bytes;
    }
    free(order);
    return true;
}
