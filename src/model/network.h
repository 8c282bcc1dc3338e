/* network.h - a network's parts: made in network_make.c, run in network.c. */
#ifndef ANEMONE_MODEL_NETWORK_H
#define ANEMONE_MODEL_NETWORK_H

#include "model/beside.h"
#include "model/host.h"
#include "model/impl.h"

/* A block is one segment, or two when its norms' backward is on the host: its halves. Segment k is copy k / n_halves of
 * stage k % n_halves:
 *
 *     x[0] = embedding(tokens);  x[k+1] = segment_k(x[k]);  logits = head(x[K]);  loss
 *     d[K] = head'(d_logits);    d[k] = segment_k'(d[k+1]);  embedding' += d[0]
 *
 * The x of training are all kept (backward reads them); for evaluation two take turns. Three d take turns: products
 * beside read one while the next but one is written. Where gradients are not kept, the way back begins at d[K] more than once:
 * that has one of the three for itself. */
enum { ANE_HALVES = 2, ANE_D = 3 };

/* RMSNorm on the host, forward and back, for the norms' backward there: all fp32 [1, dim, 1, columns]. */
typedef struct ane_host_norms {
    ane_stage *stage; /* a copy for each segment */
    ane_buffer *x, *normed, *d_normed, *d_x;
    ane_buffer *device_d; /* the device's d_normed */
} ane_host_norms;

struct ane_network {
    ane_device *device,
        *host; /* host: a CPU device of its own for what is placed there; NULL when nothing is */
    ane_weights *weights, *gradients; /* gradients NULL: evaluation only */
    ane_placement placement;
    int32_t batch, seq, columns;
    int threads, n_halves, n_segments;
    ane_stage *stages[ANE_HALVES], *head;
    ane_host_norms norms;
    int n_x;
    ane_buffer **x; /* [1, dim, 1, columns] each */
    ane_buffer *d[ANE_D];
    int32_t head_columns; /* that the head works on at a time; a divisor of columns */
    ane_buffer *logits;   /* [1, vocab, 1, head_columns], the head's; after the loss its gradient */
    ane_buffer *head_x,
        *head_d; /* its part of x[K] and d[K], on the host or when that is not all; else NULL */
    ane_buffer *rope_cos, *rope_sin;
    float *staging[2];        /* where buffers are converted; NULL when the device takes fp32 */
    float *beside_staging[2]; /* the same for products beside */
    ane_beside beside;
    bool keeps_gradients; /* else they are formed again for each use (network_gradients.c) */
    int32_t
        table_rows; /* of the embedding's and the head's gradient that are then there at a time; all: vocab_size */
    bool tables_formed; /* since the last loss */
    bool products_beside;
    bool cleared;             /* the next backward begins new gradients */
    bool adds;                /* the one that runs adds to those there are */
    double *column_loss;      /* [columns] */
    double *squares;          /* of each gradient tensor */
    double embedding_squares; /* of the embedding's gradient */
    ane_network_timers timers;
};

ane_buffer *ane_network_x(const ane_network *n, int segment);
ane_buffer *ane_network_d(const ane_network *n, int segment);
/* Add the time since *mark to a timer and start anew, so that nothing between two laps is lost. */
void ane_network_lap(double *mark, double *timer);
/* A copy's backward, when there is room for what it makes; then its products: now, or beside what comes next. */
bool ane_network_backward_stage(ane_network *n, ane_stage *s, int copy, ane_error *e);
bool ane_network_products(ane_network *n, ane_stage *s, int copy, bool add, ane_error *e);
/* d[k+1] to d[k], and all that the gradients of segment k's weights are formed from. */
bool ane_network_backward_segment(ane_network *n, int k, double *mark, ane_error *e);

/* What d[0] adds to rows [first, first + rows) of the embedding's gradient, which are at `table`; by how much the sum of their
 * squares grows. */
bool ane_network_scatter(ane_network *n, float *table, int32_t first, int32_t rows, const int32_t *tokens,
    double *growth, ane_error *e);

/* How many rows of a table's gradient are there at a time where gradients are not kept (network_gradients.c). */
int32_t ane_network_table_rows(const ane_network *n);
/* Whether that is not all of them: then the head's gradients are formed when they are used, not with the loss. */
bool ane_network_tables_in_parts(const ane_network *n);

/* How many columns a head that takes fp32 works on at a time (network_head.c). */
int32_t ane_network_head_columns(int32_t columns);
/* x[K] to the mean loss and, with gradients, to d[K] and the gradients of the head's weights. */
bool ane_network_head_loss(
    ane_network *n, const int32_t *targets, double scale, double *loss, double *mark, ane_error *e);
/* x[K] to logits [columns, vocab]. */
bool ane_network_head_logits(ane_network *n, float *logits, ane_error *e);

#endif
