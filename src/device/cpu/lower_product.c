/* Products: conv, matmul, linear and attention, as gemms on views. Transposes become flags; an operand is
 * copied only when neither of its last two dimensions is contiguous. */
#include "device/cpu/plan.h"
#include "mil/shape.h"

#include <math.h>

/* How a [.., rows, columns] view is seen by a gemm; false when it cannot be. */
static bool matrix(const cpu_view *v, bool *transposed, int64_t *ld) {
    int64_t rows = v->dim[v->rank - 2], columns = v->dim[v->rank - 1];
    int64_t row = v->stride[v->rank - 2], column = v->stride[v->rank - 1];
    if (columns == 1 || column == 1) {
        *transposed = false;
        *ld = rows == 1 ? columns : row;
        if (*ld >= columns) return true;
    }
    if (rows == 1 || row == 1) {
        *transposed = true;
        *ld = columns == 1 ? rows : column;
        return *ld >= rows;
    }
    return false;
}

static cpu_view swapped(const cpu_view *v) {
    cpu_view t = *v;
    int r = v->rank;
    t.dim[r - 2] = v->dim[r - 1], t.dim[r - 1] = v->dim[r - 2];
    t.stride[r - 2] = v->stride[r - 1], t.stride[r - 1] = v->stride[r - 2];
    return t;
}

/* An operand as a gemm can take it. */
static cpu_view as_matrix(cpu_lower *l, const cpu_view *v) {
    bool transposed;
    int64_t ld;
    return matrix(v, &transposed, &ld) ? *v : ane_cpu_packed_copy(l, v);
}

/* The same in the precision of the device. */
static cpu_view rounded(cpu_lower *l, const cpu_view *v) {
    cpu_view x = *v;
    if (!ane_cpu_multiplies_bf16(l->plan)) return x;
    if (l->plan->storages[x.storage].place == CPU_WEIGHT) {
        x.storage = ane_cpu_staged_weight(l, x.storage);
        return x;
    }
    cpu_view made = ane_cpu_temporary(l, CPU_F32, x.rank, x.dim);
    ane_cpu_emit_map(l, CPU_ROUND_BF16, 0, false, 1, &x, &made);
    return made;
}

/* Leading dimensions as a batch, those of a and b stretched to c's. */
static void set_batch(cpu_gemm *g, const cpu_view *views[3]) {
    int rank = views[2]->rank - 2;
    for (int i = 0; i < 3; i++) {
        g->storage[i] = views[i]->storage;
        g->offset[i] = views[i]->offset;
        for (int d = 0; d < rank; d++) {
            int from = d - (views[2]->rank - views[i]->rank);
            bool single = from < 0 || views[i]->dim[from] == 1;
            g->batch_dim[d] = views[2]->dim[d];
            g->batch_stride[i][d] = single ? 0 : views[i]->stride[from];
        }
    }
    g->batch_rank = rank;
    if (rank > 0) g->batch_rank = ane_cpu_collapse(rank, g->batch_dim, 3, g->batch_stride);
    g->batch = 1;
    for (int d = 0; d < g->batch_rank; d++) g->batch *= g->batch_dim[d];
}

/* A batch that shares b and lies in a and c as more rows is more rows: one larger product. */
static void merge_rows(cpu_gemm *g) {
    while (g->batch_rank > 0) {
        int d = g->batch_rank - 1;
        bool single = g->batch_dim[d] == 1;
        if (!single &&
            (g->batch_stride[1][d] != 0 || g->g.transpose_a || g->batch_stride[0][d] != g->g.m * g->g.lda ||
                g->batch_stride[2][d] != g->g.m * g->g.ldc))
            return;
        g->g.m *= g->batch_dim[d];
        g->batch /= g->batch_dim[d];
        g->batch_rank--;
    }
}

/* ---- weights kept small ---------------------------------------------------------------------------- */

/* A matrix, row by row, times one column that lies in one piece. */
static bool is_vector(const cpu_gemm *g, bool round) {
    return g->batch == 1 && g->g.n == 1 && !round && !g->g.transpose_a && g->g.lda == g->g.k &&
           (g->g.transpose_b || g->g.ldb == 1);
}

/* A whole weight, which is kept small. */
static bool is_small(const cpu_lower *l, const cpu_gemm *g) {
    const cpu_storage *a = &l->plan->storages[g->storage[0]];
    return ane_cpu_small_format(l->plan) != ANE_GEMV_F32 && a->place == CPU_WEIGHT && g->offset[0] == 0 &&
           g->g.m * g->g.k == a->count;
}

static int32_t small_weight(cpu_lower *l, int32_t weight_storage, int64_t rows) {
    const cpu_storage weight = l->plan->storages[weight_storage];
    l->plan->small_rows[weight.index] = rows;
    for (int32_t s = 0; s < l->plan->n_storages; s++)
        if (l->plan->storages[s].place == CPU_WEIGHT_SMALL && l->plan->storages[s].index == weight.index)
            return s;
    int32_t s = ane_cpu_plan_storage(l->plan, CPU_WEIGHT_SMALL, CPU_RAW, weight.index, weight.count);
    if (s < 0) ane_cpu_no_memory(l);
    return s < 0 ? weight_storage : s;
}

/* ---- products ------------------------------------------------------------------------------------------ */

/* left right = out, which a gemm can write. */
static cpu_gemm gemm_of(const cpu_view *left, const cpu_view *right, const cpu_view *out) {
    cpu_gemm g = {.g = {.m = left->dim[left->rank - 2],
                      .k = left->dim[left->rank - 1],
                      .n = right->dim[right->rank - 1],
                      .alpha = 1},
        .small_storage = -1,
        .output = -1};
    bool transposed;
    matrix(left, &g.g.transpose_a, &g.g.lda);
    matrix(right, &g.g.transpose_b, &g.g.ldb);
    matrix(out, &transposed, &g.g.ldc);
    set_batch(&g, (const cpu_view *[3]){left, right, out});
    merge_rows(&g);
    return g;
}

/* out[.., m, n] = left[.., m, k] right[.., k, n] for an out whose rows are contiguous. */
static void emit_rows(
    cpu_lower *l, const cpu_view *left, const cpu_view *right, const cpu_view *out, bool round) {
    cpu_view a = *left, b = *right;
    cpu_gemm made = gemm_of(&a, &b, out);
    if (ane_cpu_is_packable(l->plan, &made)) {
        made.packed = l->plan->packed;
        ane_gemv_format small = ane_cpu_small_format(l->plan);
        if (ane_packed_takes_small(made.packed, small) && !made.g.transpose_a && made.g.lda == made.g.k &&
            is_small(l, &made)) {
            made.small = small;
            made.small_storage = small_weight(l, a.storage, made.g.m);
        }
        made.storage[1] = b.storage = ane_cpu_packed_operand(l, &made, &b);
        if (b.storage < 0) return;
    } else if ((made.vector = is_vector(&made, round))) {
        if (is_small(l, &made)) {
            made.small = ane_cpu_small_format(l->plan);
            l->plan->needs_small[l->plan->storages[a.storage].index] = true;
            made.storage[0] = a.storage = small_weight(l, a.storage, made.g.m);
        }
    } else if (ane_cpu_multiplies_bf16(l->plan) && made.g.m > 1 && made.g.n > 1) {
        /* A vector's products stay exact: rounding a matrix costs more than reading it once. */
        a = rounded(l, &a), b = rounded(l, &b);
        made = gemm_of(&a, &b, out);
    }
    made.round = round;
    cpu_node *n = ane_cpu_plan_node(l->plan, CPU_NODE_GEMM, 2, 1);
    cpu_gemm *g = ane_arena_alloc(l->plan->arena, sizeof *g);
    if (!n || !g) {
        ane_cpu_no_memory(l);
        return;
    }
    *g = made;
    n->in[0] = a, n->in[1] = b, n->out[0] = *out;
    n->round = round;
    n->data = g;
}

/* The same for any out that a gemm can write: c^T = b^T a^T. */
static void emit_gemm(cpu_lower *l, const cpu_view *a, const cpu_view *b, const cpu_view *c, bool round) {
    bool flip = false;
    int64_t ldc = 0;
    matrix(c, &flip, &ldc);
    cpu_view at = swapped(a), bt = swapped(b), ct = swapped(c);
    emit_rows(l, flip ? &bt : a, flip ? &at : b, flip ? &ct : c, round);
}

/* out = a b, wherever out lies. */
static void product(cpu_lower *l, const cpu_view *a, const cpu_view *b, const cpu_view *out, bool round) {
    cpu_view left = as_matrix(l, a), right = as_matrix(l, b);
    bool transposed;
    int64_t ld;
    if (matrix(out, &transposed, &ld)) {
        emit_gemm(l, &left, &right, out, round);
        return;
    }
    cpu_view made = ane_cpu_temporary(l, CPU_F32, out->rank, out->dim);
    emit_gemm(l, &left, &right, &made, round);
    ane_cpu_move(l, &made, out);
}

/* The same plus a bias, whose shape broadcasts to out's; rounded once, at the end. */
static void product_with_bias(
    cpu_lower *l, const cpu_view *a, const cpu_view *b, const cpu_view *bias, const cpu_view *out) {
    bool round = ane_cpu_rounds(l);
    if (!bias) {
        product(l, a, b, out, round);
        return;
    }
    cpu_view sum = ane_cpu_temporary(l, CPU_F32, out->rank, out->dim);
    product(l, a, b, &sum, false);
    ane_cpu_emit_map(l, CPU_ADD, 0, round, 2, (const cpu_view[2]){sum, *bias}, out);
}

bool ane_cpu_lower_matmul(cpu_lower *l, const mil_operation *op) {
    mil_value x = mil_arg_value(op, "x"), y = mil_arg_value(op, "y");
    cpu_view a = l->views[x], b = l->views[y];
    if (!ane_cpu_is_float_value(l, x) || !ane_cpu_is_float_value(l, y) || a.rank < 2 || b.rank < 2)
        return false;
    if (mil_arg_bool(l->f, op, "transpose_x", false)) a = swapped(&a);
    if (mil_arg_bool(l->f, op, "transpose_y", false)) b = swapped(&b);
    cpu_view out = ane_cpu_destination(l, op->results[0]);
    l->views[op->results[0]] = out;
    product(l, &a, &b, &out, ane_cpu_rounds(l));
    return true;
}

/* x [.., I], weight [O, I] -> [.., O] */
bool ane_cpu_lower_linear(cpu_lower *l, const mil_operation *op) {
    cpu_view x = l->views[mil_arg_value(op, "x")], w = l->views[mil_arg_value(op, "weight")];
    mil_value bias = mil_arg_value(op, "bias");
    cpu_view out = ane_cpu_destination(l, op->results[0]);
    if (x.rank < 1) return false;
    if (x.rank == 1) { /* one row */
        x = ane_cpu_view_broadcast(&x, 2, (int64_t[2]){1, x.dim[0]});
        cpu_view row = ane_cpu_view_broadcast(&out, 2, (int64_t[2]){1, out.dim[0]});
        l->views[op->results[0]] = out;
        out = row;
    } else {
        l->views[op->results[0]] = out;
    }
    cpu_view wt = swapped(&w);
    product_with_bias(l, &x, &wt, bias == MIL_NONE ? NULL : &l->views[bias], &out);
    return true;
}

/* A 1x1 convolution of stride 1 is a product per image and group:
 * out[N, G, O/G, HW] = weight[G, O/G, I/G] x[N, G, I/G, HW]. */
static bool pointwise(const mil_conv_geometry *s) {
    for (int i = 0; i < s->n_spatial; i++)
        if (s->kernel[i] != 1 || s->stride[i] != 1 || s->pad_before[i] != 0 || s->in[i] != s->out[i])
            return false;
    return true;
}

bool ane_cpu_lower_conv(cpu_lower *l, const mil_operation *op) {
    mil_conv_geometry s;
    if (!mil_conv_resolve(l->f, op, &s, l->e) || !pointwise(&s)) return false;
    cpu_view x = l->views[mil_arg_value(op, "x")], w = l->views[mil_arg_value(op, "weight")], a, b, c;
    int64_t columns = 1, in = s.in_channels / s.groups, out = s.out_channels / s.groups;
    for (int i = 0; i < s.n_spatial; i++) columns *= s.in[i];
    const int64_t a_dim[4] = {1, s.groups, out, in}, b_dim[4] = {s.batch, s.groups, in, columns},
                  c_dim[4] = {s.batch, s.groups, out, columns};
    if (!ane_cpu_view_reshape(&w, 4, a_dim, &a)) {
        w = ane_cpu_packed_copy(l, &w);
        ane_cpu_view_reshape(&w, 4, a_dim, &a);
    }
    if (!ane_cpu_view_reshape(&x, 4, b_dim, &b)) {
        x = ane_cpu_packed_copy(l, &x);
        ane_cpu_view_reshape(&x, 4, b_dim, &b);
    }
    cpu_view place = ane_cpu_destination(l, op->results[0]);
    l->views[op->results[0]] = place;
    cpu_view made = place;
    if (!ane_cpu_view_reshape(&place, 4, c_dim, &c)) {
        made = ane_cpu_temporary(l, CPU_F32, place.rank, place.dim);
        ane_cpu_view_reshape(&made, 4, c_dim, &c);
    }
    mil_value bias = mil_arg_value(op, "bias");
    cpu_view per_channel, *added = NULL;
    if (bias != MIL_NONE) {
        added = &per_channel;
        if (l->views[bias].rank == 0 || l->views[bias].dim[0] == 1)
            per_channel = ane_cpu_view_broadcast(&l->views[bias], 4, (int64_t[4]){1, 1, 1, 1});
        else
            ane_cpu_view_reshape(&l->views[bias], 4, (int64_t[4]){1, s.groups, out, 1}, &per_channel);
    }
    product_with_bias(l, &a, &b, added, &c);
    if (made.storage != place.storage) ane_cpu_move(l, &made, &place);
    return true;
}

/* softmax(query key^T / sqrt(E) + mask) value, rounded once at the end as the reference does. */
bool ane_cpu_lower_attention(cpu_lower *l, const mil_operation *op) {
    cpu_view q = l->views[mil_arg_value(op, "query")], k = l->views[mil_arg_value(op, "key")],
             v = l->views[mil_arg_value(op, "value")];
    mil_value mask = mil_arg_value(op, "attn_mask");
    if (q.rank < 2 || k.rank != q.rank || v.rank != q.rank) return false;
    cpu_view scores = k, kt = swapped(&k);
    for (int i = 0; i + 2 < q.rank; i++) scores.dim[i] = q.dim[i];
    scores.dim[q.rank - 2] = q.dim[q.rank - 2], scores.dim[q.rank - 1] = k.dim[q.rank - 2];
    cpu_view raw = ane_cpu_temporary(l, CPU_F32, scores.rank, scores.dim),
             scaled = ane_cpu_temporary(l, CPU_F32, scores.rank, scores.dim),
             weights = ane_cpu_temporary(l, CPU_F32, scores.rank, scores.dim);
    product(l, &q, &kt, &raw, false);
    float scale = (float)(1 / sqrt((double)q.dim[q.rank - 1]));
    if (mask == MIL_NONE) {
        ane_cpu_emit_map(l, CPU_SCALE, scale, false, 1, &raw, &scaled);
    } else {
        cpu_view added = l->views[mask];
        if (mil_type_of(l->f, mask)->dtype == MIL_BOOL) { /* left out: -3e4, as Apple's compiler has it */
            cpu_view keep = added;
            added = ane_cpu_temporary(l, CPU_F32, keep.rank, keep.dim);
            cpu_view left_out = ane_cpu_temporary(l, CPU_F32, keep.rank, keep.dim);
            ane_cpu_emit_map(l, CPU_NOT, 0, false, 1, &keep, &left_out);
            ane_cpu_emit_map(l, CPU_SCALE, -3e4f, false, 1, &left_out, &added);
        }
        ane_cpu_emit_map(l, CPU_SCALE_ADD, scale, false, 2, (const cpu_view[2]){raw, added}, &scaled);
    }
    ane_cpu_emit_softmax(l, &scaled, &weights, scores.rank - 1, false);
    cpu_view out = ane_cpu_destination(l, op->results[0]);
    l->views[op->results[0]] = out;
    product(l, &weights, &v, &out, ane_cpu_rounds(l));
    return true;
}
