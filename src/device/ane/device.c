/* device.c - the Neural Engine device: options, buffers, and the table of what it does. */
#include "device/ane/device.h"

#include "base/decimal.h"
#include "base/parallel.h"
#include "device/ane/chips.h"
#include "device/ane/folder.h"
#include "device/ane/selftest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- options ------------------------------------------------------------------------------------------------------ */

typedef struct options {
    bool emulator;
    int threads;
    int mode; /* of modes; BEST_MODE: by the machine's facts */
    engine_learning learning;
    int caching;        /* of caching_names; -1: on, but not for the emulator */
    double timeout;     /* seconds; 0: the usual ones */
    char settings[512]; /* for the emulator: chip=..., quirk=..., fault=... */
} options;

static const struct {
    const char *name;
    mil_weight_mode mode;
    bool reload, async;
} modes[] = {
    {"packed", MIL_WEIGHTS_PACKED, false, false},
    {"input", MIL_WEIGHTS_INPUT, false, false},
    {"baked", MIL_WEIGHTS_BAKED, false, false},
    {"baked-async", MIL_WEIGHTS_BAKED, false, true},
    {"reload", MIL_WEIGHTS_BAKED, true, false},
};
enum { N_MODES = sizeof modes / sizeof *modes, BEST_MODE = -1 };

static bool set_weights(options *o, const char *value, ane_error *e) {
    for (o->mode = 0; o->mode < N_MODES; o->mode++)
        if (strcmp(value, modes[o->mode].name) == 0) return true;
    return ane_fail(e, ANE_ERROR_ARGUMENT, "ane",
        "there is no weight mode \"%s\"; known: packed, input, baked, baked-async, reload", value);
}

static bool set_learning(options *o, const char *value, ane_error *e) {
    static const char *const names[] = {
        [ENGINE_LEARN_CACHED] = "cached", [ENGINE_LEARN_FRESH] = "fresh", [ENGINE_LEARN_NOT] = "off"};
    for (int i = ENGINE_LEARN_CACHED; i <= ENGINE_LEARN_NOT; i++) {
        o->learning = (engine_learning)i;
        if (strcmp(value, names[i]) == 0) return true;
    }
    return ane_fail(
        e, ANE_ERROR_ARGUMENT, "ane", "selftest must be cached, fresh or off, found \"%s\"", value);
}

enum { CACHING_BY_MACHINE = -1, CACHING_OFF, CACHING_ON, CACHING_ALL, N_CACHING };
static const char *const caching_names[N_CACHING] = {"off", "on", "all"};

static bool set_caching(options *o, const char *value, ane_error *e) {
    for (o->caching = 0; o->caching < N_CACHING; o->caching++)
        if (strcmp(value, caching_names[o->caching]) == 0) return true;
    return ane_fail(e, ANE_ERROR_ARGUMENT, "ane", "cache must be on, off or all, found \"%s\"", value);
}

static bool set_threads(options *o, const char *value, ane_error *e) {
    char *end;
    long n = strtol(value, &end, 10);
    if (!*value || *end || n < 1 || n > 1024)
        return ane_fail(
            e, ANE_ERROR_ARGUMENT, "ane", "threads must be a number from 1 to 1024, found \"%s\"", value);
    o->threads = (int)n;
    return true;
}

static bool set_timeout(options *o, const char *value, ane_error *e) {
    char *end;
    o->timeout = ane_read_decimal(value, &end);
    if (*value && !*end && o->timeout >= 0.001 && o->timeout <= 86400) return true;
    return ane_fail(
        e, ANE_ERROR_ARGUMENT, "ane", "timeout must be seconds from 0.001 to 86400, found \"%s\"", value);
}

static bool set_option(options *o, char *text, ane_error *e) {
    static const char *const for_emulator[] = {"chip=", "quirk=", "fault="};
    if (strcmp(text, "emulator") == 0) return o->emulator = true;
    if (strncmp(text, "weights=", 8) == 0) return set_weights(o, text + 8, e);
    if (strncmp(text, "threads=", 8) == 0) return set_threads(o, text + 8, e);
    if (strncmp(text, "cache=", 6) == 0) return set_caching(o, text + 6, e);
    if (strncmp(text, "timeout=", 8) == 0) return set_timeout(o, text + 8, e);
    if (strncmp(text, "selftest=", 9) == 0) return set_learning(o, text + 9, e);
    for (size_t i = 0; i < sizeof for_emulator / sizeof *for_emulator; i++) {
        if (strncmp(text, for_emulator[i], strlen(for_emulator[i])) != 0) continue;
        size_t n = strlen(o->settings);
        snprintf(o->settings + n, sizeof o->settings - n, "%s%s", n ? "," : "", text);
        return true;
    }
    return ane_fail(e, ANE_ERROR_ARGUMENT, "ane",
        "the device \"ane\" has no option \"%s\"; its options: emulator, "
        "weights=packed|input|baked|baked-async|reload, "
        "threads=N, timeout=SECONDS, cache=on|off|all, selftest=cached|fresh|off; with emulator also "
        "chip=NAME, "
        "quirk=NAME:VALUE, fault=NAME:N",
        text);
}

static bool parse_options(options *o, const char *text, ane_error *e) {
    char copy[512];
    *o = (options){.threads = ane_cpu_count(), .mode = BEST_MODE, .caching = CACHING_BY_MACHINE};
    if (strlen(text) >= sizeof copy)
        return ane_fail(e, ANE_ERROR_ARGUMENT, "ane", "the device's options are longer than %zu characters",
            sizeof copy - 1);
    strcpy(copy, text);
    for (char *at = copy; *at;) {
        char *end = at + strcspn(at, ","), last = *end;
        *end = 0;
        if (!set_option(o, at, e)) return false;
        at = last ? end + 1 : end;
    }
    if (o->settings[0] && !o->emulator)
        return ane_fail(e, ANE_ERROR_ARGUMENT, "ane", "%s is for the emulator only", o->settings) ||
               ane_hint(e, "Write ane:emulator,%s.", o->settings);
    return true;
}

/* ---- memory ------------------------------------------------------------------------------------------------------- */

static void count(engine_device *d, int64_t bytes) {
    long long now = atomic_fetch_add(&d->bytes, bytes) + bytes, peak = atomic_load(&d->peak_bytes);
    while (now > peak && !atomic_compare_exchange_weak(&d->peak_bytes, &peak, now)) {
    }
    if (bytes > 0) atomic_fetch_add(&d->allocations, 1);
}

ane_surface *engine_surface_new(engine_device *d, int64_t bytes, ane_error *e) {
    ane_surface *s = ane_surface_new(&d->fw, (size_t)bytes, e);
    if (s) count(d, bytes);
    return s;
}

void engine_surface_free(engine_device *d, ane_surface *s) {
    if (!s) return;
    count(d, -(int64_t)s->bytes);
    ane_surface_free(s);
}

int64_t engine_port_bytes(const engine_device *d, int64_t rows, int64_t width, int64_t element) {
    int64_t unit = d->facts.row_alignment, row = (width * element + unit - 1) / unit * unit;
    return rows * row > d->facts.min_surface ? rows * row : d->facts.min_surface;
}

int64_t engine_surface_bytes(const engine_device *d, const mil_lowering *l, bool input, int32_t port) {
    const mil_port *ports = input ? l->inputs : l->outputs;
    int64_t bytes = engine_port_bytes(d, ports[port].rows, ports[port].width, 2);
    for (int32_t i = 0; !d->several_ports && i < (input ? l->n_inputs : l->n_outputs); i++) {
        int64_t other = engine_port_bytes(d, ports[i].rows, ports[i].width, 2);
        if (other > bytes) bytes = other;
    }
    return bytes;
}

static ane_memory_stats memory(const ane_device *device) {
    engine_device *d = (engine_device *)device; /* reading an atomic changes nothing */
    return (ane_memory_stats){
        atomic_load(&d->bytes), atomic_load(&d->peak_bytes), atomic_load(&d->allocations)};
}

static void budget_counts(ane_device *device, ane_device_counts *counts) {
    ane_budget *b = &((engine_device *)device)->budget;
    pthread_mutex_lock(&b->lock);
    counts->compiles += b->compiles;
    counts->loads += b->loads;
    counts->evictions += b->evictions;
    counts->retries += b->retries;
    pthread_mutex_unlock(&b->lock);
    const ane_program_cache *cache = &((engine_device *)device)->cache;
    counts->cache_hits += atomic_load(&cache->hits);
    counts->cache_misses += atomic_load(&cache->misses);
    counts->cache_failures += atomic_load(&cache->failures);
}

/* ---- the device --------------------------------------------------------------------------------------------------- */

/* Weights as inputs need no packing of activations; where several inputs do not work, packed does; where matmul takes
 * constants only, so must everything. */
static int best_mode(const engine_device *d) {
    if (!d->facts.matmul_weights) return MIL_WEIGHTS_BAKED;
    return d->several_ports ? MIL_WEIGHTS_INPUT : MIL_WEIGHTS_PACKED;
}

/* What a mode needs and the machine does not have. */
static bool refuse_mode(const engine_device *d, ane_error *e) {
    const ane_facts *f = &d->facts;
    const bool baked = d->weights == MIL_WEIGHTS_BAKED;
    const struct {
        bool missing;
        const char *what, *hint;
    } needs[] = {
        {d->weights == MIL_WEIGHTS_INPUT && f->order == ANE_ORDER_UNKNOWN,
            "the self-test found no order in which this machine binds several inputs (ANE-07)",
            "Use weights=packed."},
        {!baked && !f->matmul_weights,
            "the self-test saw no matmul of two operands that are computed at run time (matmul-weights; "
            "ANE-30 with program(1.5))",
            "Use weights=baked."},
        {baked && !f->baked_weights, "the self-test saw no constants from a weight file (baked-weights)",
            "Use weights=packed."},
        {d->async && !f->concurrent,
            "the self-test saw no right numbers beside a compilation on another thread (concurrent)",
            "Use weights=baked."},
        {d->reload && !f->reload, "this machine ignores new weight files on reload, as the self-test saw",
            "Use weights=packed or weights=baked."},
    };
    for (size_t i = 0; i < sizeof needs / sizeof *needs; i++)
        if (needs[i].missing)
            return ane_fail(e, ANE_ERROR_UNSUPPORTED, "ane", "%s", needs[i].what) ||
                   ane_hint(e, "%s", needs[i].hint);
    return true;
}

static bool choose_mode(engine_device *d, options *o, ane_error *e) {
    /* Where rows lie apart, only packed ports, whose rows fill whole units, are as the host has them. */
    d->several_ports = !d->facts.equal_sizes && d->facts.order != ANE_ORDER_UNKNOWN && !d->facts.strided_rows;
    if (o->mode == BEST_MODE) o->mode = best_mode(d);
    d->weights = modes[o->mode].mode;
    d->reload = modes[o->mode].reload;
    d->async = modes[o->mode].async;
    return refuse_mode(d, e);
}

/* Which machine, and what is recorded of it. */
static void describe_machine(engine_device *d) {
    ane_capabilities *c = &d->base.capabilities;
    ane_chip chip;
    memcpy(c->chip, d->machine.chip, sizeof c->chip);
    memcpy(c->os_build, d->machine.os_build, sizeof c->os_build);
    memcpy(c->framework, d->machine.framework, sizeof c->framework);
    if (!ane_chip_find(&chip, d->machine.chip)) return;
    c->device_gflops = chip.gflops;
    c->device_dispatch_ms = chip.dispatch_ms;
    c->device_matmul_factor = chip.matmul_factor;
    c->host_gflops = chip.host_gflops;
    c->device_bandwidth_gbs = chip.bandwidth_gbs;
}

static void describe(engine_device *d, const options *o) {
    ane_capabilities *c = &d->base.capabilities;
    strcpy(c->device, "ane");
    snprintf(c->description, sizeof c->description, "%s of %s, weights %s",
        d->fw.emulated ? "emulated Neural Engine" : "Neural Engine",
        d->machine.chip[0] ? d->machine.chip : "an unknown chip", modes[o->mode].name);
    describe_machine(d);
    c->precision = ANE_FP16;
    c->activation_dtype = MIL_FP16;
    c->runs_beside_host = true;
    c->max_inputs = c->max_outputs = d->several_ports ? 64 : 1;
    c->max_dim = d->facts.max_channels;
    c->max_width = d->facts.max_width;
    c->min_surface_bytes = d->facts.min_surface;
    c->row_alignment_bytes = d->facts.row_alignment;
    c->threads = o->threads;
}

/* What the self-test asks is compiled, whatever the cache has: this comes after it. The emulator compiles as fast as it
 * loads, and its limits and faults are there to be met. Weights that change are not worth their room on the disk. */
static void open_cache(engine_device *d, int caching) {
    if (caching == CACHING_BY_MACHINE) caching = d->fw.emulated ? CACHING_OFF : CACHING_ON;
    if (caching == CACHING_OFF || !ane_program_cache_open(&d->cache, &d->machine)) return;
    d->budget.cache = &d->cache;
    d->keep_baked = caching == CACHING_ALL && !d->reload;
}

static bool start(engine_device *d, options *o, const engine_watcher *watcher, ane_error *e) {
    if (!ane_framework_open(&d->fw, o->emulator ? o->settings : NULL, e)) return false;
    if (!ane_budget_init(&d->budget, &d->fw, e)) return false;
    if (!ane_background_init(&d->background, e)) {
        ane_budget_destroy(&d->budget);
        return false;
    }
    if (o->timeout > 0) d->budget.compile_seconds = d->budget.evaluate_seconds = o->timeout;
    ane_machine_identify(&d->fw, &d->machine);
    d->base.capabilities.threads = o->threads;
    ane_folder_sweep(&d->fw);
    if (ane_machine_check(&d->machine, e) && engine_learn(d, o->learning, watcher, e) &&
        choose_mode(d, o, e)) {
        describe(d, o);
        d->budget.peak_gflops = d->base.capabilities.device_gflops;
        d->budget.note = ane_device_note;
        d->budget.note_context = d;
        d->budget.works = engine_still_works;
        d->budget.works_context = d;
        open_cache(d, o->caching);
        return true;
    }
    ane_background_destroy(&d->background);
    ane_budget_destroy(&d->budget);
    return false;
}

static ane_device *engine_open(const char *text, ane_error *e) {
    options o;
    if (!parse_options(&o, text, e)) return NULL;
    engine_device *d = calloc(1, sizeof *d);
    if (!d) {
        ane_fail(e, ANE_ERROR_MEMORY, "ane", "no memory for the device");
        return NULL;
    }
    d->base.ops = &ane_engine_device;
    if (start(d, &o, NULL, e)) return &d->base;
    free(d);
    return NULL;
}

static void engine_close(ane_device *device) {
    engine_device *d = (engine_device *)device;
    ane_background_destroy(&d->background);
    ane_budget_destroy(&d->budget);
    ane_program_cache_close(&d->cache);
    free(d);
}

bool engine_examine(const char *text, const engine_watcher *watcher, engine_examination *x, ane_error *e) {
    options o;
    *x = (engine_examination){0};
    if (!parse_options(&o, text, e)) return false;
    engine_device *d = calloc(1, sizeof *d);
    if (!d) return ane_fail(e, ANE_ERROR_MEMORY, "ane", "no memory for the device");
    d->base.ops = &ane_engine_device;
    o.learning = ENGINE_LEARN_FRESH;
    bool ok = start(d, &o, watcher, e);
    x->machine = d->machine;
    x->facts = d->facts;
    x->several_ports = d->several_ports;
    if (ok) {
        x->capabilities = d->base.capabilities;
        snprintf(x->weights, sizeof x->weights, "%s", modes[o.mode].name);
        engine_close(&d->base);
    } else {
        free(d);
    }
    return ok;
}

/* ---- buffers ------------------------------------------------------------------------------------------------------ */

static ane_buffer *buffer_new(ane_device *device, const mil_type *type, ane_error *e) {
    engine_device *d = (engine_device *)device;
    engine_buffer *b = calloc(1, sizeof *b);
    mil_piece form = {.type = *type};
    mil_pack_alone(&form);
    int64_t element = (mil_dtype_bits(type->dtype) + 7) / 8;
    if (b) b->surface = engine_surface_new(d, engine_port_bytes(d, form.rows, form.width, element), e);
    if (b && b->surface) return &b->base;
    free(b);
    ane_fail(e, ANE_ERROR_MEMORY, "ane", "no memory for a buffer");
    return NULL;
}

static void buffer_free(ane_buffer *buffer) {
    engine_buffer *b = (engine_buffer *)buffer;
    engine_surface_free((engine_device *)buffer->device, b->surface);
    free(b);
}

static void *buffer_map(ane_buffer *buffer, ane_access access, ane_error *e) {
    engine_buffer *b = (engine_buffer *)buffer;
    b->mapped = access;
    return ane_surface_lock(b->surface, access == ANE_READ, e);
}

static bool buffer_unmap(ane_buffer *buffer, ane_error *e) {
    engine_buffer *b = (engine_buffer *)buffer;
    return ane_surface_unlock(b->surface, b->mapped == ANE_READ, e);
}

const ane_device_ops ane_engine_device = {
    .name = "ane",
    .open = engine_open,
    .close = engine_close,
    .compile = engine_compile,
    .kernel_free = engine_kernel_free,
    .kernel_describe = engine_kernel_describe,
    .buffer_new = buffer_new,
    .buffer_free = buffer_free,
    .buffer_map = buffer_map,
    .buffer_unmap = buffer_unmap,
    .binding_new = engine_binding_new,
    .binding_free = engine_binding_free,
    .bind = engine_bind,
    .bind_weight = engine_bind_weight,
    .weights_changed = engine_weights_changed,
    .run = engine_run,
    .memory = memory,
    .counts = budget_counts,
};
