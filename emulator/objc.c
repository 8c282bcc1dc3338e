/* Messages to Foundation. Selectors are looked up by name at each use: the runtime keeps them in a hash table. */
#include "emulator/objc.h"

#include <objc/message.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* MSG(result, (parameter types), receiver, "selector:", ...): one message, its receiver evaluated once. nil gives 0. */
#define MSG(R, PARAMETERS, receiver, name, ...)                                                              \
    __extension__({                                                                                          \
        id msg_receiver = (id)(receiver);                                                                    \
        SEL msg_selector = sel_registerName(name);                                                           \
        ((R(*) PARAMETERS)(em_function)objc_msg_lookup(msg_receiver, msg_selector))(                         \
            msg_receiver, msg_selector, ##__VA_ARGS__);                                                      \
    })

extern id NSLocalizedDescriptionKey; /* GNUstep's Foundation */
extern id NSTemporaryDirectory(void);

Class em_class(const char *name) {
    return (Class)objc_getClass(name);
}

static id class_object(const char *name) {
    return (id)(void *)em_class(name);
}

Class em_class_of(id object) {
    return object ? object->class_pointer : Nil;
}

bool em_is_kind_of(id object, const char *class_name) {
    return MSG(BOOL, (id, SEL, Class), object, "isKindOfClass:", em_class(class_name));
}

bool em_responds(id object, const char *selector) {
    return MSG(BOOL, (id, SEL, SEL), object, "respondsToSelector:", sel_registerName(selector));
}

id em_retain(id object) {
    return MSG(id, (id, SEL), object, "retain");
}

void em_release(id object) {
    if (object) MSG(void, (id, SEL), object, "release");
}

id em_autorelease(id object) {
    return MSG(id, (id, SEL), object, "autorelease");
}

void em_set(id *place, id object) {
    id old = *place;
    *place = object ? em_retain(object) : nil;
    em_release(old);
}

id em_alloc_only(Class class) {
    return MSG(id, (id, SEL), (void *)class, "alloc");
}

id em_alloc(Class class) {
    return MSG(id, (id, SEL), em_alloc_only(class), "init");
}

id em_new(Class class) {
    return em_autorelease(em_alloc(class));
}

void em_super_dealloc(id object) {
    Method method = class_getInstanceMethod(em_class("NSObject"), sel_registerName("dealloc"));
    ((void (*)(id, SEL))(em_function)method_getImplementation(method))(object, sel_registerName("dealloc"));
}

id em_pool_new(void) {
    id pool = MSG(id, (id, SEL), class_object("NSAutoreleasePool"), "alloc");
    return MSG(id, (id, SEL), pool, "init");
}

id em_string(const char *text) {
    return MSG(id, (id, SEL, const char *), class_object("NSString"), "stringWithUTF8String:", text);
}

id em_string_new(const char *text) {
    id string = MSG(id, (id, SEL), class_object("NSString"), "alloc");
    return MSG(id, (id, SEL, const char *), string, "initWithUTF8String:", text);
}

const char *em_text(id string) {
    return MSG(const char *, (id, SEL), string, "UTF8String");
}

id em_number(long long value) {
    return MSG(id, (id, SEL, long long), class_object("NSNumber"), "numberWithLongLong:", value);
}

unsigned long long em_number_value(id number) {
    return MSG(unsigned long long, (id, SEL), number, "unsignedLongLongValue");
}

id em_bool(bool value) {
    return MSG(id, (id, SEL, BOOL), class_object("NSNumber"), "numberWithBool:", value);
}

id em_data(const void *bytes, size_t size) {
    return MSG(id, (id, SEL, const void *, unsigned long), class_object("NSData"),
        "dataWithBytes:length:", bytes, size);
}

const void *em_data_bytes(id data, size_t *size) {
    *size = MSG(unsigned long, (id, SEL), data, "length");
    return MSG(const void *, (id, SEL), data, "bytes");
}

id em_array(unsigned n, const id *objects) {
    return MSG(id, (id, SEL, const id *, unsigned long), class_object("NSArray"),
        "arrayWithObjects:count:", objects, n);
}

unsigned long em_count(id collection) {
    return MSG(unsigned long, (id, SEL), collection, "count");
}

id em_at(id array, unsigned long index) {
    return MSG(id, (id, SEL, unsigned long), array, "objectAtIndex:", index);
}

id em_get_object(id dictionary, id key) {
    return key ? MSG(id, (id, SEL, id), dictionary, "objectForKey:", key) : nil;
}

id em_get(id dictionary, const char *key) {
    return em_get_object(dictionary, em_string(key));
}

id em_keys(id dictionary) {
    return MSG(id, (id, SEL), dictionary, "allKeys");
}

id em_dictionary(unsigned n, const id *keys, const id *values) {
    return MSG(id, (id, SEL, const id *, const id *, unsigned long), class_object("NSDictionary"),
        "dictionaryWithObjects:forKeys:count:", values, keys, n);
}

id em_mutable_dictionary(void) {
    return MSG(id, (id, SEL), class_object("NSMutableDictionary"), "dictionary");
}

void em_put(id dictionary, const char *key, id value) {
    if (value) MSG(void, (id, SEL, id, id), dictionary, "setObject:forKey:", value, em_string(key));
}

bool em_temporary_folder(char *path, size_t size) {
    const char *folder = em_text(NSTemporaryDirectory());
    if (!folder) return false;
    int n = snprintf(path, size, "%s", folder);
    if (n <= 0 || (size_t)n >= size) return false;
    while (n > 1 && path[n - 1] == '/') path[--n] = 0;
    return true;
}

id em_path_of_url(id url) {
    return MSG(id, (id, SEL), url, "path");
}

id em_url(const char *path) {
    return MSG(id, (id, SEL, id), class_object("NSURL"), "fileURLWithPath:", em_string(path));
}

void em_error(id *error, const char *domain, long code, const char *text) {
    if (!error) return;
    id key = NSLocalizedDescriptionKey, value = em_string(text);
    if (!value) value = em_string("(text is not UTF-8)");
    *error = MSG(id, (id, SEL, id, long, id), class_object("NSError"),
        "errorWithDomain:code:userInfo:", em_string(domain), code, em_dictionary(1, &key, &value));
}

void em_raise(const char *text) {
    id exception = MSG(id, (id, SEL, id, id, id), class_object("NSException"),
        "exceptionWithName:reason:userInfo:", em_string("NSInvalidArgumentException"), em_string(text), nil);
    MSG(void, (id, SEL), exception, "raise");
    abort(); /* -raise does not return */
}

id em_plist_data(id dictionary) {
    enum { XML = 100 }; /* NSPropertyListXMLFormat_v1_0 */
    return MSG(id, (id, SEL, id, unsigned long, id *), class_object("NSPropertyListSerialization"),
        "dataFromPropertyList:format:errorDescription:", dictionary, XML, NULL);
}

id em_plist_of(id data) {
    return MSG(id, (id, SEL, id, unsigned long, unsigned long *, id *),
        class_object("NSPropertyListSerialization"),
        "propertyListFromData:mutabilityOption:format:errorDescription:", data, 0, NULL, NULL);
}

id em_uuid(void) {
    return MSG(id, (id, SEL), class_object("NSUUID"), "UUID");
}
