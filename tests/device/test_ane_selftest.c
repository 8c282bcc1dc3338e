/* The self-test finds what the emulated machine was told to be. */
#include "device/emulated.h"

#include "device/ane/device.h"

#include <stdlib.h>

static void finds(const char *options, const char *const *parts) {
    ane_device *d = open_emulated(options);
    char *text = engine_facts_print((const engine_device *)d);
    assert_non_null(text);
    for (int i = 0; parts[i]; i++)
        if (!strstr(text, parts[i])) fail_msg("%s: expected %s in %s", options, parts[i], text);
    free(text);
    ane_device_close(d);
}

static void test_facts(void **state) {
    (void)state;
    static const struct {
        const char *options, *parts[4];
    } cases[] = {
        {"quirk=order:alphabetical", {"\"order\": \"alphabetical\"", "\"equal_sizes\": true", "ios18"}},
        {"quirk=order:declared", {"\"order\": \"declared\""}},
        {"quirk=order:size", {"\"order\": \"size\""}},
        {"quirk=order:alphabetical,quirk=equal-sizes:free", {"alphabetical", "\"equal_sizes\": false"}},
        {"quirk=order:declared,quirk=equal-sizes:free", {"declared", "\"equal_sizes\": false"}},
        {"quirk=order:size,quirk=equal-sizes:free", {"\"size\"", "\"equal_sizes\": false"}},
        {"quirk=equal-sizes:free,quirk=min-surface:49152",
            {"\"equal_sizes\": false", "\"min_surface\": 49152"}},
        {"quirk=min-surface:none", {"\"min_surface\": 128,"}},
        {"quirk=min-surface:2048", {"\"min_surface\": 2048"}},
        {"quirk=min-surface:49152", {"\"min_surface\": 49152"}},
        {"quirk=conv-weights:work", {"\"conv_weights\": true"}},
        {"quirk=conv-weights:ignored", {"\"conv_weights\": false"}},
        {"quirk=conv-weights:refused", {"\"conv_weights\": false"}},
        {"quirk=reload:new-weights", {"\"reload\": true"}},
        {"quirk=reload:ignored", {"\"reload\": false"}},
        {"quirk=max-dim:16384", {"\"max_width\": 16384"}},
        {"quirk=max-dim:65536", {"\"max_width\": 65536"}},
        {"quirk=matmul-inner:zeros", {"\"matmul_inner\": 32"}},
        {"quirk=matmul-inner:any", {"\"matmul_inner\": 1}"}},
        {"quirk=dialects:1.0/ios16", {"program(1.0) ios16"}},
        {"quirk=dialects:1.3/ios17", {"program(1.3) ios17"}},
        {"quirk=dialects:1.5/ios18", {"program(1.5) ios18"}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) finds(cases[i].options, cases[i].parts);
}

static void test_modes(void **state) {
    (void)state;
    static const struct {
        const char *options, *part;
    } cases[] = {
        {"quirk=equal-sizes:required", "weights packed"},
        {"quirk=equal-sizes:free", "weights input"},
        {"weights=reload,quirk=reload:new-weights", "weights reload"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ane_device *d = open_emulated(cases[i].options);
        assert_non_null(strstr(ane_device_capabilities(d)->description, cases[i].part));
        ane_device_close(d);
    }
    ane_error e = {0};
    assert_null(ane_device_open("ane:emulator,weights=reload,quirk=reload:ignored", &e));
    assert_error(&e, ANE_ERROR_UNSUPPORTED, "ignores new weight files");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_facts), cmocka_unit_test(test_modes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
