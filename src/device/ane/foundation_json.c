/* foundation_json.c - see foundation_json.h. */
#include "device/ane/foundation_json.h"

#include "device/ane/foundation.h"

#include <string.h>

enum { DEEPEST = 32 };

static bool is_kind_of(const ane_framework *fw, objc_id object, const char *name) {
    ane_message m;
    objc_class class = fw->get_class(name);
    return class && ane_message_find(fw, object, "isKindOfClass:", &m, NULL) &&
           ANE_SEND(m, objc_bool, (objc_id, objc_selector, objc_class), class);
}

static unsigned long count_of(const ane_framework *fw, objc_id object, const char *selector) {
    ane_message m;
    if (!ane_message_find(fw, object, selector, &m, NULL)) return 0;
    return ((unsigned long (*)(objc_id, objc_selector))m.function)(m.receiver, m.selector);
}

static objc_id at(const ane_framework *fw, objc_id array, unsigned long i) {
    ane_message m;
    if (!ane_message_find(fw, array, "objectAtIndex:", &m, NULL)) return NULL;
    return ANE_SEND(m, objc_id, (objc_id, objc_selector, unsigned long), i);
}

static json_t *json_text(const char *text) {
    json_t *json = json_string(text);
    return json ? json : json_string("(not UTF-8)");
}

static const char *text_of(const ane_framework *fw, objc_id object) {
    if (is_kind_of(fw, object, "NSString")) return ane_ns_text(fw, object);
    return ane_ns_text(fw, ane_send(fw, object, "description", NULL));
}

static json_t *number(const ane_framework *fw, objc_id object) {
    ane_message m;
    const char *type = ane_send(fw, object, "objCType", NULL);
    if (type && (*type == 'f' || *type == 'd') && ane_message_find(fw, object, "doubleValue", &m, NULL))
        return json_real(((double (*)(objc_id, objc_selector))m.function)(m.receiver, m.selector));
    if (!ane_message_find(fw, object, "longLongValue", &m, NULL)) return json_null();
    return json_integer(((long long (*)(objc_id, objc_selector))m.function)(m.receiver, m.selector));
}

static json_t *data(const ane_framework *fw, objc_id object) {
    return json_pack("{s:I}", "bytes", (json_int_t)count_of(fw, object, "length"));
}

static json_t *convert(const ane_framework *fw, objc_id object, int depth);

static json_t *array(const ane_framework *fw, objc_id object, int depth) {
    json_t *all = json_array();
    unsigned long n = count_of(fw, object, "count");
    for (unsigned long i = 0; all && i < n; i++)
        if (json_array_append_new(all, convert(fw, at(fw, object, i), depth + 1)) != 0) {
            json_decref(all);
            return NULL;
        }
    return all;
}

static json_t *dictionary(const ane_framework *fw, objc_id object, int depth) {
    ane_message get;
    json_t *all = json_object();
    objc_id keys = ane_send(fw, object, "allKeys", NULL);
    unsigned long n = keys ? count_of(fw, keys, "count") : 0;
    if (!ane_message_find(fw, object, "objectForKey:", &get, NULL)) n = 0;
    for (unsigned long i = 0; all && i < n; i++) {
        objc_id key = at(fw, keys, i);
        objc_id value = ANE_SEND(get, objc_id, (objc_id, objc_selector, objc_id), key);
        if (json_object_set_new(all, text_of(fw, key), convert(fw, value, depth + 1)) != 0) {
            json_decref(all);
            return NULL;
        }
    }
    return all;
}

static json_t *convert(const ane_framework *fw, objc_id object, int depth) {
    if (depth > DEEPEST) return NULL;
    if (!object) return json_null();
    if (is_kind_of(fw, object, "NSString")) return json_text(ane_ns_text(fw, object));
    if (is_kind_of(fw, object, "NSNumber")) return number(fw, object);
    if (is_kind_of(fw, object, "NSData")) return data(fw, object);
    if (is_kind_of(fw, object, "NSArray")) return array(fw, object, depth);
    if (is_kind_of(fw, object, "NSDictionary")) return dictionary(fw, object, depth);
    return json_text(text_of(fw, object));
}

json_t *ane_ns_json(const ane_framework *fw, objc_id object) {
    return convert(fw, object, 0);
}
