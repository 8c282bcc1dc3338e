#include "train/runlog.h"

#include "base/file.h"
#include "train/paths.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

bool ane_runlog_open(ane_runlog *log, const char *run, ane_error *e) {
    ane_path path;
    *log = (ane_runlog){.fd = -1};
    if (!ane_path_set(&path, e, "%s/log.jsonl", run)) return false;
    memcpy(log->path, path.text, sizeof log->path);
    log->fd = open(path.text, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (log->fd < 0) return ane_fail(e, ANE_ERROR_IO, path.text, "Cannot open the log: %s.", strerror(errno));
    if (flock(log->fd, LOCK_EX | LOCK_NB) == 0) return true;
    ane_runlog_close(log);
    ane_fail(e, ANE_ERROR_IO, run, "Another process is training this run.");
    return ane_hint(e, "Wait until it ends, or stop it.");
}

void ane_runlog_close(ane_runlog *log) {
    if (log->fd >= 0) close(log->fd);
    log->fd = -1;
    ane_line_free(&log->line);
}

bool ane_runlog_sync(ane_runlog *log, ane_error *e) {
    if (fsync(log->fd) == 0 || errno == EINVAL) return true;
    return ane_fail(e, ANE_ERROR_IO, log->path, "Cannot sync the log: %s.", strerror(errno));
}

/* ---- cutting ------------------------------------------------------------------------------------------- */

/* Does a line belong to the first `step` steps? */
static bool belongs(const char *text, size_t n, int64_t step) {
    json_t *o = json_loadb(text, n, 0, NULL);
    const char *type = json_string_value(json_object_get(o, "type"));
    const json_t *at = json_object_get(o, "step");
    bool keep = type && strcmp(type, "end") != 0 && json_is_integer(at) && json_integer_value(at) <= step;
    json_decref(o);
    return keep;
}

static size_t kept_bytes(const char *text, size_t size, int64_t step) {
    size_t kept = 0;
    for (const char *end; kept < size && (end = memchr(text + kept, '\n', size - kept));) {
        size_t n = (size_t)(end - text) - kept;
        if (!belongs(text + kept, n, step)) break;
        kept += n + 1;
    }
    return kept;
}

bool ane_runlog_cut(ane_runlog *log, int64_t step, ane_error *e) {
    ane_mapping m;
    if (!ane_map_file(&m, log->path, e)) return false;
    size_t kept = kept_bytes((const char *)m.data, m.size, step);
    ane_unmap_file(&m);
    if (ftruncate(log->fd, (off_t)kept) == 0) return true;
    return ane_fail(e, ANE_ERROR_IO, log->path, "Cannot cut the log: %s.", strerror(errno));
}

/* ---- writing ------------------------------------------------------------------------------------------- */

/* The finished line in one go: a crash may tear it, but lines never mix. */
static bool write_line(ane_runlog *log, ane_error *e) {
    ane_line *l = &log->line;
    ane_line_end(l);
    if (l->failed) return ane_fail(e, ANE_ERROR_MEMORY, log->path, "Out of memory for a line of the log.");
    for (size_t done = 0; done < l->used;) {
        ssize_t n = write(log->fd, l->text + done, l->used - done);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0)
            return ane_fail(e, ANE_ERROR_IO, log->path, "Cannot write to the log: %s.", strerror(errno));
        done += (size_t)n;
    }
    return true;
}

static ane_line *begin(ane_runlog *log, const char *type, int64_t step) {
    ane_line_begin(&log->line);
    ane_line_text(&log->line, "type", type);
    ane_line_integer(&log->line, "step", step);
    return &log->line;
}

static void put_timers(ane_line *l, const ane_step_timers *t) {
    const struct {
        const char *name;
        double ms;
    } timers[] = {{"data", t->data}, {"embedding", t->network.embedding}, {"forward", t->network.forward},
        {"head", t->network.head}, {"loss", t->network.loss}, {"backward", t->network.backward},
        {"norms", t->network.norms}, {"products", t->network.products}, {"waiting", t->network.waiting},
        {"scatter", t->network.scatter}, {"optimizer", t->optimizer}, {"weights", t->weights},
        {"report", t->report}};
    ane_line_open(l, "timers");
    for (size_t i = 0; i < sizeof timers / sizeof *timers; i++)
        ane_line_decimal(l, timers[i].name, timers[i].ms);
    ane_line_close(l);
    ane_line_decimal(l, "beside_ms", t->network.beside);
}

static void put_device(ane_line *l, const ane_device_counts *c) {
    const struct {
        const char *name;
        int64_t n;
    } numbers[] = {{"runs", c->runs}, {"surface_bytes", c->surface_bytes}, {"copied_bytes", c->copied_bytes},
        {"compiles", c->compiles}, {"loads", c->loads}, {"evictions", c->evictions}, {"retries", c->retries}};
    const struct {
        const char *name;
        double ms;
    } times[] = {{"device_ms", c->device_ms}, {"staging_ms", c->staging_ms}, {"copying_ms", c->copying_ms},
        {"compiling_ms", c->compiling_ms}, {"evaluating_ms", c->evaluating_ms}};
    ane_line_open(l, "device");
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        ane_line_integer(l, numbers[i].name, numbers[i].n);
    for (size_t i = 0; i < sizeof times / sizeof *times; i++) ane_line_decimal(l, times[i].name, times[i].ms);
    ane_line_bool(l, "modelled", c->modelled);
    ane_line_close(l);
}

bool ane_runlog_step(ane_runlog *log, const ane_step_record *r, ane_error *e) {
    ane_line *l = begin(log, "step", r->step);
    ane_line_number(l, "loss", r->loss);
    ane_line_number(l, "lr", r->lr);
    ane_line_number(l, "grad_norm", r->grad_norm);
    ane_line_integer(l, "tokens", r->tokens);
    ane_line_decimal(l, "ms", r->ms);
    put_timers(l, &r->timers);
    ane_line_decimal(l, "tokens_per_second", r->tokens_per_second);
    ane_line_number(l, "mfu", r->mfu);
    ane_line_number(l, "loss_scale", r->loss_scale);
    ane_line_integer(l, "repeats", r->repeats);
    ane_line_bool(l, "skipped", r->skipped);
    put_device(l, &r->device);
    return write_line(log, e);
}

bool ane_runlog_eval(ane_runlog *log, int64_t step, const ane_evaluation *v, ane_error *e) {
    ane_line *l = begin(log, "eval", step);
    ane_line_number(l, "loss", v->loss);
    ane_line_number(l, "perplexity", v->perplexity);
    ane_line_number(l, "bits_per_byte", v->bits_per_byte);
    ane_line_integer(l, "tokens", v->tokens);
    return write_line(log, e);
}

bool ane_runlog_text(ane_runlog *log, const char *type, int64_t step, const char *text, ane_error *e) {
    ane_line *l = begin(log, type, step);
    bool marks_time = strcmp(type, "start") == 0 || strcmp(type, "resume") == 0;
    if (marks_time) ane_line_integer(l, "time", (int64_t)time(NULL));
    ane_line_text(l, strcmp(type, "save") == 0 ? "path" : "text", text);
    return write_line(log, e);
}

bool ane_runlog_end(
    ane_runlog *log, int64_t step, bool interrupted, const ane_device_counts *device, ane_error *e) {
    ane_line *l = begin(log, "end", step);
    ane_line_bool(l, "interrupted", interrupted);
    put_device(l, device);
    return write_line(log, e);
}
