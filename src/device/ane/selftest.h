/* selftest.h - the machine's facts, found by tiny programs whose results are known: one question each, asked in order,
 * since later ones use what earlier ones found. */
#ifndef ANEMONE_DEVICE_ANE_SELFTEST_H
#define ANEMONE_DEVICE_ANE_SELFTEST_H

#include "device/ane/device.h"

typedef enum engine_outcome {
    ENGINE_PROVEN,    /* the machine did it, with the right numbers */
    ENGINE_CAREFUL,   /* it did not, twice: the careful answer stands, and the error says what happened */
    ENGINE_NOT_ASKED, /* asking would do harm, or something it needs is missing */
} engine_outcome;

typedef struct engine_finding {
    engine_outcome outcome;
    char answer[96];
    ane_error error;
    double ms; /* host's time */
} engine_finding;

typedef struct engine_question {
    const char *name, *question;
    const char *decides; /* what follows from the answer */
    const char *reports; /* who says what; the source of the contradiction */
    /* Ask: put the answer into d->facts and, in words, into found->answer. */
    engine_outcome (*ask)(engine_device *d, engine_finding *found);
} engine_question;

extern const engine_question engine_questions[];
extern const int engine_n_questions;
const char *engine_outcome_name(engine_outcome outcome); /* "proven" */

/* Who watches: told what is asked, before with `found` NULL, and after. */
typedef struct engine_watcher {
    void (*tell)(void *context, int question, const engine_finding *found);
    void *context;
} engine_watcher;

/* Ask everything; the answers are d->facts. False when no program runs at all. `watcher` may be NULL. */
bool engine_self_test(engine_device *d, const engine_watcher *watcher, ane_error *e);

/* Where the facts come from: the cache, else the self-test; the self-test; or nowhere: the careful ones are taken. */
typedef enum engine_learning { ENGINE_LEARN_CACHED, ENGINE_LEARN_FRESH, ENGINE_LEARN_NOT } engine_learning;
bool engine_learn(engine_device *d, engine_learning how, const engine_watcher *watcher, ane_error *e);

/* What there is to report of a machine. */
typedef struct engine_examination {
    ane_machine machine;
    ane_facts facts;
    ane_capabilities capabilities; /* zero where the device cannot be opened */
    char weights[16];              /* the mode that was chosen */
    bool several_ports;
} engine_examination;
/* device.c: open the device as `options` (what stands behind "ane:") say, ask everything afresh, close it. False with a
 * report when it cannot be opened; `x` then holds what was found until there. */
bool engine_examine(const char *options, const engine_watcher *watcher, engine_examination *x, ane_error *e);

/* ---- the questions, by file -------------------------------------------------------------------------------------- */

/* selftest_header.c */
engine_outcome engine_ask_dialect(engine_device *d, engine_finding *found);
engine_outcome engine_ask_attributes(engine_device *d, engine_finding *found);
engine_outcome engine_ask_hardware_time(engine_device *d, engine_finding *found);
/* selftest_surfaces.c */
engine_outcome engine_ask_min_surface(engine_device *d, engine_finding *found);
engine_outcome engine_ask_row_alignment(engine_device *d, engine_finding *found);
engine_outcome engine_ask_strided_rows(engine_device *d, engine_finding *found);
engine_outcome engine_ask_innermost_one(engine_device *d, engine_finding *found);
/* selftest_ports.c */
engine_outcome engine_ask_order(engine_device *d, engine_finding *found);
engine_outcome engine_ask_equal_sizes(engine_device *d, engine_finding *found);
engine_outcome engine_ask_fp32_ports(engine_device *d, engine_finding *found);
engine_outcome engine_ask_chained(engine_device *d, engine_finding *found);
/* selftest_weights.c */
engine_outcome engine_ask_baked_weights(engine_device *d, engine_finding *found);
engine_outcome engine_ask_shared_blobs(engine_device *d, engine_finding *found);
engine_outcome engine_ask_matmul_weights(engine_device *d, engine_finding *found);
engine_outcome engine_ask_conv_weights(engine_device *d, engine_finding *found);
engine_outcome engine_ask_reload(engine_device *d, engine_finding *found);
/* selftest_operations.c */
engine_outcome engine_ask_matmul_inner(engine_device *d, engine_finding *found);
engine_outcome engine_ask_inline_concat(engine_device *d, engine_finding *found);
engine_outcome engine_ask_attention_mask(engine_device *d, engine_finding *found);
engine_outcome engine_ask_tile(engine_device *d, engine_finding *found);
/* selftest_limits.c */
engine_outcome engine_ask_max_width(engine_device *d, engine_finding *found);
engine_outcome engine_ask_max_channels(engine_device *d, engine_finding *found);
engine_outcome engine_ask_loaded_programs(engine_device *d, engine_finding *found);
engine_outcome engine_ask_max_compiles(engine_device *d, engine_finding *found);
/* selftest_threads.c */
engine_outcome engine_ask_concurrent(engine_device *d, engine_finding *found);
/* selftest_numbers.c */
engine_outcome engine_ask_arithmetic(engine_device *d, engine_finding *found);
engine_outcome engine_ask_nan_results(engine_device *d, engine_finding *found);
engine_outcome engine_ask_inf_minus_inf(engine_device *d, engine_finding *found);
engine_outcome engine_ask_log_zero(engine_device *d, engine_finding *found);
engine_outcome engine_ask_denormals(engine_device *d, engine_finding *found);
engine_outcome engine_ask_matmul_finite(engine_device *d, engine_finding *found);
engine_outcome engine_ask_width_slice(engine_device *d, engine_finding *found);

/* What most of them end with: `yes` or `no` in words. */
engine_outcome engine_answer(engine_finding *found, bool proven, const char *yes, const char *no);

#endif
