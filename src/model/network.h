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
 * beside read one while the next but one is written. */
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
    ane_buffer *logits;          /* [1, vocab, 1, columns], the head's; after the loss its gradient */
    ane_buffer *head_x, *head_d; /* the head's x[K] and d[K] when it is on the host, else NULL */
    ane_buffer *rope_cos, *rope_sin;
    float *staging[2];        /* where buffers are converted; NULL when the device takes fp32 */
    float *beside_staging[2]; /* the same for products beside */
    ane_beside beside;
    bool products_beside;
    double *column_loss; /* [columns] */
    ane_network_timers timers;
};

ane_buffer *ane_network_x(const ane_network *n, int segment);
ane_buffer *ane_network_d(const ane_network *n, int segment);

#endif
