/* Running a chain: tile by tile, the work shared among the threads by tiles (or by what is kept, when it
 * reduces). */
#include "device/cpu/chain.h"

#include "base/parallel.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct walker {
    const cpu_chain *c;
    const cpu_vectors *v;
    int64_t tile;
    float *at[CPU_CHAIN_VIEWS]; /* of every view at the current row, first element */
    int64_t index[MIL_MAX_RANK];
    const float *reg[CPU_CHAIN_REGISTERS];
    float (*temp)[CPU_TILE]; /* not in here: clearing it would cost more than many a chain */
} walker;

typedef struct job {
    const cpu_chain *c;
    const cpu_run *r;
    int64_t tile, segments; /* of the last dimension */
} job;

/* Stand at row number `row` of the leading `rank` dimensions. */
static void seek(walker *w, const cpu_run *r, int64_t row, int rank) {
    const cpu_chain *c = w->c;
    int n = cpu_chain_views(c);
    for (int v = 0; v < n; v++) w->at[v] = (float *)r->base[c->storage[v]] + c->offset[v];
    for (int d = c->rank - 1; d >= 0; d--) w->index[d] = 0;
    for (int d = rank - 1; d >= 0; d--) {
        int64_t i = row % c->dim[d];
        row /= c->dim[d];
        w->index[d] = i;
        for (int v = 0; v < n; v++) w->at[v] += i * c->stride[v][d];
    }
}

/* The next row of dimensions [from, to); after the last one, back to the first. */
static void next(walker *w, int from, int to) {
    const cpu_chain *c = w->c;
    int n = cpu_chain_views(c);
    for (int d = to - 1; d >= from; d--) {
        bool wraps = ++w->index[d] == c->dim[d];
        int64_t steps = wraps ? 1 - c->dim[d] : 1;
        for (int v = 0; v < n; v++) w->at[v] += steps * c->stride[v][d];
        if (!wraps) return;
        w->index[d] = 0;
    }
}

static void load(walker *w, int i, int64_t begin, int64_t n) {
    const cpu_chain *c = w->c;
    int64_t stride = c->stride[i][c->rank - 1];
    const float *x = w->at[i] + begin * stride;
    w->reg[i] = x;
    if (c->load_mode[i] != CPU_LOAD_GATHERED) return;
    float *t = w->temp[c->load_temp[i]];
    for (int64_t k = 0; k < n; k++)
        t[k] = x[k * stride]; // NOLINT(clang-analyzer-core.NullDereference): seek() set it
    w->reg[i] = t;
}

static void execute(walker *w, int i, int64_t begin, int64_t n) {
    const cpu_chain *c = w->c;
    const cpu_instr *in = &c->instrs[i];
    float *d = in->temp >= 0 ? w->temp[in->temp] : w->at[c->n_loads + in->store] + begin;
    const float *s[3] = {NULL, NULL, NULL};
    for (int k = 0; k < 3 && in->source[k] >= 0; k++) s[k] = w->reg[in->source[k]];
    int64_t count = in->single ? 1 : n;
    w->v->map[in->op][in->variant](d, s[0], s[1], s[2], in->p, count);
    if (in->round) w->v->round_f16(d, count);
    w->reg[CPU_CHAIN_LOADS + i] = d;
}

/* Elements [begin, begin + n) of the current row. */
static void run_tile(walker *w, int64_t begin, int64_t n) {
    const cpu_chain *c = w->c;
    for (int i = 0; i < c->n_loads; i++) load(w, i, begin, n);
    for (int i = 0; i < c->n_instrs; i++) execute(w, i, begin, n);
    for (int i = 0; i < c->n_stores; i++) {
        if (c->store_source[i] < 0) continue;
        int64_t stride = c->stride[c->n_loads + i][c->rank - 1];
        float *d = w->at[c->n_loads + i] + begin * stride;
        const float *x = w->reg[c->store_source[i]];
        if (c->streams[i]) {
            w->v->stream(d, x, n);
            continue;
        }
        for (int64_t k = 0; k < n; k++)
            d[k * stride] = x[k]; // NOLINT(clang-analyzer-core.NullDereference): seek() set it
    }
}

static int64_t length(const job *j, int64_t segment) {
    int64_t rest = j->c->dim[j->c->rank - 1] - segment * j->tile;
    return rest < j->tile ? rest : j->tile;
}

static void finish(const walker *w) {
    bool streams = false;
    for (int i = 0; i < w->c->n_stores; i++) streams |= w->c->streams[i];
    if (streams) w->v->streamed();
}

static walker start(const job *j, float (*temp)[CPU_TILE]) {
    return (walker){.c = j->c, .v = j->r->v, .tile = j->tile, .temp = temp};
}

/* ---- maps alone: units are the tiles ------------------------------------------------------------------- */

static void run_maps(void *context, int64_t begin, int64_t end) {
    const job *j = context;
    float temp[CPU_CHAIN_TEMPS][CPU_TILE];
    walker w = start(j, temp);
    int outer = j->c->rank - 1;
    int64_t segment = begin % j->segments;
    seek(&w, j->r, begin / j->segments, outer);
    for (int64_t unit = begin; unit < end; unit++) {
        run_tile(&w, segment * j->tile, length(j, segment));
        if (++segment == j->segments) {
            segment = 0;
            next(&w, 0, outer);
        }
    }
    finish(&w);
}

/* ---- reductions along the last dimension (and others): units are the rows kept ------------------------- */

static void finish_row(walker *w, const float *sum) {
    const cpu_chain *c = w->c;
    for (int s = 0; s < c->n_sinks; s++) {
        float x = c->sinks[s].op == CPU_REDUCE_MEAN ? sum[s] * c->sinks[s].factor : sum[s];
        if (c->sinks[s].round) w->v->round_f16(&x, 1);
        *w->at[c->n_loads + c->n_stores + s] = x;
    }
}

static void reduce_rows(void *context, int64_t begin, int64_t end) {
    const job *j = context;
    const cpu_chain *c = j->c;
    float temp[CPU_CHAIN_TEMPS][CPU_TILE];
    walker w = start(j, temp);
    int64_t inner_rows = 1;
    for (int d = c->n_kept; d < c->rank - 1; d++) inner_rows *= c->dim[d];
    seek(&w, j->r, begin, c->n_kept);
    for (int64_t unit = begin; unit < end; unit++) {
        float total[CPU_CHAIN_SINKS] = {0};
        for (int s = 0; s < c->n_sinks; s++) total[s] = c->sinks[s].op == CPU_REDUCE_MAX ? -INFINITY : 0;
        for (int64_t row = 0; row < inner_rows; row++) {
            for (int64_t segment = 0; segment < j->segments; segment++) {
                int64_t n = length(j, segment);
                run_tile(&w, segment * j->tile, n);
                for (int s = 0; s < c->n_sinks; s++) {
                    const float *x = w.reg[c->sinks[s].source];
                    if (c->sinks[s].op != CPU_REDUCE_MAX)
                        total[s] += w.v->sum(x, n);
                    else
                        w.v->max_to(&total[s], (const float[1]){w.v->max(x, n)}, 1);
                }
            }
            next(&w, c->n_kept, c->rank - 1);
        }
        finish_row(&w, total);
        next(&w, 0, c->n_kept);
    }
    finish(&w);
}

/* ---- reductions across rows: units are tiles of what is kept ------------------------------------------- */

/* Sums are gathered over a few rows before they are added to the total, which keeps the error of long sums
 * small. */
enum { ROWS_AT_ONCE = 16 };

static void start_sums(const cpu_chain *c, float (*part)[CPU_TILE], int64_t n) {
    for (int s = 0; s < c->n_sinks; s++)
        for (int64_t k = 0; k < n; k++) part[s][k] = c->sinks[s].op == CPU_REDUCE_MAX ? -INFINITY : 0;
}

static void add_sums(const walker *w, float (*total)[CPU_TILE], float (*part)[CPU_TILE], int64_t n) {
    for (int s = 0; s < w->c->n_sinks; s++)
        (w->c->sinks[s].op == CPU_REDUCE_MAX ? w->v->max_to : w->v->add_to)(total[s], part[s], n);
    start_sums(w->c, part, n);
}

static void finish_tile(walker *w, float (*total)[CPU_TILE], int64_t begin, int64_t n) {
    const cpu_chain *c = w->c;
    for (int s = 0; s < c->n_sinks; s++) {
        int view = c->n_loads + c->n_stores + s;
        int64_t stride = c->stride[view][c->rank - 1];
        float *d = w->at[view] + begin * stride;
        if (c->sinks[s].op == CPU_REDUCE_MEAN) w->v->scale(total[s], c->sinks[s].factor, n);
        if (c->sinks[s].round) w->v->round_f16(total[s], n);
        for (int64_t k = 0; k < n; k++) d[k * stride] = total[s][k];
    }
}

static void reduce_columns(void *context, int64_t begin, int64_t end) {
    const job *j = context;
    const cpu_chain *c = j->c;
    float temp[CPU_CHAIN_TEMPS][CPU_TILE], total[CPU_CHAIN_SINKS][CPU_TILE], part[CPU_CHAIN_SINKS][CPU_TILE];
    walker w = start(j, temp);
    int64_t rows = 1;
    for (int d = c->n_kept; d < c->rank - 1; d++) rows *= c->dim[d];
    for (int64_t unit = begin; unit < end; unit++) {
        int64_t segment = unit % j->segments, n = length(j, segment);
        seek(&w, j->r, unit / j->segments, c->n_kept);
        start_sums(c, total, n);
        start_sums(c, part, n);
        for (int64_t row = 0; row < rows; row++) {
            run_tile(&w, segment * j->tile, n);
            for (int s = 0; s < c->n_sinks; s++) {
                const float *x = w.reg[c->sinks[s].source];
                (c->sinks[s].op == CPU_REDUCE_MAX ? w.v->max_to : w.v->add_to)(part[s], x, n);
            }
            if (row % ROWS_AT_ONCE == ROWS_AT_ONCE - 1) add_sums(&w, total, part, n);
            next(&w, c->n_kept, c->rank - 1);
        }
        add_sums(&w, total, part, n);
        finish_tile(&w, total, segment * j->tile, n);
    }
    finish(&w);
}

/* ---- the step ------------------------------------------------------------------------------------------ */

/* Elements of the space times instructions, below which starting threads costs more than it saves. */
static const int64_t worth_a_thread = 32768;

static int64_t work_of(const cpu_chain *c) {
    int64_t n = c->n_instrs + c->n_sinks;
    for (int d = 0; d < c->rank; d++) n *= c->dim[d];
    return n;
}

/* With short tiles what an instruction reads from memory is on its way while those of the tile before compute. */
enum { MAP_TILE = 256 };

static int64_t tile_length(const cpu_chain *c, int64_t rows, int threads) {
    int64_t inner = c->dim[c->rank - 1], most = c->n_sinks ? CPU_TILE : MAP_TILE,
            tile = inner < most ? inner : most;
    if (rows >= threads || (c->n_sinks && c->inner_reduced)) return tile;
    int64_t part = ((inner + threads - 1) / threads + 63) / 64 * 64; /* one row for all threads */
    return part < tile ? part : tile;
}

static bool run_chain(const void *data, const cpu_run *r, ane_error *e) {
    (void)e;
    const cpu_chain *c = data;
    int64_t rows = 1, work = work_of(c);
    for (int d = 0; d < (c->n_sinks ? c->n_kept : c->rank - 1); d++) rows *= c->dim[d];
    job j = {.c = c, .r = r, .tile = tile_length(c, rows, r->threads)};
    j.segments = (c->dim[c->rank - 1] + j.tile - 1) / j.tile;
    bool by_rows = c->n_sinks && c->inner_reduced;
    int64_t units = by_rows ? rows : rows * j.segments;
    int64_t per_unit = work / units,
            grain = per_unit >= worth_a_thread ? 1 : (worth_a_thread + per_unit - 1) / (per_unit + 1);
    ane_range_fn *body = !c->n_sinks ? run_maps : by_rows ? reduce_rows : reduce_columns;
    ane_parallel_pieces(units, grain < 1 ? 1 : grain, r->threads, body, &j);
    return true;
}

static void describe_chain(const void *data, char *text, size_t size) {
    const cpu_chain *c = data;
    size_t n = (size_t)snprintf(text, size, "[");
    for (int d = 0; d < c->rank && n < size; d++)
        n += (size_t)snprintf(text + n, size - n, "%s%lld", d ? ", " : "", (long long)c->dim[d]);
    if (n < size) n += (size_t)snprintf(text + n, size - n, "]");
    static const char *const reductions[] = {"sum", "mean", "max"};
    for (int i = 0; i < c->n_instrs && n < size; i++)
        n += (size_t)snprintf(text + n, size - n, " %s", ane_cpu_map_name(c->instrs[i].op));
    for (int i = 0; i < c->n_sinks && n < size; i++)
        n += (size_t)snprintf(text + n, size - n, " reduce_%s", reductions[c->sinks[i].op]);
    if (n < size) snprintf(text + n, size - n, "; %d loads, %d stores", c->n_loads, c->n_stores);
}

/* A dimension along which a view stands still is read or written once. */
static cpu_work work_of_chain(const void *data) {
    const cpu_chain *c = data;
    cpu_work w = {0};
    for (int v = 0; v < cpu_chain_views(c); v++) {
        double bytes = sizeof(float);
        for (int d = 0; d < c->rank; d++)
            if (c->stride[v][d] != 0) bytes *= (double)c->dim[d];
        w.bytes += bytes;
    }
    return w;
}

const cpu_step_type ane_cpu_chain_step = {"chain", run_chain, describe_chain, work_of_chain};
