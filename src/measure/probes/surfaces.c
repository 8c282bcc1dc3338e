/* surfaces.c - questions of the self-test that are about surfaces, asked afresh. What the device found out before stays. */
#include "device/ane/explore.h"
#include "device/ane/selftest.h"
#include "measure/probes/families.h"

/* Ask one; what it is because of goes into the details. */
static engine_outcome put(ane_asking *a, engine_device *d, const char *name,
    engine_outcome (*ask)(engine_device *d, engine_finding *found)) {
    engine_finding found = {0};
    found.outcome = ask(d, &found);
    ane_asking_put(a, name,
        json_pack("{s:s, s:s, s:s}", "answer", found.answer, "outcome", engine_outcome_name(found.outcome),
            "because", found.error.message));
    return found.outcome;
}

bool ane_ask_alignment(ane_asking *a, ane_error *e) {
    engine_device *d = engine_explore(a->device, e);
    if (!d) return false;
    const ane_facts before = d->facts;
    ane_asking_did(a, "evaluated tiny programs on surfaces that get smaller, with rows that get narrower, "
                      "and with a last axis of 1");
    put(a, d, "smallest surface", engine_ask_min_surface);
    put(a, d, "bytes of a row", engine_ask_row_alignment);
    put(a, d, "where rows lie", engine_ask_strided_rows);
    put(a, d, "last axis of 1", engine_ask_innermost_one);
    const ane_facts found = d->facts;
    d->facts = before;
    ane_asking_answer(a, "rows: %lld bytes, %s; last axis of 1: %s", (long long)found.row_alignment,
        found.strided_rows ? "apart" : "packed", found.innermost_one ? "works" : "fails");
    return true;
}

bool ane_ask_order(ane_asking *a, ane_error *e) {
    engine_device *d = engine_explore(a->device, e);
    if (!d) return false;
    const ane_facts before = d->facts;
    ane_asking_did(a, "three inputs and three outputs whose names, sizes and declarations are in different "
                      "orders; then each with "
                      "surfaces of its own size");
    put(a, d, "order", engine_ask_order);
    put(a, d, "sizes", engine_ask_equal_sizes);
    put(a, d, "chained", engine_ask_chained);
    const ane_facts found = d->facts;
    d->facts = before;
    if (found.order == ANE_ORDER_UNKNOWN)
        return ane_fail(e, ANE_ERROR_DEVICE, "order", "three inputs are bound in no known order");
    ane_asking_answer(
        a, "%s; surfaces %s", ane_order_name(found.order), found.equal_sizes ? "of one size" : "of any size");
    return true;
}
