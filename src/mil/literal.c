#include "mil/literal.h"

#include "base/decimal.h"
#include "base/half.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- packed bits: element i of a b-bit type takes bits i*b to i*b + b - 1, low bits first ---- */

static uint64_t get_bits(const unsigned char *data, int64_t index, int bits) {
    uint64_t x = 0;
    if (bits % 8 == 0) {
        memcpy(&x, data + index * (bits / 8), (size_t)bits / 8);
        return x;
    }
    for (int64_t k = 0, at = index * bits; k < bits; k++, at++)
        x |= (uint64_t)(data[at / 8] >> at % 8 & 1) << k;
    return x;
}

static void set_bits(unsigned char *data, int64_t index, int bits, uint64_t x) {
    if (bits % 8 == 0) {
        memcpy(data + index * (bits / 8), &x, (size_t)bits / 8);
        return;
    }
    for (int64_t k = 0, at = index * bits; k < bits; k++, at++)
        data[at / 8] = (unsigned char)((data[at / 8] & ~(1u << at % 8)) | (unsigned)(x >> k & 1) << at % 8);
}

static bool is_signed(mil_dtype dtype) {
    return dtype == MIL_INT4 || dtype == MIL_INT8 || dtype == MIL_INT16 || dtype == MIL_INT32 ||
           dtype == MIL_INT64;
}

/* ---- printing ------------------------------------------------------------------------------------------ */

static double float_from_bits(mil_dtype dtype, uint64_t bits) {
    double x;
    switch (dtype) {
    case MIL_FP16: return ane_f32_from_f16((uint16_t)bits);
    case MIL_BF16: return ane_f32_from_bf16((uint16_t)bits);
    case MIL_FP32: return ane_f32_from_bits((uint32_t)bits);
    default: memcpy(&x, &bits, sizeof x); return x;
    }
}

/* printf's %a would write the locale's decimal point. */
static void print_float(double x, char *out) {
    uint64_t u;
    memcpy(&u, &x, sizeof u);
    const char *sign = u >> 63 ? "-" : "";
    uint64_t fraction = u & ((UINT64_C(1) << 52) - 1);
    int exponent = (int)(u >> 52 & 0x7ff);
    if (exponent == 0x7ff) {
        snprintf(out, MIL_LITERAL_MAX, "%s", fraction ? "nan" : u >> 63 ? "-inf" : "inf");
    } else if (exponent == 0 && fraction == 0) {
        snprintf(out, MIL_LITERAL_MAX, "%s0x0p+0", sign);
    } else {
        char digits[16];
        snprintf(digits, sizeof digits, "%013" PRIx64, fraction);
        int n = 13;
        while (n > 0 && digits[n - 1] == '0') digits[--n] = 0;
        int power = exponent ? exponent - 1023 : -1022;
        snprintf(out, MIL_LITERAL_MAX, "%s0x%d%s%sp%+d", sign, exponent != 0, n ? "." : "", digits, power);
    }
}

const char *mil_literal_print(mil_dtype dtype, const void *data, int64_t index, char out[MIL_LITERAL_MAX]) {
    int bits = mil_dtype_bits(dtype);
    uint64_t x = get_bits(data, index, bits);
    if (dtype == MIL_BOOL) {
        snprintf(out, MIL_LITERAL_MAX, "%s", x ? "true" : "false");
    } else if (mil_dtype_is_float(dtype)) {
        print_float(float_from_bits(dtype, x), out);
    } else if (is_signed(dtype)) {
        uint64_t sign = UINT64_C(1) << (bits - 1);
        snprintf(out, MIL_LITERAL_MAX, "%" PRId64, (int64_t)((x ^ sign) - sign));
    } else {
        snprintf(out, MIL_LITERAL_MAX, "%" PRIu64, x);
    }
    return out;
}

/* ---- parsing ------------------------------------------------------------------------------------------- */

static uint64_t bits_from_float(mil_dtype dtype, double x) {
    uint64_t u;
    switch (dtype) {
    case MIL_FP16: return ane_f16_from_f64(x);
    case MIL_BF16: return ane_bf16_from_f32((float)x);
    case MIL_FP32: return ane_bits_from_f32((float)x);
    default: memcpy(&u, &x, sizeof u); return u;
    }
}

static bool read_double(const char *text, double *out) {
    char *end;
    *out = ane_read_decimal(text, &end);
    return end != text && *end == 0;
}

static bool parse_float(mil_dtype dtype, const char *text, uint64_t *bits, ane_error *e) {
    double x;
    if (!read_double(text, &x))
        return ane_fail(e, ANE_ERROR_FORMAT, NULL, "expected a number of type %s, found '%.60s'",
            mil_dtype_name(dtype), text);
    *bits = bits_from_float(dtype, x);
    const char *p = text + (*text == '-' || *text == '+');
    bool said_infinite = *p == 'i' || *p == 'I';
    if (!said_infinite && isinf(float_from_bits(dtype, *bits)))
        return ane_fail(e, ANE_ERROR_FORMAT, NULL, "expected a value in the range of %s, found '%.60s'",
            mil_dtype_name(dtype), text);
    return true;
}

static bool is_integer(const char *text) {
    text += *text == '-' || *text == '+';
    bool hex = text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
    if (hex) text += 2;
    const char *allowed = hex ? "0123456789abcdefABCDEF" : "0123456789";
    return *text && text[strspn(text, allowed)] == 0;
}

static bool parse_integer(mil_dtype dtype, const char *text, uint64_t *bits, ane_error *e) {
    if (!is_integer(text))
        return ane_fail(e, ANE_ERROR_FORMAT, NULL, "expected an integer of type %s, found '%.60s'",
            mil_dtype_name(dtype), text);
    bool negative = *text == '-';
    const char *digits = text + (negative || *text == '+');
    bool hex = digits[0] == '0' && (digits[1] == 'x' || digits[1] == 'X');
    int width = mil_dtype_bits(dtype);
    uint64_t magnitude = 0, most = is_signed(dtype) ? (UINT64_C(1) << (width - 1)) - !negative
                                   : negative       ? 0
                                                    : UINT64_MAX >> (64 - width);
    bool fits = true;
    for (const char *p = hex ? digits + 2 : digits; fits && *p; p++) {
        uint64_t digit = (uint64_t)(*p <= '9' ? *p - '0' : (*p | 32) - 'a' + 10), base = hex ? 16 : 10;
        fits = magnitude <= (most - (digit < most ? digit : most)) / base && digit <= most;
        magnitude = magnitude * base + digit;
    }
    if (!fits)
        return ane_fail(e, ANE_ERROR_FORMAT, NULL, "expected a value in the range of %s, found '%.60s'",
            mil_dtype_name(dtype), text);
    *bits = negative ? 0 - magnitude : magnitude;
    return true;
}

bool mil_literal_parse(
    mil_dtype dtype, const char *text, size_t size, void *data, int64_t index, ane_error *e) {
    char copy[128];
    uint64_t bits = 0;
    if (size >= sizeof copy)
        return ane_fail(e, ANE_ERROR_FORMAT, NULL, "expected a number of at most %zu characters, found %zu",
            sizeof copy - 1, size);
    memcpy(copy, text, size);
    copy[size] = 0;
    if (dtype == MIL_BOOL) {
        bits = strcmp(copy, "true") == 0;
        if (!bits && strcmp(copy, "false") != 0)
            return ane_fail(e, ANE_ERROR_FORMAT, NULL, "expected true or false, found '%.60s'", copy);
    } else if (mil_dtype_is_float(dtype)) {
        if (!parse_float(dtype, copy, &bits, e)) return false;
    } else if (!parse_integer(dtype, copy, &bits, e)) {
        return false;
    }
    set_bits(data, index, mil_dtype_bits(dtype), bits);
    return true;
}
