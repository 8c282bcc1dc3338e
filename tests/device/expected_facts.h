/* expected_facts.h - what the self-test must find on an emulated machine, computed from what that machine says of its own
 * settings. Where one quirk hides another, the careful answer is the right one; each row says why. */
#ifndef ANEMONE_TESTS_EXPECTED_FACTS_H
#define ANEMONE_TESTS_EXPECTED_FACTS_H

#include "support/support.h"

#include "device/ane/selftest.h"
#include "device/emulator.h"

#include <dlfcn.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* What the emulator says of itself: {"chips", "quirks", "settings", ...}. Skips the test where there is none. */
static inline json_t *describe_emulator(void) {
    ane_error e = {0};
    void *library = ane_emulator_open(&e);
    if (!library) {
        print_message("%s\n", e.message);
        skip();
    }
    char *(*describe)(void);
    void *symbol = dlsym(library, "anemone_emulator_describe");
    assert_non_null(symbol);
    memcpy(&describe, &symbol, sizeof describe);
    char *text = describe();
    json_t *all = text ? json_loads(text, 0, NULL) : NULL;
    free(text);
    assert_non_null(all);
    return all;
}

/* ---- quirks as set ------------------------------------------------------------------------------------------------- */

typedef struct config {
    const json_t *quirks; /* name -> value, both as text */
} config;

static inline const char *quirk(const config *c, const char *name) {
    const char *value = json_string_value(json_object_get(c->quirks, name));
    if (!value) fail_msg("the emulator has no quirk %s", name);
    return value;
}

static inline bool is(const config *c, const char *name, const char *value) {
    return strcmp(quirk(c, name), value) == 0;
}

/* "none" is infinite. */
static inline double number(const config *c, const char *name) {
    return is(c, name, "none") ? INFINITY : strtod(quirk(c, name), NULL);
}

static inline bool takes(const config *c, const char *dialect) {
    return strstr(quirk(c, "dialects"), dialect) != NULL;
}

/* The ladder ends with 1.5, whose compiler has no matmul of two run-time operands (ANE-30). */
static inline bool last_dialect(const config *c) {
    return !takes(c, "1.3/ios18") && !takes(c, "1.3/ios17") && !takes(c, "1.0/ios16");
}

static inline bool matmul(const config *c) {
    return is(c, "matmul-weights", "work") && !(last_dialect(c) && !is(c, "rules", "none"));
}

/* The largest of 1, 2^(1/4), ... 2^(63/4) in fp16 that is not above `limit`. */
static inline double rung(double limit) {
    double best = 0;
    for (int i = 0; i < 64; i++) {
        double x = exp2(i / 4.0), unit = exp2(floor(i / 4.0) - 10);
        x = nearbyint(x / unit) * unit;
        if (x <= limit) best = x;
    }
    return best;
}

/* ---- one row for each fact ------------------------------------------------------------------------------------------ */

#define RIGHT(name) static inline bool right_##name(const config *c, const ane_facts *f)

RIGHT(dialect) {
    return f->dialect == (takes(c, "1.3/ios18")      ? MIL_IOS18
                             : takes(c, "1.3/ios17") ? MIL_IOS17
                             : takes(c, "1.0/ios16") ? MIL_IOS16
                                                     : MIL_IOS18_15);
}
RIGHT(min_surface) {
    static const double ladder[] = {128, 2048, 16384};
    double least = is(c, "min-surface", "none") ? 0 : number(c, "min-surface");
    for (int i = 0; i < 3; i++)
        if (least <= ladder[i]) return (double)f->min_surface == ladder[i];
    return f->min_surface == 49152;
}
RIGHT(row_alignment) {
    return (double)f->row_alignment == number(c, "row-alignment");
}
RIGHT(strided_rows) {
    return f->strided_rows == is(c, "rows", "strided");
}
RIGHT(innermost_one) {
    return f->innermost_one == is(c, "innermost-one", "works");
}
RIGHT(order) {
    return strcmp(ane_order_name(f->order), quirk(c, "order")) == 0;
}
RIGHT(equal_sizes) {
    return f->equal_sizes == is(c, "equal-sizes", "required");
}
RIGHT(fp32_ports) {
    return f->fp32_ports == is(c, "fp32-ports", "work");
}
RIGHT(attributes) {
    return f->attributes == is(c, "attributes", "readable");
}
RIGHT(always) {
    (void)c;
    return f->chained && f->baked_weights && f->concurrent && f->max_channels == 65536;
}
RIGHT(shared_blobs) {
    return f->shared_blobs == is(c, "shared-blobs", "work");
}
RIGHT(matmul_weights) {
    return f->matmul_weights == matmul(c);
}
RIGHT(conv_weights) {
    return f->conv_weights == is(c, "conv-weights", "work");
}
RIGHT(reload) {
    return f->reload == is(c, "reload", "new-weights");
}
RIGHT(matmul_inner) {
    return f->matmul_inner == (matmul(c) && is(c, "matmul-inner", "any") ? 1 : 32);
}
RIGHT(inline_concat) {
    return f->inline_concat == is(c, "concat", "works");
}
RIGHT(attention_mask) {
    return f->attention_mask == is(c, "attn-mask", "works");
}
RIGHT(max_width) {
    double expected = 65536;
    while (expected > number(c, "max-dim")) expected /= 2;
    return (double)f->max_width == expected;
}
RIGHT(loaded_programs) {
    if (is(c, "empty-weights", "nil")) return f->loaded_programs == 0;
    return (double)f->loaded_programs == fmin(128, number(c, "max-loaded"));
}
RIGHT(max_compiles) {
    (void)c;
    return f->max_compiles == 0;
}
RIGHT(hardware_time) {
    return f->hardware_time == is(c, "hardware-time", "reported");
}
RIGHT(nan_results) {
    return f->nan_results == (is(c, "nan", "kept") ? ANE_NAN_KEPT : ANE_NAN_INFINITY);
}
RIGHT(inf_minus_inf) {
    return f->inf_minus_inf ==
           (is(c, "inf-minus-inf", "zero") ? ANE_INF_MINUS_INF_ZERO : ANE_INF_MINUS_INF_NAN);
}
RIGHT(log_zero) {
    return f->log_zero == (is(c, "log-zero", "infinity") ? ANE_LOG_ZERO_INFINITY : ANE_LOG_ZERO_FINITE);
}
RIGHT(denormals) {
    return f->denormals == (!matmul(c)                         ? ANE_DENORMALS_UNKNOWN
                               : is(c, "denormals", "flushed") ? ANE_DENORMALS_FLUSHED
                                                               : ANE_DENORMALS_KEPT);
}
RIGHT(matmul_finite) {
    return f->matmul_finite == (matmul(c) ? rung(number(c, "matmul-overflow")) : 0);
}
RIGHT(width_slice) {
    return f->width_slice_finite == rung(number(c, "width-slice"));
}
RIGHT(worst_ulp) {
    return matmul(c) ? f->worst_ulp >= 0 && f->worst_ulp <= 2 : f->worst_ulp == -1;
}
#undef RIGHT

static const struct expected_fact {
    const char *name, *why;
    bool (*right)(const config *c, const ane_facts *f);
} expected_facts[] = {
    {"dialect", "the first of 1.3/ios18, 1.3/ios17, 1.0/ios16, 1.5/ios18 that is taken", right_dialect},
    {"min_surface", "the smallest size tried that is enough", right_min_surface},
    {"row_alignment", "as set", right_row_alignment},
    {"strided_rows", "as set", right_strided_rows},
    {"innermost_one", "as set", right_innermost_one},
    {"order", "as set", right_order},
    {"equal_sizes", "as set", right_equal_sizes},
    {"fp32_ports", "as set", right_fp32_ports},
    {"attributes", "as set", right_attributes},
    {"chained, baked_weights, concurrent, max_channels", "no quirk says otherwise", right_always},
    {"shared_blobs", "as set", right_shared_blobs},
    {"matmul_weights", "program(1.5) alone has no matmul of two operands: ANE-30", right_matmul_weights},
    {"conv_weights", "as set", right_conv_weights},
    {"reload", "as set", right_reload},
    {"matmul_inner", "unseen without matmul: 32", right_matmul_inner},
    {"inline_concat", "as set", right_inline_concat},
    {"attention_mask", "as set", right_attention_mask},
    {"max_width", "the largest power of two tried", right_max_width},
    {"loaded_programs", "up to 128; unseen where a descriptor needs weights", right_loaded_programs},
    {"max_compiles", "never asked", right_max_compiles},
    {"hardware_time", "as set", right_hardware_time},
    {"nan_results", "as set", right_nan_results},
    {"inf_minus_inf", "as set, even where NaN comes out as infinity", right_inf_minus_inf},
    {"log_zero", "as set", right_log_zero},
    {"denormals", "unseen without matmul", right_denormals},
    {"matmul_finite", "unseen without matmul", right_matmul_finite},
    {"width_slice_finite", "the largest number tried", right_width_slice},
    {"worst_ulp", "unseen without matmul", right_worst_ulp},
};

/* Fails the test, naming the fact, unless all are right. `title` is printed with it. */
static inline void assert_facts(const config *c, const ane_facts *f, const char *title) {
    for (size_t i = 0; i < sizeof expected_facts / sizeof *expected_facts; i++) {
        if (expected_facts[i].right(c, f)) continue;
        json_t *facts = ane_facts_to_json(f);
        char *found = json_dumps(facts, JSON_COMPACT), *set = json_dumps(c->quirks, JSON_COMPACT);
        print_message("found %s\nset %s\n", found, set);
        free(found);
        free(set);
        json_decref(facts);
        fail_msg("%s: %s is wrong (expected: %s)", title, expected_facts[i].name, expected_facts[i].why);
    }
}

#endif
