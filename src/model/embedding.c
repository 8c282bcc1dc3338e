/* embedding.c - between tokens and channel-first activations. */
#include "base/parallel.h"
#include "model/host.h"

#include <string.h>

enum { TILE = 16 }; /* columns of a tile: a cache line of floats */

typedef struct gather_job {
    float *out;
    const float *table;
    const int32_t *tokens; /* NULL: column n is row n of the table */
    int64_t channels, columns;
} gather_job;

/* Columns begin to end, in tiles that write whole cache lines. */
static void gather(void *context, int64_t begin, int64_t end) {
    const gather_job *job = context;
    for (int64_t tile = begin; tile < end; tile += TILE) {
        int64_t n = end - tile < TILE ? end - tile : TILE;
        const float *row[TILE];
        for (int64_t j = 0; j < n; j++)
            row[j] = job->table + (job->tokens ? job->tokens[tile + j] : tile + j) * job->channels;
        for (int64_t c = 0; c < job->channels; c++) {
            float *out = job->out + c * job->columns + tile;
            for (int64_t j = 0; j < n; j++) out[j] = row[j][c];
        }
    }
}

void ane_embedding_gather(
    float *x, const float *table, const int32_t *tokens, int64_t channels, int64_t columns, int threads) {
    gather_job job = {x, table, tokens, channels, columns};
    ane_parallel_for(columns, TILE, threads, gather, &job);
}

void ane_transpose(float *out, const float *in, int64_t rows, int64_t columns, int threads) {
    gather_job job = {out, in, NULL, columns, rows};
    ane_parallel_for(rows, TILE, threads, gather, &job);
}

static void zero(void *context, int64_t begin, int64_t end) {
    memset((float *)context + begin, 0, (size_t)(end - begin) * sizeof(float));
}

void ane_zero(float *x, int64_t n, int threads) {
    ane_parallel_for(n, 1 << 14, threads, zero, x);
}

enum { SHARES = 16 }; /* of the channels: fixed, so that the sum does not depend on the number of threads */

typedef struct scatter_job {
    float *table;
    const float *d;
    const int32_t *tokens;
    int64_t first, rows; /* of the table */
    int64_t channels, columns;
    double growth[SHARES];
} scatter_job;

/* Channels [first, last) of every column: so few that their lines stay in the first cache, although all may fall into the
 * same set of it. Returns by how much the sum of squares grows. */
static double scatter_channels(const scatter_job *job, int64_t first, int64_t last) {
    double growth = 0;
    for (int64_t n = 0; n < job->columns; n++) {
        int64_t at = job->tokens[n] - job->first;
        if (at < 0 || at >= job->rows) continue;
        float *row = job->table + at * job->channels;
        for (int64_t c = first; c < last; c++) {
            float was = row[c];
            row[c] += job->d[c * job->columns + n];
            growth += (double)row[c] * row[c] - (double)was * was;
        }
    }
    return growth;
}

/* A token that occurs twice is added up by one thread, in order. */
static void scatter(void *context, int64_t begin, int64_t end) {
    enum { FEW = 8 };
    scatter_job *job = context;
    for (int64_t share = begin; share < end; share++) {
        int64_t last = job->channels * (share + 1) / SHARES;
        for (int64_t c = job->channels * share / SHARES; c < last; c += FEW)
            job->growth[share] += scatter_channels(job, c, c + FEW < last ? c + FEW : last);
    }
}

double ane_embedding_scatter(float *d_table, int64_t first, int64_t rows, const float *d,
    const int32_t *tokens, int64_t channels, int64_t columns, int threads) {
    scatter_job job = {d_table, d, tokens, first, rows, channels, columns, {0}};
    double growth = 0;
    ane_parallel_pieces(SHARES, 1, threads, scatter, &job);
    for (int i = 0; i < SHARES; i++) growth += job.growth[i];
    return growth;
}
