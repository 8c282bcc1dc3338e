/* facts.c - facts as a table: what is printed, kept and read again. */
#include "device/ane/facts.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

const ane_facts ane_careful_facts = {.dialect = MIL_IOS18,
    .equal_sizes = true,
    .min_surface = 49152,
    .row_alignment = 128,
    .baked_weights = true,
    .matmul_weights = true,
    .max_channels = 65536,
    .max_width = 16384,
    .matmul_inner = 32,
    .worst_ulp = -1};

static const char *const dialects[] = {[MIL_IOS16] = "program(1.0) ios16",
    [MIL_IOS17] = "program(1.3) ios17",
    [MIL_IOS18] = "program(1.3) ios18",
    [MIL_IOS18_15] = "program(1.5) ios18",
    NULL};
static const char *const orders[] = {[ANE_ORDER_UNKNOWN] = "unknown",
    [ANE_ORDER_ALPHABETICAL] = "alphabetical",
    [ANE_ORDER_DECLARED] = "declared",
    [ANE_ORDER_SIZE] = "size",
    NULL};
static const char *const nans[] = {"unknown", "infinity", "kept", NULL};
static const char *const differences[] = {"unknown", "nan", "zero", NULL};
static const char *const logarithms[] = {"unknown", "infinity", "finite", NULL};
static const char *const denormals[] = {"unknown", "kept", "flushed", NULL};

typedef enum fact_kind { FACT_BOOL, FACT_COUNT, FACT_REAL, FACT_NAME } fact_kind;

static const struct {
    const char *name;
    fact_kind kind;
    size_t offset;
    const char *const *names;
} fields[] = {
#define FACT(field, kind, names)                                                                             \
    { #field, kind, offsetof(ane_facts, field), names }
    FACT(dialect, FACT_NAME, dialects),
    FACT(order, FACT_NAME, orders),
    FACT(equal_sizes, FACT_BOOL, NULL),
    FACT(fp32_ports, FACT_BOOL, NULL),
    FACT(chained, FACT_BOOL, NULL),
    FACT(attributes, FACT_BOOL, NULL),
    FACT(min_surface, FACT_COUNT, NULL),
    FACT(row_alignment, FACT_COUNT, NULL),
    FACT(innermost_one, FACT_BOOL, NULL),
    FACT(strided_rows, FACT_BOOL, NULL),
    FACT(baked_weights, FACT_BOOL, NULL),
    FACT(matmul_weights, FACT_BOOL, NULL),
    FACT(conv_weights, FACT_BOOL, NULL),
    FACT(shared_blobs, FACT_BOOL, NULL),
    FACT(reload, FACT_BOOL, NULL),
    FACT(matmul_inner, FACT_COUNT, NULL),
    FACT(inline_concat, FACT_BOOL, NULL),
    FACT(attention_mask, FACT_BOOL, NULL),
    FACT(max_channels, FACT_COUNT, NULL),
    FACT(max_width, FACT_COUNT, NULL),
    FACT(loaded_programs, FACT_COUNT, NULL),
    FACT(max_compiles, FACT_COUNT, NULL),
    FACT(concurrent, FACT_BOOL, NULL),
    FACT(hardware_time, FACT_BOOL, NULL),
    FACT(nan_results, FACT_NAME, nans),
    FACT(inf_minus_inf, FACT_NAME, differences),
    FACT(log_zero, FACT_NAME, logarithms),
    FACT(denormals, FACT_NAME, denormals),
    FACT(matmul_finite, FACT_REAL, NULL),
    FACT(width_slice_finite, FACT_REAL, NULL),
    FACT(worst_ulp, FACT_REAL, NULL),
#undef FACT
};
enum { N_FIELDS = sizeof fields / sizeof *fields };

/* Names stand for enums, which are ints to every compiler here. */
_Static_assert(sizeof(mil_dialect) == sizeof(int) && sizeof(ane_port_order) == sizeof(int), "enums are ints");

const char *ane_order_name(ane_port_order order) {
    return orders[order];
}

const char *ane_dialect_name(mil_dialect dialect) {
    return dialects[dialect];
}

static json_t *value_of(const ane_facts *f, int field) {
    const void *at = (const char *)f + fields[field].offset;
    int name;
    switch (fields[field].kind) {
    case FACT_BOOL: return json_boolean(*(const bool *)at);
    case FACT_COUNT: return json_integer(*(const int64_t *)at);
    case FACT_REAL: return json_real(*(const double *)at);
    case FACT_NAME: break;
    }
    memcpy(&name, at, sizeof name);
    return json_string(fields[field].names[name]);
}

json_t *ane_facts_to_json(const ane_facts *f) {
    json_t *json = json_object();
    for (int i = 0; json && i < N_FIELDS; i++) json_object_set_new(json, fields[i].name, value_of(f, i));
    return json;
}

static bool read_name(void *to, const char *const *names, const char *name) {
    for (int i = 0; name && names[i]; i++) {
        if (strcmp(names[i], name) != 0) continue;
        memcpy(to, &i, sizeof i);
        return true;
    }
    return false;
}

static bool read_field(ane_facts *f, int field, const json_t *value) {
    enum { MOST = 1 << 30 };
    void *at = (char *)f + fields[field].offset;
    switch (fields[field].kind) {
    case FACT_BOOL: *(bool *)at = json_is_true(value); return json_is_boolean(value);
    case FACT_COUNT:
        *(int64_t *)at = json_integer_value(value);
        return json_is_integer(value) && *(int64_t *)at >= 0 && *(int64_t *)at <= MOST;
    case FACT_REAL:
        *(double *)at = json_number_value(value);
        return json_is_number(value) && isfinite(*(double *)at);
    case FACT_NAME: return read_name(at, fields[field].names, json_string_value(value));
    }
    return false;
}

bool ane_facts_from_json(ane_facts *f, const json_t *json) {
    ane_facts read = ane_careful_facts;
    for (int i = 0; i < N_FIELDS; i++)
        if (!read_field(&read, i, json_object_get(json, fields[i].name))) return false;
    if (read.row_alignment < 1 || read.matmul_inner < 1 || read.max_width < 1 || read.max_channels < 1)
        return false;
    *f = read;
    return true;
}
