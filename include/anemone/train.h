/* train.h - training: the optimizer, the schedule, the run. */
#ifndef ANEMONE_TRAIN_H
#define ANEMONE_TRAIN_H

#include "anemone/data.h"
#include "anemone/device.h"
#include "anemone/error.h"
#include "anemone/model.h"
#include "anemone/text.h"

/* ---- schedule ------------------------------------------------------------------------------------------ */

typedef enum ane_schedule_kind { ANE_COSINE, ANE_CONSTANT, ANE_WSD } ane_schedule_kind;
typedef struct ane_schedule {
    ane_schedule_kind kind;
    double lr, min_lr;     /* peak and final */
    int64_t warmup, total; /* steps */
    int64_t decay;         /* WSD: length of the final linear decay */
} ane_schedule;
/* For step 0, 1, ...: warm-up is linear, (step + 1) / warmup of the peak. The cosine reaches min_lr at `total`, WSD
 * with the last step, total - 1. */
double ane_schedule_lr(const ane_schedule *s, int64_t step);
bool ane_schedule_from_name(ane_schedule_kind *kind, const char *name, ane_error *e);
const char *ane_schedule_name(ane_schedule_kind kind);

/* ---- optimizer ----------------------------------------------------------------------------------------- */

typedef struct ane_adamw_options {
    double beta1, beta2, epsilon, weight_decay;
    bool decay_all; /* norms and embedding too */
    double clip;    /* largest global gradient norm; 0: no clipping */
} ane_adamw_options;

typedef struct ane_adamw {
    ane_adamw_options options;
    ane_weights *m, *v;          /* moments, laid out like the weights */
    int64_t t;                   /* updates made */
    struct ane_adamw_pass *pass; /* private: of the update under way */
} ane_adamw;

ane_adamw *ane_adamw_new(const ane_model_config *c, const ane_adamw_options *options, ane_error *e);
void ane_adamw_free(ane_adamw *o);
/* One update of a network's weights from the gradients of its last ane_network_loss, whose `tokens` these are, times
 * gradient_scale, in two passes over them: the norm, then clip, moments and weights (ane_network_gradients). *norm is the
 * global norm of the scaled gradients, before clipping; when it is not finite nothing is updated. Decoupled decay, PyTorch's
 * formulas (torch.optim.AdamW, clip_grad_norm_), save that moments too small for a normal float become zero. The result does
 * not depend on the number of threads. Weights must have the optimizer's layout.
 *
 * Fails when the network does. Where gradients are not kept, weights may then be half updated: the error says so. */
bool ane_adamw_step(ane_adamw *o, ane_network *n, ane_weights *weights, const int32_t *tokens,
    double gradient_scale, double lr, int threads, double *norm, ane_error *e);
/* The same from gradients in a store like the weights'. `squares`: NULL, or the sum of squares of each gradient tensor that
 * is known, NaN for others; those that are finite are not read for the norm. Returns the norm. */
double ane_adamw_update(ane_adamw *o, ane_weights *weights, const ane_weights *gradients,
    const double *squares, double gradient_scale, double lr, int threads);

/* ---- run ----------------------------------------------------------------------------------------------- */

typedef struct ane_train_options {
    /* what */
    const char *model;     /* preset, config.json, folder or file of weights */
    const char *tokenizer; /* NULL: the byte tokenizer, or the model folder's own */
    int n_data;
    const char *const *data;
    const char *out;         /* run folder; must not hold a run yet */
    const char *device;      /* "cpu" */
    ane_placement placement; /* what of a step is computed where */
    /* how long, how large */
    int64_t steps, stop_after; /* stop_after 0: at the end */
    int32_t batch, seq, accumulate;
    uint64_t seed;
    /* how */
    ane_schedule schedule; /* total is `steps` */
    ane_adamw_options adamw;
    double validation; /* fraction held out */
    /* how often, in steps; 0: never. With an interval, the last step is evaluated and sampled too; the end, however it
     * comes, is saved always. */
    int64_t eval_every, eval_batches, save_every, sample_every;
    int keep; /* checkpoints kept; 0: all */
    const char *sample_prompt;
    /* for the listener alone: log.jsonl has every step */
    int64_t log_every;
    bool json, quiet;
} ane_train_options;

void ane_train_defaults(ane_train_options *o);

/* What a trainer says while it works. All pointers are valid during the call only. */
typedef struct ane_train_event {
    enum {
        ANE_EVENT_START,
        ANE_EVENT_STEP,
        ANE_EVENT_EVAL,
        ANE_EVENT_SAMPLE,
        ANE_EVENT_SAVE,
        ANE_EVENT_WARNING,
        ANE_EVENT_END
    } type;
    int64_t step, total_steps; /* step counts from 1 in events: the step just done */
    double loss, lr, grad_norm, ms, tokens_per_second, mfu, eta_seconds;
    int64_t tokens; /* of this step */
    double eval_loss;
    const char *text; /* sample, warning, path of the checkpoint, description of the run; at the end its
                                   folder, or the command that goes on with it */
    bool skipped;     /* the step was skipped because a gradient was not finite */
    bool interrupted;
} ane_train_event;
typedef void ane_train_listener(void *context, const ane_train_event *event);

/* Start a new run in options->out, or continue the newest good checkpoint of `resume` (then options is NULL or
 * overrides stop_after and device alone; a model, data, tokenizer or out that differs from the run's is refused). `*stop`
 * may be set from a signal handler: the step is finished, the run saved. `stop` and `listener` may be NULL.
 *
 * N + M steps in one go, and N steps, any end, resume, M steps, give the same bits: weights, optimizer and the values in
 * the log, on the same machine with the same threads and precision. A step whose loss or gradient is not finite changes
 * nothing and is told; ten in a row end the run with ANE_ERROR_NUMERIC. Where fp16 is
 * involved an overflow of the gradient repeats the step's batches at half the loss scale. ANE_ERROR_EXHAUSTED: the device
 * wants a new process; the run was saved, and a new process can resume it. After the first step nothing is allocated but for
 * evaluations, samples and checkpoints. A checkpoint that cannot be saved on the way is a warning (the next one may
 * succeed), at the end an error. */
bool ane_train(const ane_train_options *options, const char *resume, const volatile int *stop,
    ane_train_listener *listener, void *context, ane_error *e);

/* ---- checkpoints: RUN/checkpoints/step-N/ -------------------------------------------------------------- */

/* What a step has still to give after its update: the evaluation, then the sample. */
typedef enum ane_train_owes { ANE_OWES_NOTHING, ANE_OWES_SAMPLE, ANE_OWES_EVALUATION } ane_train_owes;

typedef struct ane_train_state {
    int64_t step;          /* steps done */
    int64_t data_position; /* batches drawn */
    double loss_scale;
    int64_t good_steps; /* since the loss scale changed */
    uint64_t rng[4];    /* of the samples; the data's order follows from the position */
    double seconds;     /* trained so far */
    int64_t tokens;
    ane_train_owes owes; /* saved in the middle of a step's end: paid first when the run goes on */
} ane_train_state;

/* All or nothing: into a folder with a temporary name, synced, renamed; then all but the newest `keep` (0: all) are
 * removed. On failure nothing that was there before is touched. `tokenizer` may be NULL. */
bool ane_checkpoint_save(const char *run, const ane_train_state *state, const ane_weights *weights,
    const ane_adamw *optimizer, const ane_tokenizer *tokenizer, int keep, ane_error *e);
/* The newest checkpoint whose files are complete and whose checksums hold. `warn` hears of each one passed over.
 * Returns the path (free()), NULL with a report when there is none. */
char *ane_checkpoint_newest(
    const char *run, void (*warn)(void *context, const char *text), void *context, ane_error *e);
/* Into stores that have the model's shape. Checksums are not verified again: ane_checkpoint_newest has done so. */
bool ane_checkpoint_load(
    const char *checkpoint, ane_train_state *state, ane_weights *weights, ane_adamw *optimizer, ane_error *e);

#endif
