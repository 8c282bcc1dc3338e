/* foundation.c - see foundation.h. */
#include "device/ane/foundation.h"

#include <string.h>

objc_id ane_ns_string(const ane_framework *fw, const char *text, ane_error *e) {
    ane_message m;
    if (!ane_message_find(fw, ane_class(fw, "NSString", e), "stringWithUTF8String:", &m, e)) return NULL;
    return ANE_SEND(m, objc_id, (objc_id, objc_selector, const char *), text);
}

const char *ane_ns_text(const ane_framework *fw, objc_id string) {
    const char *text =
        ane_responds(fw, string, "UTF8String") ? ane_send(fw, string, "UTF8String", NULL) : NULL;
    return text ? text : "";
}

objc_id ane_ns_number(const ane_framework *fw, uint64_t value, ane_error *e) {
    ane_message m;
    if (!ane_message_find(fw, ane_class(fw, "NSNumber", e), "numberWithUnsignedLongLong:", &m, e))
        return NULL;
    return ANE_SEND(m, objc_id, (objc_id, objc_selector, unsigned long long), value);
}

objc_id ane_ns_data(const ane_framework *fw, const void *bytes, size_t size, ane_error *e) {
    ane_message m;
    if (!ane_message_find(fw, ane_class(fw, "NSData", e), "dataWithBytes:length:", &m, e)) return NULL;
    return ANE_SEND(m, objc_id, (objc_id, objc_selector, const void *, unsigned long), bytes, size);
}

/* Foundation raises an exception, which C cannot catch, when an element is nil. */
static bool none_is_nil(const objc_id *objects, unsigned long n, ane_error *e) {
    for (unsigned long i = 0; i < n; i++)
        if (!objects[i]) return ane_fail(e, ANE_ERROR_DEVICE, "ane", "element %lu of a collection is nil", i);
    return true;
}

objc_id ane_ns_array(const ane_framework *fw, const objc_id *objects, unsigned long n, ane_error *e) {
    ane_message m;
    if (!none_is_nil(objects, n, e) ||
        !ane_message_find(fw, ane_class(fw, "NSArray", e), "arrayWithObjects:count:", &m, e))
        return NULL;
    return ANE_SEND(m, objc_id, (objc_id, objc_selector, const objc_id *, unsigned long), objects, n);
}

objc_id ane_ns_dictionary(
    const ane_framework *fw, const objc_id *keys, const objc_id *values, unsigned long n, ane_error *e) {
    ane_message m;
    if (!none_is_nil(keys, n, e) || !none_is_nil(values, n, e) ||
        !ane_message_find(
            fw, ane_class(fw, "NSDictionary", e), "dictionaryWithObjects:forKeys:count:", &m, e))
        return NULL;
    return ANE_SEND(m, objc_id, (objc_id, objc_selector, const objc_id *, const objc_id *, unsigned long),
        values, keys, n);
}

/* ---- errors -------------------------------------------------------------------------------------------------- */

/* What people found out about Apple's texts; the first that occurs in one counts. */
static const struct {
    const char *part, *hint;
} known[] = {
    {"0x1d", "Surfaces of wrong size, number or order, or a process in which tile ran; try again in a new "
             "process."},
    {"InvalidMILProgram", "The compiler refuses the program: run `anemone check` on it, and send both."},
    {"ANECCompile",
        "The compiler gives no reason: run `anemone check` on the program; a pause of 15 s may help."},
    {"Program load", "Too many programs may be loaded: close other users of the Neural Engine."},
    {"Program Inference",
        "The evaluation itself failed; if it fails again in a new process, send the program."},
};

static long code_of(const ane_framework *fw, objc_id error) {
    ane_message m;
    if (!ane_message_find(fw, error, "code", &m, NULL)) return 0;
    return ((long (*)(objc_id, objc_selector))m.function)(m.receiver, m.selector);
}

bool ane_ns_report(const ane_framework *fw, const char *stage, objc_id error, ane_error *e) {
    if (!error) {
        ane_fail(e, ANE_ERROR_DEVICE, stage, "the Neural Engine's %s failed without giving a reason", stage);
        return ane_hint(e, "Run `anemone doctor`.");
    }
    const char *text = ane_ns_text(fw, ane_send(fw, error, "localizedDescription", NULL));
    const char *domain = ane_ns_text(fw, ane_send(fw, error, "domain", NULL));
    ane_fail(e, ANE_ERROR_DEVICE, stage, "the Neural Engine's %s failed: %s (%s, code %ld)", stage, text,
        domain, code_of(fw, error));
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strstr(text, known[i].part)) return ane_hint(e, "%s", known[i].hint);
    return ane_hint(e, "Run `anemone doctor`.");
}
