/* Right operands of products, packed for kernels of our own: once for all products that read them. */
#include "device/cpu/plan.h"

bool ane_cpu_is_packable(const cpu_plan *plan, const cpu_gemm *g) {
    enum { FEWEST_ROWS = 48, FEWEST_COLUMNS = 9, SHORTEST = 16 };
    return plan->packed && g->batch == 1 && g->g.m >= FEWEST_ROWS && g->g.n >= FEWEST_COLUMNS &&
           g->g.k >= SHORTEST;
}

static bool same_pack(const cpu_pack *a, const cpu_pack *b) {
    return a->in == b->in && a->offset == b->offset && a->stride == b->stride && a->k_stride == b->k_stride &&
           a->n == b->n && a->k == b->k;
}

static ane_packed_product product_of(const cpu_plan *plan, const cpu_gemm *g) {
    return (ane_packed_product){.kernel = plan->packed,
        .m = g->g.m,
        .n = g->g.n,
        .k = g->g.k,
        .a = {NULL, g->g.transpose_a ? 1 : g->g.lda, g->g.transpose_a ? g->g.lda : 1}};
}

/* Or the product packs its own. */
static bool shares_pack(const cpu_plan *plan, const cpu_gemm *g) {
    const ane_packed_product p = product_of(plan, g);
    return !ane_packed_takes_slabs(&p, plan->threads) || g->small_storage >= 0;
}

int32_t ane_cpu_packed_operand(cpu_lower *l, const cpu_gemm *g, const cpu_view *b) {
    cpu_pack pack = {.kernel = l->plan->packed,
        .in = b->storage,
        .offset = b->offset,
        .stride = g->g.transpose_b ? g->g.ldb : 1,
        .k_stride = g->g.transpose_b ? 1 : g->g.ldb,
        .n = g->g.n,
        .k = g->g.k};
    for (int32_t i = 0; shares_pack(l->plan, g) && i < l->plan->n_nodes; i++) {
        const cpu_node *n = &l->plan->nodes[i];
        if (n->type == CPU_NODE_PACK && same_pack(n->data, &pack)) return n->out[0].storage;
    }
    cpu_pack *kept = ane_arena_alloc(l->plan->arena, sizeof *kept);
    int64_t bytes = ane_packed_bytes(pack.kernel, pack.n, pack.k);
    cpu_view out = ane_cpu_temporary(l, CPU_RAW, 1, &bytes);
    cpu_node *n = ane_cpu_plan_node(l->plan, CPU_NODE_PACK, 1, 1);
    if (!kept || !n || out.storage < 0) {
        ane_cpu_no_memory(l);
        return -1;
    }
    pack.out = out.storage;
    *kept = pack;
    n->in[0] = *b, n->out[0] = out;
    n->data = kept;
    return pack.out;
}

/* ---- operands that a single product reads ------------------------------------------------------------------------------ */

static int32_t only_reader(const cpu_plan *plan, int32_t storage) {
    int32_t reader = -1;
    for (int32_t i = 0; i < plan->n_nodes; i++)
        for (int k = 0; k < plan->nodes[i].n_in; k++)
            if (plan->nodes[i].in[k].storage == storage) {
                if (reader >= 0) return -1;
                reader = i;
            }
    return reader;
}

/* Let a product pack a slab at a time, into what is needed of the room that the whole would have taken: where it does not do so
 * anyway, only an operand that would fill the caches. */
static bool pack_in_slabs(cpu_plan *plan, cpu_node *product, const cpu_node *pack) {
    enum { LONG = 512, LARGE = 4 << 20 }; /* a shorter one is packed by all threads together in less time */
    cpu_gemm *g = product->data;
    const cpu_pack *p = pack->data;
    cpu_storage *room = &plan->storages[p->out];
    const ane_packed_product whole = product_of(plan, g);
    int64_t bytes = ane_packed_slab_bytes(&whole, plan->threads);
    if (g->small_storage >= 0) return true; /* the small copy's product needs all of it */
    if (!ane_packed_takes_slabs(&whole, plan->threads) &&
        (p->k < LONG || bytes >= room->bytes || (p->kernel->shares_b && room->bytes <= LARGE)))
        return true;
    cpu_view *views = ane_arena_array(plan->arena, 4, sizeof *views);
    if (!views) return false;
    views[0] = product->in[0], views[1] = pack->in[0], views[2] = product->out[0], views[3] = pack->out[0];
    views[3].dim[0] = room->count = room->bytes = bytes;
    product->in = views, product->out = views + 2, product->n_out = 2;
    g->slabs = p;
    return true;
}

bool ane_cpu_settle_lonely_packs(cpu_plan *plan) {
    int32_t kept = 0;
    for (int32_t i = 0; i < plan->n_nodes; i++) {
        cpu_node *n = &plan->nodes[i];
        int32_t reader = n->type == CPU_NODE_PACK ? only_reader(plan, n->out[0].storage) : -1;
        cpu_node *product = reader >= 0 ? &plan->nodes[reader] : NULL;
        if (product && !pack_in_slabs(plan, product, n)) return false;
        if (product && ((cpu_gemm *)product->data)->slabs) continue;
        plan->nodes[kept++] = *n;
    }
    plan->n_nodes = kept;
    return true;
}
