/* From text to numbers, and what the hardware was seen to accept and ignore on the way. */
#include "emulator/drive.h"

static unsigned char blob[EM_BLOB_BYTES];

/* x = 1 everywhere; y = factor. */
static void check_factor_with(oid model, oid weights, long long procedure, unsigned qos, float factor) {
    oid x = em_surface(EM_BYTES), y = em_surface(EM_BYTES), error;
    em_fill(x, EM_ELEMENTS, 1, 0);
    oid request = em_request_of(1, &x, 1, &y, weights, NULL, procedure);
    if (!em_evaluate_qos(model, request, qos, &error)) fail_msg("%s", em_error_text(error));
    for (int i = 0; i < EM_ELEMENTS; i++) assert_true(em_at(y, i) == factor);
    em_surface_free(x);
    em_surface_free(y);
}

static void check_factor(oid model, float factor) {
    check_factor_with(model, NULL, 0, 21, factor);
}

static void test_compile_load_evaluate_unload(void **state) {
    (void)state;
    EM_NEEDS_LIBRARY();
    em_weight w = em_identity(blob, 3);
    oid model = em_ready(EM_CONV, 1, &w), error;
    assert_int_equal(CALL0(uint64_t, model, "state"), 3);
    check_factor(model, 3);
    assert_true(em_unload(model, &error));
    assert_int_equal(em_counts().loaded_programs, 0);
    oid x = em_surface(EM_BYTES);
    assert_false(em_evaluate(model, em_request_of(1, &x, 1, &x, NULL, NULL, 0), &error));
    assert_text(em_error_text(error), "not loaded");
    assert_false(em_unload(model, &error));
    em_surface_free(x);
    assert_true(em_load(model, &error)); /* again, without compiling */
    check_factor(model, 3);
    assert_int_equal(em_counts().compiles, 1);
    assert_int_equal(em_counts().loads, 2);
}

static void test_weights_are_baked(void **state) {
    (void)state;
    EM_NEEDS_LIBRARY();
    unsigned char other[EM_BLOB_BYTES];
    em_weight w = em_identity(blob, 2), tripled = em_identity(other, 6);
    oid model = em_ready(EM_CONV, 1, &w), error;
    em_write_sources(model, EM_CONV, 1, &tripled);
    check_factor(model, 2);
    assert_true(em_unload(model, &error) && em_load(model, &error));
    check_factor(model, 2); /* reload ignores the new files */
    oid surface = em_surface(EM_BYTES);
    em_fill(surface, EM_ELEMENTS, 7, 0);
    check_factor_with(model, em_wrap(surface), 0, 21, 2); /* and weightsBuffer has no effect */
    em_surface_free(surface);
}

static void test_reload_takes_new_weights_by_quirk(void **state) {
    (void)state;
    EM_NEEDS_LIBRARY();
    unsigned char other[EM_BLOB_BYTES];
    em_weight w = em_identity(blob, 2), tripled = em_identity(other, 6);
    assert_true(em_configure("quirk=reload:new-weights"));
    oid model = em_ready(EM_CONV, 1, &w), error;
    em_write_sources(model, EM_CONV, 1, &tripled);
    check_factor(model, 2);
    assert_true(em_unload(model, &error) && em_load(model, &error));
    check_factor(model, 6);
}

static void test_compiled_files_load_without_compile(void **state) {
    (void)state;
    EM_NEEDS_LIBRARY();
    em_weight w = em_identity(blob, 5);
    oid first = em_ready(EM_CONV, 1, &w), error;
    assert_true(CALL0(obool, first, "compiledModelExists"));
    assert_true(em_unload(first, &error));
    oid second = em_make_model(EM_CONV, 1, &w);
    assert_true(em_load(second, &error));
    check_factor(second, 5);
    /* A file less, and there is nothing to load. */
    char path[4096];
    snprintf(path, sizeof path, "%s/data", em_folder(second));
    assert_int_equal(remove(path), 0);
    oid third = em_make_model(EM_CONV, 1, &w);
    assert_false(em_load(third, &error));
    assert_text(em_error_text(error), "ANEProgramCreate() failed");
    CALL0(void, third, "purgeCompiledModel");
    assert_false(CALL0(obool, third, "compiledModelExists"));
}

/* Orion's way: a donor's net.plist, and the blob file in data's place. */
static void test_data_can_be_replaced(void **state) {
    (void)state;
    EM_NEEDS_LIBRARY();
    unsigned char other[EM_BLOB_BYTES];
    ane_error e = {0};
    em_weight w = em_identity(blob, 2), more = em_identity(other, 9);
    oid donor = em_ready(EM_CONV, 1, &w), model = em_make_model(EM_CONV, 1, &more), error;
    char path[4096];
    size_t size = 0;
    snprintf(path, sizeof path, "%s/net.plist", em_folder(donor));
    char *net = ane_read_text(path, 1 << 20, &size, &e);
    assert_ok(net, &e);
    snprintf(path, sizeof path, "%s/net.plist", em_folder(model));
    assert_ok(ane_write_file(path, net, size, &e), &e);
    snprintf(path, sizeof path, "%s/data", em_folder(model));
    assert_ok(ane_write_file(path, more.bytes, more.size, &e), &e);
    free(net);
    assert_true(em_load(model, &error));
    check_factor(model, 9);
}

static void test_procedures_and_qos_are_accepted(void **state) {
    (void)state;
    EM_NEEDS_LIBRARY();
    em_weight w = em_identity(blob, 4);
    oid model = em_ready(EM_CONV, 1, &w);
    for (int i = 0; i < 16; i++) check_factor_with(model, NULL, i, 21, 4);
    for (unsigned qos = 0; qos < 64; qos += 7) check_factor_with(model, NULL, 0, qos, 4);
    oid x = em_surface(EM_BYTES), error;
    assert_false(em_evaluate(model, em_request_of(1, &x, 1, &x, NULL, NULL, 16), &error));
    assert_text(em_error_text(error), "status=0x2");
    em_surface_free(x);
}

static void test_performance_stats(void **state) {
    (void)state;
    EM_NEEDS_LIBRARY();
    oid class = em_class("_ANEPerformanceStats"), error;
    assert_null(CALL0(oid, CALL0(oid, class, "alloc"), "init"));
    oid stats = SEND(oid, (oid, void *, uint64_t), class, "statsWithHardwareExecutionNS:", (uint64_t)0);
    em_weight w = em_identity(blob, 4);
    oid model = em_ready(EM_CONV, 1, &w), x = em_surface(EM_BYTES), y = em_surface(EM_BYTES);
    oid request = em_request_of(1, &x, 1, &y, NULL, em_list(1, &stats), 0);
    assert_true(em_evaluate(model, request, &error));
    uint64_t nanoseconds = CALL0(uint64_t, stats, "hwExecutionTime");
    assert_in_range(nanoseconds, 50000, 500000); /* an M4's dispatch is about 0.09 ms */
    assert_null(CALL0(oid, model, "performanceCounters"));
    SEND(void, (oid, void *, unsigned), model, "setPerfStatsMask:", 0xff);
    assert_int_equal(CALL0(unsigned, model, "perfStatsMask"), 0xff);
    assert_true(em_configure("quirk=hardware-time:nil"));
    SEND(void, (oid, void *, uint64_t), stats, "setHwExecutionTime:", (uint64_t)1);
    assert_true(em_evaluate(model, request, &error));
    assert_int_equal(CALL0(uint64_t, stats, "hwExecutionTime"), 1);
    em_surface_free(x);
    em_surface_free(y);
}

static void test_attributes(void **state) {
    (void)state;
    EM_NEEDS_LIBRARY();
    em_weight w = em_identity(blob, 4);
    oid model = em_ready(EM_CONV, 1, &w);
    oid inner = CALL0(oid, model, "model"), attributes = CALL0(oid, inner, "modelAttributes");
    oid status = em_item(em_get(attributes, "NetworkStatusList"), 0),
        input = em_item(em_get(status, "LiveInputList"), 0);
    assert_string_equal(em_utf8(em_get(input, "Name")), "x");
    assert_string_equal(em_utf8(em_get(input, "Type")), "Float16");
    assert_int_equal(CALL0(int, em_get(input, "Channels"), "intValue"), EM_CHANNELS);
    assert_int_equal(CALL0(int, em_get(input, "RowStride"), "intValue"), 2 * EM_WIDTH);
    oid description = em_get(attributes, "ANEFModelDescription");
    assert_string_equal(em_utf8(em_item(em_get(description, "kANEFModelOutputSymbolsArrayKey"), 0)), "y");
    assert_int_equal(
        em_count(SEND(oid, (oid, void *, unsigned), inner, "inputSymbolIndicesForProcedureIndex:", 0)), 1);
    assert_non_null(CALL0(oid, inner, "getUUID"));
    oid program = SEND(oid, (oid, void *, oid), model, "valueForKey:", em_text("program"));
    assert_int_equal(CALL0(char, program, "queueDepth"), 127);
    assert_true(CALL0(uint64_t, program, "programHandle") != 0);
}

/* The other ways to evaluate: real-time, direct, by the program object. */
static void test_clients(void **state) {
    (void)state;
    EM_NEEDS_LIBRARY();
    em_weight w = em_identity(blob, 4);
    oid model = em_ready(EM_CONV, 1, &w), inner = CALL0(oid, model, "model"), error = NULL,
        none = em_table(0, NULL, NULL);
    oid client = CALL0(oid, em_class("_ANEClient"), "sharedConnection");
    oid x = em_surface(EM_BYTES), y = em_surface(EM_BYTES),
        request = em_request_of(1, &x, 1, &y, NULL, NULL, 0);
    em_fill(x, EM_ELEMENTS, 1, 0);
    assert_true(CALL0(obool, client, "beginRealTimeTask"));
    assert_true(SEND(obool, (oid, void *, oid, oid, oid, oid *), client,
        "evaluateRealTimeWithModel:options:request:error:", inner, none, request, &error));
    assert_true(em_at(y, 0) == 4);
    assert_true(CALL0(obool, client, "endRealTimeTask"));
    assert_true(SEND(obool, (oid, void *, oid, oid, oid, unsigned, oid *), client,
        "doEvaluateDirectWithModel:options:request:qos:error:", model, none, request, 21, &error));
    obool value = 0;
    assert_true(SEND(obool, (oid, void *, oid, oid, unsigned, int, oid, oid, obool *, oid *),
        CALL0(oid, model, "program"),
        "processRequest:model:qos:qIndex:modelStringID:options:returnValue:error:", request, model, 21, 0,
        NULL, none, &value, &error));
    assert_true(value);
    assert_false(SEND(obool, (oid, void *, oid, oid, oid, unsigned, oid *), client,
        "prepareChainingWithModel:options:chainingReq:qos:error:", inner, none, NULL, 21, &error));
    assert_int_equal(CALL0(long, error, "code"), 15);
    assert_true(em_configure("quirk=real-time:refused"));
    assert_false(CALL0(obool, client, "beginRealTimeTask"));
    em_surface_free(x);
    em_surface_free(y);
}

static void test_chaining_objects(void **state) {
    (void)state;
    EM_NEEDS_LIBRARY();
    oid surface = em_surface(64), zero = em_int(0);
    oid buffer = SEND(oid, (oid, void *, oid, oid, long long), em_class("_ANEBuffer"),
        "bufferWithIOSurfaceObject:symbolIndex:source:", em_wrap(surface), zero, 1LL);
    oid sets = SEND(oid, (oid, void *, oid, oid), em_class("_ANEIOSurfaceOutputSets"),
        "objectWithstatsSurRef:outputBuffer:", surface, em_list(1, &buffer));
    oid chaining =
        SEND(oid, (oid, void *, oid, oid, oid, oid, oid, oid, oid, oid, oid), em_class("_ANEChainingRequest"),
            "chainingRequestWithInputs:outputSets:lbInputSymbolId:lbOutputSymbolId:procedureIndex:"
            "signalEvents:transactionHandle:"
            "fwEnqueueDelay:memoryPoolId:",
            em_list(1, &buffer), em_list(1, &sets), NULL, NULL, NULL, em_list(0, NULL), zero, zero, zero);
    assert_true(CALL0(obool, chaining, "validate"));
    assert_null(SEND(oid, (oid, void *, oid, oid), em_class("_ANEIOSurfaceOutputSets"),
        "objectWithstatsSurRef:outputBuffer:", NULL, em_list(1, &buffer)));
    oid set =
        SEND(oid, (oid, void *, unsigned, unsigned, uint64_t, obool, obool), em_class("_ANEOutputSetEnqueue"),
            "outputSetWithProcedureIndex:setIndex:signalValue:signalNotRequired:isOpenLoop:", 0, 3,
            (uint64_t)9, 0, 1);
    assert_int_equal(CALL0(uint64_t, set, "signalValue"), 9);
    em_surface_free(surface);
}

static void test_classes_are_there_by_name(void **state) {
    (void)state;
    EM_NEEDS_LIBRARY();
    static const char *const names[] = {"_ANEInMemoryModelDescriptor", "_ANEInMemoryModel", "_ANEModel",
        "_ANERequest", "_ANEIOSurfaceObject", "_ANEClient", "_ANEPerformanceStats", "_ANESharedEvents",
        "_ANESharedSignalEvent", "_ANESharedWaitEvent", "_ANEChainingRequest", "_ANEBuffer",
        "_ANEIOSurfaceOutputSets", "_ANEInputBuffersReady", "_ANEOutputSetEnqueue", "_ANEDeviceInfo",
        "_ANEQoSMapper", "_ANEWeight", "_ANEVirtualClient", "_ANESandboxingHelper"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!em_class(names[i])) fail_msg("%s is not there", names[i]);
    assert_true(em_configure("chip=M5 Max"));
    assert_string_equal(em_utf8(CALL0(oid, em_class("_ANEDeviceInfo"), "aneSubType")), "h17");
    assert_int_equal(
        SEND(int, (oid, void *, unsigned), em_class("_ANEQoSMapper"), "programPriorityForQoS:", 21), 5);
}

/* ---- what goes wrong ---- */

static void check_compile_fails(const char *mil, int n, const em_weight *weights, const char *part) {
    oid model = em_make_model(mil, n, weights), error;
    if (em_compile(model, &error)) fail_msg("compiled, expected: %s", part);
    assert_text(em_error_text(error), "ANECCompile() FAILED");
    assert_text(em_error_text(error), part);
    assert_string_equal(em_utf8(CALL0(oid, error, "domain")), "com.apple.appleneuralengine.compiler");
    assert_int_equal(CALL0(long, error, "code"), 1);
}

static void test_compile_is_strict(void **state) {
    (void)state;
    EM_NEEDS_LIBRARY();
    em_weight w = em_identity(blob, 11), short_one = {w.name, w.bytes, w.size - 64};
    check_compile_fails("program(1.3) {", 0, NULL, "InvalidMILProgram");
    check_compile_fails(EM_CONV_ON(EM_HEADER("1.0", "ios18")), 1, &w, "is not accepted");
    check_compile_fails(EM_CONV, 1, &short_one, "w.bin");
    check_compile_fails(EM_CONV, 0, NULL, "w.bin");
    /* Files must be on disk, and be what the descriptor was given. */
    oid model = em_model_with(em_descriptor(EM_CONV, em_weight_table(1, &w))), error;
    assert_false(em_compile(model, &error));
    assert_text(em_error_text(error), "model.mil");
    unsigned char other[EM_BLOB_BYTES];
    em_weight different = em_identity(other, 1);
    em_write_sources(model, EM_CONV, 1, &different);
    assert_false(em_compile(model, &error));
    assert_text(em_error_text(error), "others than the file");
}

static void test_descriptors_are_strict(void **state) {
    (void)state;
    EM_NEEDS_LIBRARY();
    em_weight w = em_identity(blob, 3);
    oid class = em_class("_ANEInMemoryModelDescriptor"), table = em_weight_table(1, &w);
    assert_null(SEND(oid, (oid, void *, oid, oid, oid), class,
        "modelWithMILText:weights:optionsPlist:", em_text(EM_CONV), table, NULL));
    oid key = em_text("@model_path/weights/w.bin"), bad = em_int(1);
    assert_null(em_descriptor(EM_CONV, em_table(1, &key, &bad)));
    assert_null(em_model_with(NULL));
    const char *hex =
        em_utf8(CALL0(oid, em_model_with(em_descriptor(EM_CONV, table)), "hexStringIdentifier"));
    assert_int_equal(strlen(hex), 3 * 64 + 2);
    assert_int_equal(strncmp(hex + 65, "e3b0c44298fc1c149afbf4c8996fb924", 32), 0); /* SHA-256 of nothing */
    assert_true(em_configure("quirk=empty-weights:nil"));
    assert_null(em_descriptor(EM_CONV, em_table(0, NULL, NULL)));
}

/* No dictionary at all raises, as Apple's does: the process, a child here, ends. */
static void test_nil_weights_raise(void **state) {
    (void)state;
    EM_NEEDS_LIBRARY();
    assert_int_not_equal(em_run_self("nil-weights"), 0);
}

static int nil_weights(void) {
    em_library = dlopen(ANEMONE_EMULATOR_LIBRARY, RTLD_NOW);
    if (!em_library || !freopen("/dev/null", "w", stderr)) return 0;
    oid pool = CALL0(oid, CALL0(oid, em_class("NSAutoreleasePool"), "alloc"), "init");
    em_descriptor(EM_CONV, NULL);
    CALL0(void, pool, "release");
    return 0;
}

static void check_request_fails(oid model, oid request, const char *part) {
    oid error;
    assert_false(em_evaluate(model, request, &error));
    assert_text(em_error_text(error), "ANEProgramProcessRequestDirect() Failed with status=");
    assert_text(em_error_text(error), part);
    assert_int_equal(CALL0(long, error, "code"), 8);
}

static void test_requests_are_checked(void **state) {
    (void)state;
    EM_NEEDS_LIBRARY();
    em_weight w = em_identity(blob, 3);
    oid model = em_ready(EM_CONV, 1, &w), x[] = {em_surface(EM_BYTES), em_surface(EM_BYTES)},
        small = em_surface(64);
    check_request_fails(model, NULL, "status=0x1d");
    check_request_fails(model, em_request_of(2, x, 1, x, NULL, NULL, 0), "status=0x1d");
    check_request_fails(model, em_request_of(1, &small, 1, x, NULL, NULL, 0), "the surface holds 64 bytes");
    oid in = em_wrap(x[0]), one = em_int(1), zero = em_int(0);
    oid request = SEND(oid, (oid, void *, oid, oid, oid, oid, oid, oid, oid), em_class("_ANERequest"),
        "requestWithInputs:inputIndices:outputs:outputIndices:weightsBuffer:perfStats:procedureIndex:",
        em_list(1, &in), em_list(1, &one), em_list(1, &in), em_list(1, &zero), NULL, NULL, zero);
    check_request_fails(model, request, "status=0x2");
    assert_null(SEND(oid, (oid, void *, oid, oid, oid, oid, oid, oid, oid), em_class("_ANERequest"),
        "requestWithInputs:inputIndices:outputs:outputIndices:weightsBuffer:perfStats:procedureIndex:",
        em_list(1, &in), em_list(0, NULL), em_list(1, &in), em_list(1, &zero), NULL, NULL, zero));
    assert_null(em_wrap(NULL));
    em_surface_free(x[0]);
    em_surface_free(x[1]);
    em_surface_free(small);
}

static void test_surfaces(void **state) {
    (void)state;
    EM_NEEDS_LIBRARY();
    typedef int lock(oid, uint32_t, uint32_t *);
    typedef size_t size_of(oid);
    oid s = em_surface(1000);
    uint32_t before = 0, after = 0;
    assert_int_equal(FUNCTION(size_of *, "IOSurfaceGetAllocSize")(s), 1000);
    assert_int_equal(FUNCTION(size_of *, "IOSurfaceGetWidth")(s), 1000);
    assert_int_equal((uintptr_t)em_base(s) % 16384, 0);
    assert_int_not_equal(FUNCTION(lock *, "IOSurfaceUnlock")(s, 0, NULL), 0);
    assert_int_equal(FUNCTION(lock *, "IOSurfaceLock")(s, 0, &before), 0);
    assert_int_equal(FUNCTION(lock *, "IOSurfaceUnlock")(s, 0, &after), 0);
    assert_int_equal(after, before + 1);
    int64_t alive = em_counts().surfaces;
    em_surface_free(s);
    assert_int_equal(em_counts().surfaces, alive - 1);
    typedef oid create(oid);
    assert_null(FUNCTION(create *, "IOSurfaceCreate")(em_table(0, NULL, NULL)));
    assert_null(FUNCTION(create *, "IOSurfaceCreate")(NULL));
}

int main(int argc, char **argv) {
    if (argc > 1 && strcmp(argv[1], "nil-weights") == 0) return nil_weights();
    const struct CMUnitTest tests[] = {
        EM_TEST(test_compile_load_evaluate_unload),
        EM_TEST(test_weights_are_baked),
        EM_TEST(test_reload_takes_new_weights_by_quirk),
        EM_TEST(test_compiled_files_load_without_compile),
        EM_TEST(test_data_can_be_replaced),
        EM_TEST(test_procedures_and_qos_are_accepted),
        EM_TEST(test_performance_stats),
        EM_TEST(test_attributes),
        EM_TEST(test_clients),
        EM_TEST(test_chaining_objects),
        EM_TEST(test_classes_are_there_by_name),
        EM_TEST(test_compile_is_strict),
        EM_TEST(test_descriptors_are_strict),
        EM_TEST(test_nil_weights_raise),
        EM_TEST(test_requests_are_checked),
        EM_TEST(test_surfaces),
    };
    return cmocka_run_group_tests(tests, em_setup_group, NULL);
}
