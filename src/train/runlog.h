/* runlog.h - RUN/log.jsonl: what happened, one JSON object a line.
 *
 *   {"type":"start","step":0,"time":T,"text":...}    a new run; T in seconds since 1970
 *   {"type":"resume","step":N,"time":T,"text":...}   it went on behind step N
 *   {"type":"step","step":N,"loss":nats,"lr":x,"grad_norm":x,"tokens":of this step,"ms":wall
 * time,"timers":{...},"beside_ms":products beside, "tokens_per_second":x,"mfu":fraction of the measured
 * peak,"loss_scale":x,"repeats":n,"skipped":bool,"device":{...}}
 *   {"type":"eval","step":N,"loss":nats,"perplexity":x,"bits_per_byte":x,"tokens":n}
 *   {"type":"sample","step":N,"text":...}
 *   {"type":"save","step":N,"path":folder}
 *   {"type":"warning","step":N,"text":...}
 *   {"type":"end","step":N,"interrupted":bool,"device":{...}}
 *
 * What is no number (the loss of a step that was skipped, say) is null. Steps count from 1. The timers are
 * milliseconds by the clock and together make up "ms": data, embedding, forward, head, loss, backward, norms,
 * products, waiting (for products beside the next kernel), scatter, optimizer, weights (telling the device of the new ones) and report (the log and the
 * listener, for the step before).
 *
 * "repeats": how often the step's batches were run again at half the loss scale, since a gradient overflowed fp16.
 * "device" is what the device did for this step, and at the end for all since it was opened, compiling before the first
 * step included: ane_device_counts, by its members' names.
 *
 * A run that goes on behind step N first cuts off what was logged after it, so that the log reads as if the
 * run had never stopped: step, eval and sample lines hold the same values, times apart.
 */
#ifndef ANEMONE_TRAIN_RUNLOG_H
#define ANEMONE_TRAIN_RUNLOG_H

#include "anemone/generate.h"
#include "anemone/train.h"

#include "train/jsonline.h"

typedef struct ane_step_timers {
    double data, optimizer, weights, report;
    ane_network_timers network;
} ane_step_timers;

typedef struct ane_step_record {
    int64_t step, tokens;
    double loss, lr, grad_norm, ms, tokens_per_second, mfu, loss_scale;
    int32_t repeats;
    bool skipped;
    ane_step_timers timers;
    ane_device_counts device;
} ane_step_record;

typedef struct ane_runlog {
    int fd; /* -1: not open */
    char path[4096];
    ane_line line;
} ane_runlog;

/* Open or create; one process at a time may hold a run's log. */
bool ane_runlog_open(ane_runlog *log, const char *run, ane_error *e);
/* Cut off what does not belong to the first `step` steps, torn lines and a closing "end" line too. */
bool ane_runlog_cut(ane_runlog *log, int64_t step, ane_error *e);
bool ane_runlog_step(ane_runlog *log, const ane_step_record *r, ane_error *e);
bool ane_runlog_eval(ane_runlog *log, int64_t step, const ane_evaluation *v, ane_error *e);
/* start, resume, sample, warning (text) and save (path). */
bool ane_runlog_text(ane_runlog *log, const char *type, int64_t step, const char *text, ane_error *e);
bool ane_runlog_end(
    ane_runlog *log, int64_t step, bool interrupted, const ane_device_counts *device, ane_error *e);
bool ane_runlog_sync(ane_runlog *log, ane_error *e); /* to the disk, before a checkpoint that counts on it */
void ane_runlog_close(ane_runlog *log);

#endif
