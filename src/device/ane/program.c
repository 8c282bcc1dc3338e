/* program.c - see program.h. The order of calls is that of everybody who got this far:
 *
 *     descriptor -> model -> identifier -> files on disk -> compile -> load -> (request -> evaluate)* -> unload */
#include "device/ane/program_impl.h"

#include "base/clock.h"
#include "device/ane/folder.h"
#include "device/ane/model.h"
#include "device/ane/program_cache.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* The emulator computes on processors that others may be using, too. */
enum {
    QOS_DEFAULT = 21,
    RETRY_PAUSE_MS = 100,
    COMPILE_SECONDS = 120,
    EVALUATE_SECONDS = 30,
    EMULATED_SECONDS = 600
};

bool ane_budget_init(ane_budget *b, const ane_framework *fw, ane_error *e) {
    *b = (ane_budget){.fw = fw,
        .begun = (uint64_t)(ane_clock_ms() * 1e6),
        .compile_seconds = fw->emulated ? EMULATED_SECONDS : COMPILE_SECONDS,
        .evaluate_seconds = fw->emulated ? EMULATED_SECONDS : EVALUATE_SECONDS};
    if (!ane_timed_init(&b->timed, e)) return false;
    if (pthread_mutex_init(&b->lock, NULL) == 0) return true;
    ane_timed_destroy(&b->timed);
    return ane_fail(e, ANE_ERROR_MEMORY, "ane", "no memory for a lock");
}

void ane_budget_destroy(ane_budget *b) {
    ane_timed_destroy(&b->timed);
    pthread_mutex_destroy(&b->lock);
}

/* The emulator's troubles do not pass with time. */
static void pause_ms(const ane_budget *b, long ms) {
    if (b->fw->emulated) return;
    const struct timespec t = {ms / 1000, ms % 1000 * 1000000L};
    nanosleep(&t, NULL);
}

/* ---- compile, load, unload ----------------------------------------------------------------------------------- */

static bool order(ane_program *p, const char *selector, const char *stage, ane_error *e) {
    ane_budget *b = p->budget;
    const ane_model_call call = {stage, selector, NULL, b->compile_seconds};
    return ane_model_call_make(&b->timed, b->fw, p->model, &call, &p->hung, e);
}

/* Say that something went wrong and then right. */
static void note_retry(ane_budget *b, const char *stage, const ane_error *why) {
    char text[sizeof why->message + 128];
    snprintf(text, sizeof text,
        "The Neural Engine's %s failed once and succeeded when it was tried again: %s", stage, why->message);
    if (b->note) b->note(b->note_context, text);
}

static void unload(ane_program *p) {
    ane_message m;
    objc_id error = NULL;
    if (p->loaded && !p->hung && ane_message_find(p->budget->fw, p->model, "unloadWithQoS:error:", &m, NULL))
        (void)ANE_SEND(m, objc_bool, (objc_id, objc_selector, unsigned, objc_id *), QOS_DEFAULT, &error);
    p->loaded = false;
}

/* A program that is refused will be refused again; everything else may have been a passing trouble. */
static bool compile(ane_program *p, ane_error *e) {
    ane_error first = {0};
    if (order(p, "compileWithQoS:options:error:", "compile", &first)) return true;
    if (!p->hung && !strstr(first.message, "InvalidMILProgram")) {
        pthread_mutex_lock(&p->budget->lock);
        p->budget->retries++;
        pthread_mutex_unlock(&p->budget->lock);
        pause_ms(p->budget, RETRY_PAUSE_MS);
        ane_error second = {0};
        if (order(p, "compileWithQoS:options:error:", "compile", &second)) {
            note_retry(p->budget, "compile", &first);
            return true;
        }
    }
    ane_fail(e, first.code, first.where, "%s", first.message);
    return ane_hint(e, "%s", first.hint);
}

/* Unload the program that rested longest; false when all are at work. */
static bool evict(ane_budget *b, const ane_program *but) {
    ane_program *oldest = NULL;
    for (ane_program *p = b->programs; p; p = p->next)
        if (p != but && p->loaded && p->users == 0 && (!oldest || p->last_use < oldest->last_use)) oldest = p;
    if (!oldest) return false;
    unload(oldest);
    b->evictions++;
    return true;
}

static int64_t count_loaded(const ane_budget *b) {
    int64_t n = 0;
    for (const ane_program *p = b->programs; p; p = p->next) n += p->loaded;
    return n;
}

/* Making room where a limit is known is no trouble; the first time it may have been one. */
static void note_load(ane_budget *b, bool room, const ane_error *first) {
    int64_t loaded = count_loaded(b);
    if (!room || b->most_loaded == 0 || loaded < b->most_loaded) note_retry(b, "load", first);
    if (room) b->most_loaded = loaded;
}

/* Under the budget's lock. Room is made by evicting; without anything to evict, a pause may free a slot. */
bool ane_program_load(ane_program *p, ane_error *e) {
    ane_budget *b = p->budget;
    ane_error first = {0};
    if (p->hung)
        return ane_fail(e, ANE_ERROR_DEVICE, "load", "a call of this program did not come back before");
    if (p->loaded) return true;
    p->loaded = order(p, "loadWithQoS:options:error:", "load", &first);
    if (!p->loaded && !p->hung) {
        b->retries++;
        bool room = evict(b, p);
        if (!room) pause_ms(b, RETRY_PAUSE_MS);
        ane_error second = {0};
        p->loaded = order(p, "loadWithQoS:options:error:", "load", &second);
        if (p->loaded) note_load(b, room, &first);
    }
    b->loads += p->loaded;
    if (p->loaded) return true;
    ane_fail(e, first.code, first.where, "%s", first.message);
    return ane_hint(e, "%s", first.hint);
}

/* ---- making and freeing -------------------------------------------------------------------------------------- */

static bool first_load(ane_program *p, ane_error *e) {
    ane_budget *b = p->budget;
    pthread_mutex_lock(&b->lock);
    p->last_use = ++b->clock;
    bool ok = ane_program_load(p, e);
    pthread_mutex_unlock(&b->lock);
    return ok;
}

/* Loaded as the cache has it, or compiled; `key` NULL: compiled, and not kept. */
static bool make_ready(ane_program *p, const char *key, ane_error *e) {
    ane_budget *b = p->budget;
    ane_error why = {0};
    if (key && ane_program_recall(b->cache, key, p->folder)) {
        if (first_load(p, &why)) return true;
        if (p->hung) {
            *e = why;
            return false;
        }
        ane_program_forget(b->cache, key, p->folder);
    }
    if (!compile(p, e)) return false;
    pthread_mutex_lock(&b->lock);
    b->compiles++;
    pthread_mutex_unlock(&b->lock);
    if (key) ane_program_keep(b->cache, key, p->folder);
    return first_load(p, e);
}

static bool build(
    ane_program *p, const char *text, int n, const ane_weight_file *files, const char *key, ane_error *e) {
    p->model = ane_model_new(p->budget->fw, text, n, files, e);
    p->folder = p->model ? ane_model_folder(p->budget->fw, p->model, e) : NULL;
    return p->folder && ane_model_write(p->folder, text, n, files, e) && make_ready(p, key, e);
}

/* The limit is told by nothing but the same error that a bad program gets (ane-spec 1.8): so a program that is known to
 * be good is tried. */
static bool is_exhausted(ane_budget *b, const ane_error *why) {
    pthread_mutex_lock(&b->lock);
    int64_t begun = b->compiles; /* where nothing was ever compiled, nothing is used up */
    pthread_mutex_unlock(&b->lock);
    bool compiler = strcmp(why->where, "compile") == 0 || strcmp(why->where, "load") == 0;
    if (!compiler || strstr(why->message, "InvalidMILProgram") || !b->works || begun == 0 ||
        atomic_exchange(&b->asking, true))
        return false;
    bool works = b->works(b->works_context);
    atomic_store(&b->asking, false);
    return !works;
}

static void tell_why(ane_budget *b, const ane_error *why, ane_error *e) {
    if (!is_exhausted(b, why)) {
        if (e && e->code == ANE_OK) *e = *why;
        return;
    }
    ane_fail(e, ANE_ERROR_EXHAUSTED, why->where,
        "after %lld programs this process can compile and load no more: %s", (long long)b->compiles,
        why->message);
    ane_hint(
        e, "A new process can: `anemone train` goes on in one by itself; weights=packed needs few programs.");
}

static void enlist(ane_program *p) {
    ane_budget *b = p->budget;
    pthread_mutex_lock(&b->lock);
    p->next = b->programs;
    b->programs = p;
    pthread_mutex_unlock(&b->lock);
}

ane_program *ane_program_new(
    ane_budget *b, const char *text, int n_files, const ane_weight_file *files, bool kept, ane_error *e) {
    ane_program *p = calloc(1, sizeof *p);
    if (!p) {
        ane_fail(e, ANE_ERROR_MEMORY, "ane", "no memory for a program");
        return NULL;
    }
    p->budget = b;
    enlist(p);
    void *pool = ane_pool_push(b->fw);
    ane_error why = {0};
    char key[ANE_STORE_KEY + 1];
    char *own = ane_program_text(b, text, &why);
    kept = kept && b->cache;
    if (kept) ane_program_key(b->cache, text, n_files, files, key);
    bool ok = own && build(p, own, n_files, files, kept ? key : NULL, &why);
    free(own);
    ane_pool_pop(b->fw, pool);
    if (ok) return p;
    ane_program_free(p);
    tell_why(b, &why, e);
    return NULL;
}

void ane_program_expect(ane_program *p, double flops) {
    p->flops = flops;
}

bool ane_program_is_hung(const ane_program *p) {
    return p->hung;
}

void ane_program_free(ane_program *p) {
    if (!p) return;
    ane_budget *b = p->budget;
    void *pool = ane_pool_push(b->fw);
    pthread_mutex_lock(&b->lock);
    for (ane_program **at = &b->programs; *at; at = &(*at)->next)
        if (*at == p) {
            *at = p->next;
            break;
        }
    unload(p);
    pthread_mutex_unlock(&b->lock);
    ane_release(b->fw, p->model);
    ane_pool_pop(b->fw, pool);
    ane_folder_remove(p->folder);
    free(p->folder);
    free(p);
}

objc_id ane_program_model(const ane_program *p) {
    return p->model;
}

bool ane_program_reload(ane_program *p, int n_files, const ane_weight_file *files, ane_error *e) {
    ane_budget *b = p->budget;
    void *pool = ane_pool_push(b->fw);
    pthread_mutex_lock(&b->lock);
    unload(p);
    bool ok = ane_model_write_weights(p->folder, n_files, files, e) && ane_program_load(p, e);
    pthread_mutex_unlock(&b->lock);
    ane_pool_pop(b->fw, pool);
    return ok;
}
