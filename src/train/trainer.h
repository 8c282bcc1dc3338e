/* trainer.h - the run while it runs. Its parts: setup (everything is found, checked and made), step, events
 * (what is said, logged, saved), and the loop in trainer.c. */
#ifndef ANEMONE_TRAIN_TRAINER_H
#define ANEMONE_TRAIN_TRAINER_H

#include "anemone/train.h"

#include "train/paths.h"
#include "train/runconfig.h"
#include "train/runlog.h"

typedef struct ane_trainer {
    ane_path run;          /* its folder */
    ane_run_config config; /* config.options is what this run does */
    int64_t stop_after;    /* steps; 0: at the end */
    bool made_folder;      /* of the run: it was not there */
    char description[1024];
    ane_device *device;
    ane_tokenizer *tokenizer;
    ane_dataset *data;
    ane_weights *weights, *gradients;
    ane_adamw *optimizer;
    ane_network *network;
    int32_t *tokens, *targets; /* [batch, seq] each, in one block that begins at `tokens` */
    bool can_evaluate;         /* enough is held out */
    bool weights_changed;      /* since the network was told */
    double peak_flops;         /* a second, measured; 0: not known */

    ane_train_state state;
    int64_t saved_step; /* the newest checkpoint's; -1: none */
    ane_train_owes saved_owes;
    bool progressed; /* this process has made a step, or paid what one owed */
    int skipped_in_a_row;
    double report_ms;   /* what reporting the step before has taken */
    double smoothed_ms; /* of a step, for the time left */
    ane_runlog log;
    ane_train_listener *listener;
    void *context;
} ane_trainer;

/* trainer_setup.c and trainer_resume.c: everything up to the first step. On failure the trainer still wants
 * freeing. */
bool ane_trainer_start(ane_trainer *t, const ane_train_options *options, ane_error *e);
bool ane_trainer_resume(ane_trainer *t, const char *run, const ane_train_options *overrides, ane_error *e);
/* Weights as config.options say: loaded, or new ones; config.model becomes their shape. */
bool ane_trainer_find_weights(ane_trainer *t, ane_error *e);
void ane_trainer_first_state(ane_trainer *t);
/* What both share, once config, device, tokenizer and weights are there: data, optimizer, network, buffers.
 */
bool ane_trainer_make(ane_trainer *t, ane_error *e);
void ane_trainer_free(ane_trainer *t);

/* trainer_options.c: what can be said of options alone, with every sentence that refuses one. */
bool ane_train_options_check(const ane_train_options *o, ane_error *e);

/* trainer_step.c: one step and its record, not yet reported. */
bool ane_trainer_step(ane_trainer *t, ane_step_record *record, ane_error *e);

/* trainer_events.c: each writes to the log and tells the listener. */
bool ane_trainer_say(
    ane_trainer *t, const char *type, const char *text, ane_error *e); /* start, resume, warning */
bool ane_trainer_report_step(ane_trainer *t, const ane_step_record *record, ane_error *e);
bool ane_trainer_tell_notices(ane_trainer *t, ane_error *e); /* what the device has got over, as warnings */
bool ane_trainer_evaluate(ane_trainer *t, ane_error *e);
bool ane_trainer_sample(ane_trainer *t, ane_error *e);
/* `must`: a failure is an error; otherwise it is a warning. */
bool ane_trainer_save(ane_trainer *t, bool must, ane_error *e);
bool ane_trainer_end(ane_trainer *t, bool interrupted, ane_error *e);

#endif
