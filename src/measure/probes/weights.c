/* weights.c - weights that shall change without compiling: by files on the disk, and by a request's weightsBuffer. */
#include "measure/probes/weights.h"

#include "base/half.h"
#include "measure/probes/asked.h"
#include "measure/probes/families.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CHANNELS = 64, SHOWN = 4 };

static bool is_near(float x, float y) {
    return fabsf(x - y) < 0.1f;
}

static void show(ane_asking *a, const char *name, const ane_asked *r) {
    float y[SHOWN];
    if (ane_asked_read(r, 0, y, SHOWN, NULL)) ane_asking_numbers(a, name, y, SHOWN);
}

/* ---- files --------------------------------------------------------------------------------------------------------- */

static bool overwrite(ane_asking *a, ane_asked *r, ane_error *e) {
    ane_weight_file file = ane_scaling_file(CHANNELS, 3, e);
    if (!file.data) return false;
    engine_reply written = engine_explored_write(r->explored, 1, &file);
    free((void *)file.data);
    if (!ane_asked_said(&written, "write", e)) return false;
    engine_reply unloaded = engine_explored_unload(r->explored), loaded = engine_explored_load(r->explored);
    ane_asking_number(a, "unload_ms", unloaded.host_ms);
    ane_asking_number(a, "reload_ms", loaded.host_ms);
    return ane_asked_said(&unloaded, "unload", e) && ane_asked_said(&loaded, "load", e);
}

static bool reload(ane_asking *a, ane_asked *r, float *factor, ane_error *e) {
    float before;
    if (!ane_scaling_usual(r, &before, e)) return false;
    if (!is_near(before, 1))
        return ane_fail(e, ANE_ERROR_DEVICE, "evaluate", "identity multiplied with %g", (double)before);
    ane_asking_number(a, "compile_ms", r->built.compile.host_ms);
    ane_asking_number(a, "load_ms", r->built.load.host_ms);
    show(a, "output_before", r);
    r->turn =
        0; /* the same input again, as in the record: what is not written is seen by the NaN that is there */
    if (!overwrite(a, r, e) || !ane_scaling_usual(r, factor, e)) return false;
    show(a, "output_after", r);
    ane_asking_number(a, "factor_after", (double)*factor);
    return true;
}

bool ane_try_reload(ane_asking *a, const char **effect, ane_error *e) {
    ane_asked r;
    float after = 0;
    bool ok = ane_scaling_begin(&r, a->device, CHANNELS, 1, ENGINE_QOS, e) && reload(a, &r, &after, e);
    *effect = is_near(after, 1) ? "unchanged" : is_near(after, 3) ? "new weights" : "neither";
    ane_asked_end(&r);
    return ok;
}

bool ane_ask_weight_reload(ane_asking *a, ane_error *e) {
    const char *effect;
    ane_asking_did(a,
        "compiled a convolution of %d channels with identity, evaluated; overwrote weights/weight.bin with 3 "
        "times "
        "identity, unloaded, loaded, made a new request, evaluated",
        CHANNELS);
    if (!ane_try_reload(a, &effect, e)) return false;
    ane_asking_answer(a, "%s", effect);
    return true;
}

/* ---- weightsBuffer ------------------------------------------------------------------------------------------------- */

static bool fill_surface(ane_surface *s, float factor, ane_error *e) {
    uint16_t *data = ane_surface_lock(s, false, e), half = ane_f16_from_f32(factor);
    if (!data) return false;
    memset(data, 0, s->bytes);
    for (int i = 0; i < CHANNELS; i++) data[i * CHANNELS + i] = half;
    return ane_surface_unlock(s, false, e);
}

/* A file for +weightWithSymbolAndURL:weightURL:, below the system's temporary folder. */
static bool write_file(char *path, size_t size, float factor, ane_error *e) {
    const char *folder = getenv("TMPDIR");
    snprintf(path, size, "%s/anemone-weight-XXXXXX", folder && *folder ? folder : "/tmp");
    int fd = mkstemp(path);
    ane_weight_file file = ane_scaling_file(CHANNELS, factor, e);
    bool ok = fd >= 0 && file.data && write(fd, file.data, file.size) == (ssize_t)file.size;
    if (fd >= 0) close(fd);
    free((void *)file.data);
    return ok || ane_fail(e, ANE_ERROR_IO, path, "cannot write a weight file");
}

/* What a request with such a buffer multiplies with; one that is refused, twice, is an answer, too. */
static bool ask_with(ane_asking *a, ane_asked *r, const char *name, const engine_choices *how,
    const char **answer, ane_error *e) {
    float ratio;
    ane_verdict verdict = ane_scaling_with(r, how, &ratio, e);
    if (verdict == ANE_TROUBLE) return false;
    if (verdict == ANE_REFUSED) {
        *answer = "refused";
        return true;
    }
    ane_asking_number(a, name, (double)ratio);
    *answer = is_near(ratio, 1) ? "no effect" : is_near(ratio, 3) ? "replaces them" : "changes them";
    return true;
}

static bool ask_both(
    ane_asking *a, ane_asked *r, ane_surface *s, const char **surface, const char **weight, ane_error *e) {
    char path[256] = "";
    float before;
    engine_choices by_surface = engine_usual_choices, by_weight = engine_usual_choices;
    if (!ane_scaling_usual(r, &before, e)) return false;
    show(a, "output_before", r);
    by_surface.weights = s;
    by_weight.weights_symbol = "weight";
    by_weight.weights_path = path;
    bool ok = fill_surface(s, 3, e) && ask_with(a, r, "factor_with_surface", &by_surface, surface, e) &&
              write_file(path, sizeof path, 3, e) &&
              ask_with(a, r, "factor_with_weight", &by_weight, weight, e);
    if (path[0]) unlink(path);
    return ok;
}

bool ane_try_weights_buffer(ane_asking *a, const char **surface, const char **weight, ane_error *e) {
    ane_asked r;
    *surface = *weight = "";
    bool ok = ane_scaling_begin(&r, a->device, CHANNELS, 1, ENGINE_QOS, e);
    ane_surface *s = ok ? engine_explore_surface(r.x, ANE_ASKED_SURFACE, e) : NULL;
    ok = s && ask_both(a, &r, s, surface, weight, e);
    ane_asked_end(&r);
    ane_surface_free(s);
    return ok;
}

bool ane_ask_weights_buffer(ane_asking *a, ane_error *e) {
    const char *surface, *weight;
    ane_asking_did(a,
        "compiled a convolution of %d channels with identity, evaluated; then with 3 times identity as "
        "weightsBuffer: "
        "an IOSurface, and an _ANEWeight that names a symbol and a file",
        CHANNELS);
    if (!ane_try_weights_buffer(a, &surface, &weight, e)) return false;
    ane_asking_answer(a, "surface: %s; _ANEWeight: %s", surface, weight);
    return true;
}
