/* place.c - where the parts of a training step are fastest, by what is recorded of the device's chip.
 *
 *     on the device  dispatch + flops / rate * (factor where the weights are no constants) + bytes / bandwidth
 *     on the host    flops / rate, and the conversion of what crosses over at the host's speed of memory
 *
 * Source of the rates: data/ane_chips.json. The same chip, model and sizes give the same placement on every run. */
#include "anemone/model.h"

#include <string.h>

static const char *const names[] = {
    [ANE_PLACE_BEST] = "best", [ANE_PLACE_HOST] = "cpu", [ANE_PLACE_DEVICE] = "device"};

const char *ane_place_name(ane_place place) {
    return (unsigned)place < sizeof names / sizeof *names ? names[place] : "unknown";
}

bool ane_place_from_name(ane_place *place, const char *name, ane_error *e) {
    for (int i = 0; i < (int)(sizeof names / sizeof *names); i++)
        if (strcmp(names[i], name) == 0) {
            *place = (ane_place)i;
            return true;
        }
    return ane_fail(e, ANE_ERROR_ARGUMENT, "", "There is no place \"%s\"; known: best, cpu, device.", name);
}

static const char *const recompute_names[] = {[ANE_RECOMPUTE_NONE] = "none",
    [ANE_RECOMPUTE_ATTENTION] = "attention",
    [ANE_RECOMPUTE_BLOCK] = "block",
    [ANE_RECOMPUTE_GRADIENTS] = "gradients"};

const char *ane_recompute_name(ane_recompute recompute) {
    return (unsigned)recompute < sizeof recompute_names / sizeof *recompute_names ? recompute_names[recompute]
                                                                                  : "unknown";
}

bool ane_recompute_from_name(ane_recompute *recompute, const char *name, ane_error *e) {
    for (int i = 0; i < (int)(sizeof recompute_names / sizeof *recompute_names); i++)
        if (strcmp(recompute_names[i], name) == 0) {
            *recompute = (ane_recompute)i;
            return true;
        }
    return ane_fail(e, ANE_ERROR_ARGUMENT, "",
        "There is no recomputation of \"%s\"; known: none, attention, block, gradients.", name);
}

/* Milliseconds. */
static double on_device(const ane_capabilities *d, double runs, double flops, double bytes) {
    double factor = d->device_matmul_factor > 1 ? d->device_matmul_factor : 1;
    return runs * d->device_dispatch_ms + flops / d->device_gflops * 1e-6 * factor +
           bytes / d->device_bandwidth_gbs * 1e-6;
}

/* The host reads and writes what it converts at about the device's speed of memory: it is the same memory. */
static double on_host(const ane_capabilities *d, double flops, double bytes) {
    return flops / d->host_gflops * 1e-6 + bytes / d->device_bandwidth_gbs * 1e-6;
}

/* Forward and derivative by x of the head: logits and their gradient cross over when it is the device's. */
static ane_place best_head(const ane_capabilities *d, const ane_model_config *c, double columns) {
    double product = 2.0 * c->vocab_size * c->dim * columns, logits = 2.0 * c->vocab_size * columns;
    double weights = 2.0 * c->vocab_size * c->dim;
    double device =
        on_device(d, 2, 2 * product, 2 * logits + 2 * weights) + on_host(d, 0, 2 * (logits + 2 * logits));
    double host = on_host(d, 2 * product, 2 * (2 + 4) * c->dim * columns);
    return device < host ? ANE_PLACE_DEVICE : ANE_PLACE_HOST;
}

/* On the host a block is two kernels each way instead of one, and x and two derivatives cross over for each half. */
static ane_place best_norms(const ane_capabilities *d, const ane_model_config *c, double columns) {
    double crossing = 2 * 4 * (2 + 4) * c->dim * columns;
    double host = on_device(d, 2, 0, 0) + on_host(d, 0, crossing);
    double device = on_device(d, 0, 0, 2 * 2 * c->dim * columns); /* what the norms need is kept in memory */
    return device < host ? ANE_PLACE_DEVICE : ANE_PLACE_HOST;
}

/* On the device the gradients come out in fp16 and are added up by the host; on the host they are exact, and the products
 * run beside the next kernel, which hides them as far as that takes as long. Half the time is worth the rounding. */
enum { WORTH_ROUNDING = 2 };

static ane_place best_dw(const ane_capabilities *d, const ane_model_config *c, double columns) {
    double kv = (double)c->n_kv_heads * c->head_dim, q = (double)c->n_heads * c->head_dim;
    double weights = 2 * c->dim * (q + kv) + 3.0 * c->dim * c->hidden_dim;
    double product = 2 * weights * columns;
    double device = on_device(d, 0, product, 2 * weights) + on_host(d, 0, (2 + 8) * weights);
    double hidden = d->runs_beside_host ? on_device(d, 1, product, 2 * weights) : 0;
    double host = on_host(d, product, 8 * weights) - hidden;
    return device * WORTH_ROUNDING < host ? ANE_PLACE_DEVICE : ANE_PLACE_HOST;
}

static bool is_known(const ane_capabilities *d) {
    return d->device_gflops > 0 && d->device_dispatch_ms > 0 && d->device_bandwidth_gbs > 0 &&
           d->host_gflops > 0;
}

/* On the CPU the device is the host; of an unknown chip, what every recorded design does. */
static const ane_placement on_cpu = {ANE_PLACE_DEVICE, ANE_PLACE_DEVICE, ANE_PLACE_HOST, ANE_RECOMPUTE_NONE};
static const ane_placement unknown = {ANE_PLACE_HOST, ANE_PLACE_DEVICE, ANE_PLACE_HOST, ANE_RECOMPUTE_NONE};

ane_placement ane_placement_decide(
    const ane_placement *asked, const ane_capabilities *d, const ane_model_config *c, int32_t columns) {
    ane_placement p = strcmp(d->device, "cpu") == 0 ? on_cpu : unknown;
    if (is_known(d) && strcmp(d->device, "cpu") != 0)
        p = (ane_placement){
            best_head(d, c, columns), best_norms(d, c, columns), best_dw(d, c, columns), ANE_RECOMPUTE_NONE};
    if (d->max_width > 0 && c->vocab_size > d->max_width) p.head = ANE_PLACE_HOST;
    if (asked && asked->head) p.head = asked->head;
    if (asked && asked->norms_backward) p.norms_backward = asked->norms_backward;
    if (asked && asked->dw) p.dw = asked->dw;
    if (asked) p.recompute = asked->recompute;
    return p;
}
