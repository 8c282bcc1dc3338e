/* Settings are text: "chip=m4,quirk=order:declared,fault=eval:7". */
#include "emulator/settings.h"
#include "base/decimal.h"
#include "base/nearest.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const em_quirk_info em_quirks[EM_QUIRK_COUNT] = {
#define EM_QUIRK(ID, name, kind, values, otherwise, what, source)                                            \
    {name, kind, values, otherwise, what, source},
#include "emulator/quirks.def"
};

const em_fault_info em_faults[EM_FAULT_COUNT] = {
#define EM_FAULT(ID, name, stage, arguments, what) {name, stage, arguments, what},
#include "emulator/faults.def"
};

/* Append to a list that is printed into `text`. */
static void append(char *text, size_t size, const char *item) {
    size_t n = strlen(text);
    snprintf(text + n, size - n, "%s%s", n ? ", " : "", item);
}

static bool unknown(ane_error *e, const char *kind, const char *found, const char *const *names) {
    char list[sizeof e->message] = "";
    for (int i = 0; names[i]; i++) append(list, sizeof list, names[i]);
    ane_fail(e, ANE_ERROR_ARGUMENT, "ANEMONE_EMULATOR", "\"%s\" is no %s; known are %s", found, kind, list);
    const char *near = ane_nearest(found, names);
    return near ? ane_hint(e, "did you mean %s?", near) : false;
}

/* Position of `value` among the words of "a|b|c"; -1 when it is none of them. */
static int choice(const char *values, const char *value, size_t length) {
    int position = 0;
    for (const char *word = values; word; position++) {
        const char *end = strchr(word, '|');
        size_t n = end ? (size_t)(end - word) : strlen(word);
        if (n == length && memcmp(word, value, n) == 0) return position;
        word = end ? end + 1 : NULL;
    }
    return -1;
}

static bool bad_value(const em_quirk_info *info, const char *value, ane_error *e) {
    char name[96];
    snprintf(name, sizeof name, "quirk=%s", info->name);
    if (info->kind == EM_NUMBER)
        return ane_fail(e, ANE_ERROR_ARGUMENT, name, "expected a number of %s or none, found \"%s\"",
            info->values, value);
    return ane_fail(e, ANE_ERROR_ARGUMENT, name, "expected %s%s, found \"%s\"", info->values,
        info->kind == EM_SET ? " (several joined by +)" : "", value);
}

static bool parse_number(const char *text, int64_t *value) {
    char *end;
    errno = 0;
    long long n = strtoll(text, &end, 10);
    if (errno || end == text || *end || n < 0) return false;
    *value = n;
    return true;
}

static bool parse_quirk_value(const em_quirk_info *info, const char *value, int64_t *out, ane_error *e) {
    if (info->kind == EM_NUMBER) {
        if (strcmp(value, "none") == 0)
            *out = EM_NO_LIMIT;
        else if (!parse_number(value, out))
            return bad_value(info, value, e);
        return true;
    }
    if (info->kind == EM_CHOICE) {
        *out = choice(info->values, value, strlen(value));
        return *out >= 0 || bad_value(info, value, e);
    }
    *out = 0;
    for (const char *word = value; word;) {
        const char *end = strchr(word, '+');
        int position = choice(info->values, word, end ? (size_t)(end - word) : strlen(word));
        if (position < 0) return bad_value(info, value, e);
        *out |= INT64_C(1) << position;
        word = end ? end + 1 : NULL;
    }
    return true;
}

static bool parse_quirk(em_settings *s, char *text, ane_error *e) {
    char *colon = strchr(text, ':');
    if (colon) *colon = 0;
    for (int i = 0; i < EM_QUIRK_COUNT; i++)
        if (strcmp(em_quirks[i].name, text) == 0) {
            if (!colon) return bad_value(&em_quirks[i], "", e);
            return parse_quirk_value(&em_quirks[i], colon + 1, &s->quirk[i], e);
        }
    const char *names[EM_QUIRK_COUNT + 1] = {0};
    for (int i = 0; i < EM_QUIRK_COUNT; i++) names[i] = em_quirks[i].name;
    return unknown(e, "quirk", text, names);
}

/* "7", "7+" */
static bool parse_calls(em_fault *fault, char *text) {
    size_t n = strlen(text);
    fault->onwards = n > 0 && text[n - 1] == '+';
    if (fault->onwards) text[n - 1] = 0;
    return parse_number(text, &fault->first) && fault->first > 0;
}

static bool parse_real(const char *text, double most, double *value) {
    char *end;
    *value = ane_read_decimal(text, &end);
    return end != text && !*end && *value >= 0 && *value <= most;
}

static bool parse_fault_arguments(em_fault *fault, const char *arguments, char *text) {
    if (!text) return false;
    char *second = strchr(text, ':');
    if ((second != NULL) != (strchr(arguments, ':') != NULL)) return false;
    if (second) *second++ = 0;
    if (fault->kind == EM_FAULT_RANDOM) {
        int64_t seed;
        if (!parse_real(text, 1, &fault->amount) || !parse_number(second, &seed)) return false;
        fault->seed = (uint64_t)seed;
        return true;
    }
    return parse_calls(fault, text) && (!second || parse_real(second, 3600, &fault->amount));
}

static bool parse_fault(em_settings *s, char *text, ane_error *e) {
    if (s->n_faults == EM_MAX_FAULTS)
        return ane_fail(
            e, ANE_ERROR_ARGUMENT, "ANEMONE_EMULATOR", "expected at most %d faults", EM_MAX_FAULTS);
    char *colon = strchr(text, ':');
    if (colon) *colon = 0;
    for (int i = 0; i < EM_FAULT_COUNT; i++) {
        if (strcmp(em_faults[i].name, text) != 0) continue;
        em_fault *fault = &s->faults[s->n_faults];
        *fault = (em_fault){.kind = (em_fault_kind)i};
        if (!parse_fault_arguments(fault, em_faults[i].arguments, colon ? colon + 1 : NULL))
            return ane_fail(e, ANE_ERROR_ARGUMENT, "ANEMONE_EMULATOR",
                "expected fault=%s:%s (N from 1, N+ from the N-th on; P from 0 to 1), found other arguments",
                em_faults[i].name, em_faults[i].arguments);
        s->n_faults++;
        return true;
    }
    const char *names[EM_FAULT_COUNT + 1] = {0};
    for (int i = 0; i < EM_FAULT_COUNT; i++) names[i] = em_faults[i].name;
    return unknown(e, "fault", text, names);
}

/* Defaults of the table, then those of the chip. */
static bool apply_chip(em_settings *s, ane_error *e) {
    for (int i = 0; i < EM_QUIRK_COUNT; i++) {
        const json_t *own = json_object_get(json_object_get(s->chip->quirks, em_quirks[i].name), "value");
        const char *value = own ? json_string_value(own) : em_quirks[i].otherwise;
        if (!value || !parse_quirk_value(&em_quirks[i], value, &s->quirk[i], e))
            return ane_fail(
                e, ANE_ERROR_FORMAT, s->chip->name, "expected the value of %s as text", em_quirks[i].name);
    }
    return true;
}

static bool choose_chip(em_settings *s, const em_chips *chips, const char *name, ane_error *e) {
    s->chip = em_chips_find(chips, name);
    if (s->chip) return apply_chip(s, e);
    const char *names[EM_MAX_CHIPS + 1] = {0};
    for (int i = 0; i < chips->n; i++) names[i] = chips->chips[i].name;
    return unknown(e, "chip", name, names);
}

static bool parse_setting(em_settings *s, const em_chips *chips, char *text, bool chip_pass, ane_error *e) {
    static const char *const keys[] = {"chip", "quirk", "fault", NULL};
    char *equals = strchr(text, '=');
    if (equals) *equals = 0;
    if (!equals || !equals[1]) {
        for (int i = 0; keys[i]; i++)
            if (strcmp(keys[i], text) == 0)
                return ane_fail(e, ANE_ERROR_ARGUMENT, "ANEMONE_EMULATOR",
                    "expected %s=..., found nothing behind it", text);
        return unknown(e, "setting", text, keys);
    }
    char *value = equals + 1;
    if (strcmp(text, "chip") == 0) return !chip_pass || choose_chip(s, chips, value, e);
    if (strcmp(text, "quirk") == 0) return chip_pass || parse_quirk(s, value, e);
    if (strcmp(text, "fault") == 0) return chip_pass || parse_fault(s, value, e);
    return unknown(e, "setting", text, keys);
}

bool em_settings_parse(em_settings *s, const em_chips *chips, const char *text, ane_error *e) {
    *s = (em_settings){0};
    if (!choose_chip(s, chips, "M4", e)) return false;
    /* The chip first: it brings defaults that quirks, wherever they stand, replace. */
    for (int pass = 0; pass < 2; pass++) {
        char *copy = strdup(text ? text : ""), *rest = NULL;
        if (!copy) return ane_fail(e, ANE_ERROR_MEMORY, "ANEMONE_EMULATOR", "no memory for settings");
        bool ok = true;
        for (char *item = strtok_r(copy, ",", &rest); ok && item; item = strtok_r(NULL, ",", &rest))
            ok = parse_setting(s, chips, item, pass == 0, e);
        free(copy);
        if (!ok) return false;
    }
    return true;
}

/* The word at `position` of "a|b|c", appended to `text`. */
static void append_choice(const char *values, int position, const char *separator, char *text, size_t size) {
    for (; position > 0; position--) values = strchr(values, '|') + 1;
    size_t n = strlen(text);
    snprintf(text + n, size - n, "%s%.*s", n ? separator : "", (int)strcspn(values, "|"), values);
}

const char *em_quirk_print(em_quirk quirk, int64_t value, char *text, size_t size) {
    const em_quirk_info *info = &em_quirks[quirk];
    text[0] = 0;
    if (info->kind == EM_NUMBER) {
        if (value == EM_NO_LIMIT)
            snprintf(text, size, "none");
        else
            snprintf(text, size, "%" PRId64, value);
    } else if (info->kind == EM_CHOICE) {
        append_choice(info->values, (int)value, "", text, size);
    } else {
        for (int i = 0; i < 63; i++)
            if (value >> i & 1) append_choice(info->values, i, "+", text, size);
    }
    return text;
}
