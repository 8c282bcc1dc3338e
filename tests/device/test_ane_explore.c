/* The raw framework, with every choice: what src/measure's probes stand on. The answers are those that were recorded. */
#include "device/emulated.h"

#include "base/half.h"
#include "device/ane/explore.h"
#include "mil/blob.h"

#include <stddef.h>
#include <stdlib.h>

enum { N = 64, W = 64, BYTES = 49152 };

static const char path[] = "@model_path/weights/w.bin";

/* A conv [N, N, 1, 1] by scale times the identity. */
typedef struct blob {
    mil_blob_header header;
    mil_blob_metadata metadata;
    uint16_t data[N * N];
} blob;

static void fill_blob(blob *b, float scale) {
    *b = (blob){.header = {.count = 1, .version = MIL_BLOB_VERSION}};
    b->metadata = (mil_blob_metadata){.sentinel = MIL_BLOB_SENTINEL,
        .type = mil_blob_type_code(MIL_FP16),
        .bytes = sizeof b->data,
        .data_offset = offsetof(blob, data)};
    for (int i = 0; i < N; i++) b->data[i * N + i] = ane_f16_from_f32(scale);
}

static char *text_of(engine_device *x, ane_error *e) {
    mil_program *p = mil_program_new(engine_dialect(x), e);
    mil_function *f = mil_function_new(p, "main");
    mil_value in = mil_input(f, "x", mil_tensor(MIL_FP16, 4, (int64_t[]){1, N, 1, W}));
    const mil_type type = mil_tensor(MIL_FP16, 4, (int64_t[]){N, N, 1, 1});
    mil_output(f, "y", mil_conv(f, in, mil_const_blob(f, type, path, offsetof(blob, metadata))));
    char *text = mil_program_ok(p, e) ? mil_print(p, e) : NULL;
    mil_program_free(p);
    return text;
}

typedef struct room {
    ane_device *device;
    engine_device *x;
    char *text;
    blob weights;
    engine_explored *p;
    engine_build built;
    ane_surface *in, *out;
} room;

/* A program y = x, its input 0, 1, ..., 31, 0, 1, ... */
static void enter(room *r, const char *options) {
    ane_error e = {0};
    *r = (room){.device = open_emulated(options)};
    r->x = engine_explore(r->device, &e);
    assert_ok(r->x && (r->text = text_of(r->x, &e)), &e);
    fill_blob(&r->weights, 1);
    const ane_weight_file file = {path, &r->weights, sizeof r->weights};
    r->p = engine_explored_new(r->x, r->text, 1, &file, ENGINE_QOS, &r->built);
    r->in = engine_explore_surface(r->x, BYTES, &e);
    r->out = engine_explore_surface(r->x, BYTES, &e);
    assert_ok(r->in && r->out, &e);
    uint16_t *data = ane_surface_lock(r->in, false, &e);
    for (int i = 0; i < N * W; i++) data[i] = ane_f16_from_f32((float)(i % 32));
    assert_ok(ane_surface_unlock(r->in, false, &e), &e);
}

static void leave(room *r) {
    engine_explored_free(r->p);
    ane_surface_free(r->in);
    ane_surface_free(r->out);
    free(r->text);
    ane_device_close(r->device);
}

/* out / in of element 3, after an evaluation so chosen. */
static float ratio(room *r, const engine_choices *how, engine_reply *ran) {
    ane_error e = {0};
    engine_reply made;
    engine_request *request = engine_request_new(r->p, 1, &r->in, 1, &r->out, how, &made);
    *ran = made.said == ENGINE_YES ? engine_request_run(request) : made;
    engine_request_free(request);
    const uint16_t *y = ane_surface_lock(r->out, true, &e);
    float value = ane_f32_from_f16(y[3]) / 3;
    assert_ok(ane_surface_unlock(r->out, true, &e), &e);
    return value;
}

static void assert_said(const engine_reply *r, engine_said said, const char *part) {
    if (r->said != said || !strstr(r->text, part))
        fail_msg("said %s (code %ld, %s): %s; expected %s: %s", engine_said_name(r->said), r->code, r->domain,
            r->text, engine_said_name(said), part);
}

static void test_paths(void **state) {
    (void)state;
    room r;
    enter(&r, "");
    assert_said(&r.built.compile, ENGINE_YES, "");
    assert_said(&r.built.load, ENGINE_YES, "");
    for (engine_path i = 0; i < ENGINE_N_PATHS; i++) {
        engine_choices how = engine_usual_choices;
        engine_reply ran;
        how.path = i;
        assert_float_equal(ratio(&r, &how, &ran), 1, 0);
        assert_said(&ran, ENGINE_YES, "");
        assert_true(ran.host_ms > 0 && ran.device_ms > 0);
    }
    leave(&r);
}

static void test_real_time_task(void **state) {
    (void)state;
    static const struct {
        const char *quirk;
        engine_said said;
    } reports[] = {{"quirk=real-time:works", ENGINE_YES}, {"quirk=real-time:refused", ENGINE_NO}};
    for (size_t i = 0; i < sizeof reports / sizeof *reports; i++) {
        room r;
        enter(&r, reports[i].quirk);
        engine_reply begun = engine_real_time_begin(r.x), ended = engine_real_time_end(r.x);
        assert_said(&begun, reports[i].said, "");
        assert_said(&ended, reports[i].said, "");
        leave(&r);
    }
}

static void test_qos_and_procedures(void **state) {
    (void)state;
    static const unsigned qos[] = {0, 1, 5, 10, 15, 17, 19, 21, 25, 31, 33, 40, 47, 50, 55, 60, 63};
    room r;
    enter(&r, "");
    engine_choices how = engine_usual_choices;
    engine_reply ran;
    for (size_t i = 0; i < sizeof qos / sizeof *qos; i++) {
        how.qos = qos[i];
        (void)ratio(&r, &how, &ran);
        assert_said(&ran, ENGINE_YES, "");
    }
    for (how.procedure = 0; how.procedure < 16; how.procedure++) {
        assert_float_equal(ratio(&r, &how, &ran), 1, 0);
        assert_said(&ran, ENGINE_YES, "");
    }
    (void)ratio(&r, &how, &ran);
    assert_said(&ran, ENGINE_NO, "status=0x2");
    assert_int_equal(ran.code, 8);
    leave(&r);
}

/* Other weights: from a buffer, from an _ANEWeight, from the disk. None changes anything. */
static void test_other_weights(void **state) {
    (void)state;
    static blob three;
    room r;
    ane_error e = {0};
    enter(&r, "");
    fill_blob(&three, 3);
    engine_choices how = engine_usual_choices;
    engine_reply ran;
    how.weights = engine_explore_surface(r.x, BYTES, &e);
    assert_ok(how.weights != NULL, &e);
    assert_float_equal(ratio(&r, &how, &ran), 1, 0);
    assert_said(&ran, ENGINE_YES, "");
    ane_surface_free(how.weights);
    how = engine_usual_choices;
    how.weights_symbol = "w";
    how.weights_path = "/nowhere/w.bin";
    assert_float_equal(ratio(&r, &how, &ran), 1, 0);
    assert_said(&ran, ENGINE_YES, "");

    const ane_weight_file file = {path, &three, sizeof three};
    engine_reply replies[] = {
        engine_explored_write(r.p, 1, &file), engine_explored_unload(r.p), engine_explored_load(r.p)};
    for (size_t i = 0; i < sizeof replies / sizeof *replies; i++) assert_said(&replies[i], ENGINE_YES, "");
    how = engine_usual_choices;
    assert_float_equal(ratio(&r, &how, &ran), 1, 0);
    leave(&r);
}

static void test_reload_where_it_works(void **state) {
    (void)state;
    static blob three;
    room r;
    enter(&r, "quirk=reload:new-weights");
    fill_blob(&three, 3);
    const ane_weight_file file = {path, &three, sizeof three};
    engine_reply ran;
    (void)engine_explored_write(r.p, 1, &file);
    (void)engine_explored_unload(r.p);
    (void)engine_explored_load(r.p);
    assert_float_equal(ratio(&r, &engine_usual_choices, &ran), 3, 0);
    leave(&r);
}

static void test_statistics(void **state) {
    (void)state;
    room r;
    enter(&r, "");
    engine_choices how = engine_usual_choices;
    engine_reply made;
    how.perf_mask = 0xff;
    engine_request *request = engine_request_new(r.p, 1, &r.in, 1, &r.out, &how, &made);
    assert_said(&made, ENGINE_YES, "");
    engine_reply ran = engine_request_run(request);
    assert_said(&ran, ENGINE_YES, "");
    json_t *stats = engine_request_stats(request);
    assert_true(json_integer_value(json_object_get(stats, "hwExecutionTime")) > 0);
    assert_true(json_is_null(json_object_get(stats, "performanceCounters")));
    assert_string_equal(json_string_value(json_object_get(stats, "object")), "_ANEPerformanceStats");
    json_decref(stats);
    engine_request_free(request);

    how.stats = ENGINE_STATS_BUFFER;
    (void)ratio(&r, &how, &ran);
    assert_said(&ran, ENGINE_YES, "");
    how.stats = ENGINE_STATS_PLAIN; /* alloc, init is nil */
    (void)ratio(&r, &how, &ran);
    assert_said(&ran, ENGINE_NO, "");
    leave(&r);
}

static const engine_reply *reply_of(const engine_step *steps, int n, const char *name) {
    for (int i = 0; i < n; i++)
        if (strcmp(steps[i].name, name) == 0) return &steps[i].reply;
    fail_msg("there is no step %s", name);
    return NULL;
}

static void test_chaining(void **state) {
    (void)state;
    room r;
    engine_step steps[ENGINE_MOST_STEPS];
    enter(&r, "");
    int n = engine_explore_chaining(r.p, r.in, r.out, steps);
    assert_said(reply_of(steps, n, "validate"), ENGINE_YES, "");
    const engine_reply *prepared = reply_of(steps, n, "prepareChaining");
    assert_said(prepared, ENGINE_NO, "ANEProgramChainingPrepare Failed");
    assert_int_equal(prepared->code, 15);
    assert_said(reply_of(steps, n, "enqueueSets"), ENGINE_NO, "");
    n = engine_explore_chaining(r.p, NULL, r.out, steps);
    assert_said(reply_of(steps, n, "prepareChaining"), ENGINE_NOT_REACHED, "");
    n = engine_explore_events(r.p, r.in, r.out, steps);
    for (int i = 0; i < n; i++) assert_said(&steps[i].reply, ENGINE_YES, "");
    leave(&r);
}

static const json_t *class_named(const json_t *all, const char *name) {
    size_t i;
    json_t *class;
    json_array_foreach(all, i, class) {
        if (strcmp(json_string_value(json_object_get(class, "name")), name) == 0) return class;
    }
    return NULL;
}

static void test_descriptions(void **state) {
    (void)state;
    room r;
    ane_error e = {0};
    enter(&r, "");
    json_t *classes = engine_explore_classes(r.x, &e);
    assert_ok(classes != NULL, &e);
    assert_in_range(json_array_size(classes), 40, 67); /* those that are known by name */
    const json_t *model = class_named(classes, "_ANEInMemoryModel");
    assert_non_null(model);
    assert_string_equal(json_string_value(json_object_get(model, "superclass")), "NSObject");
    assert_true(json_array_size(json_object_get(model, "methods")) > 20);
    assert_true(json_array_size(json_object_get(model, "class_methods")) > 0);
    json_decref(classes);

    json_t *attributes = engine_explored_attributes(r.p, &e);
    assert_ok(attributes != NULL, &e);
    const json_t *in = json_array_get(
        json_object_get(json_array_get(json_object_get(attributes, "NetworkStatusList"), 0), "LiveInputList"),
        0);
    assert_string_equal(json_string_value(json_object_get(in, "Name")), "x");
    assert_int_equal(json_integer_value(json_object_get(in, "Width")), W);
    json_decref(attributes);

    json_t *handles = engine_explored_handles(r.p, &e);
    assert_ok(handles != NULL, &e);
    assert_int_equal(json_integer_value(json_object_get(handles, "queueDepth")), 127);
    assert_true(json_integer_value(json_object_get(handles, "programHandle")) != 0);
    assert_true(json_is_object(json_object_get(handles, "disk_model")));
    json_decref(handles);
    leave(&r);
}

static void test_failures(void **state) {
    (void)state;
    room r;
    ane_error e = {0};
    engine_build built;
    enter(&r, "selftest=off,fault=eval:2");
    engine_reply ran;
    (void)ratio(&r, &engine_usual_choices, &ran);
    assert_said(&ran, ENGINE_YES, "");
    (void)ratio(&r, &engine_usual_choices, &ran);
    assert_said(&ran, ENGINE_NO, "status=0x1d");
    engine_explored *bad = engine_explored_new(r.x, "nonsense", 0, NULL, ENGINE_QOS, &built);
    assert_said(&built.compile, ENGINE_NO, "InvalidMILProgram");
    assert_said(&built.load, ENGINE_NOT_REACHED, "");
    engine_reply made;
    engine_request *request = engine_request_new(bad, 1, &r.in, 1, &r.out, &engine_usual_choices, &made);
    ran = engine_request_run(request);
    assert_said(&ran, ENGINE_NO, "not loaded");
    engine_request_free(request);
    engine_explored_free(bad);
    leave(&r);

    ane_device *cpu = ane_device_open("cpu", &e);
    assert_null(engine_explore(cpu, &e));
    assert_error(&e, ANE_ERROR_UNSUPPORTED, "no Neural Engine");
    ane_device_close(cpu);
    assert_null(engine_request_new(NULL, 0, NULL, 0, NULL, &engine_usual_choices, &made));
    ran = engine_request_run(NULL);
    assert_said(&ran, ENGINE_NOT_REACHED, "");
}

/* A call that does not come back is left behind; nothing is sent to its program again. */
static void test_late(void **state) {
    (void)state;
    room r;
    enter(&r, "timeout=0.2,selftest=off,fault=eval-hang:1:1");
    engine_reply ran;
    (void)ratio(&r, &engine_usual_choices, &ran);
    assert_said(&ran, ENGINE_LATE, "0.2 seconds");
    (void)ratio(&r, &engine_usual_choices, &ran);
    assert_said(&ran, ENGINE_NOT_REACHED, "");
    leave(&r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_paths),
        cmocka_unit_test(test_real_time_task),
        cmocka_unit_test(test_qos_and_procedures),
        cmocka_unit_test(test_other_weights),
        cmocka_unit_test(test_reload_where_it_works),
        cmocka_unit_test(test_statistics),
        cmocka_unit_test(test_chaining),
        cmocka_unit_test(test_descriptions),
        cmocka_unit_test(test_failures),
        cmocka_unit_test(test_late),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
