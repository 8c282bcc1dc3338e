/* explore_classes.c - the framework's classes, as the Objective-C runtime has them. */
#include "device/ane/explore_impl.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

/* The runtime's functions, which nothing else in the library needs. Lists are freed with free(). */
typedef struct runtime {
    int (*class_list)(objc_class *list, int n);
    objc_class (*superclass)(objc_class class);
    void **(*methods)(objc_class class, unsigned *n);
    objc_selector (*method_name)(void *method);
    const char *(*method_types)(void *method);
    const char *(*selector_name)(objc_selector selector);
    void **(*properties)(objc_class class, unsigned *n);
    const char *(*property_name)(void *property);
    const char *(*property_attributes)(void *property);
    void **(*ivars)(objc_class class, unsigned *n);
    const char *(*ivar_name)(void *ivar);
    const char *(*ivar_type)(void *ivar);
} runtime;

static void *find_symbol(const ane_framework *fw, const char *name) {
    void *symbol = NULL;
    for (int i = 0; !symbol && i < fw->n_libraries; i++) symbol = dlsym(fw->libraries[i], name);
    return symbol;
}

static bool find_runtime(const ane_framework *fw, runtime *r, ane_error *e) {
    const struct {
        void *slot;
        const char *name;
    } functions[] = {
        {&r->class_list, "objc_getClassList"},
        {&r->superclass, "class_getSuperclass"},
        {&r->methods, "class_copyMethodList"},
        {&r->method_name, "method_getName"},
        {&r->method_types, "method_getTypeEncoding"},
        {&r->selector_name, "sel_getName"},
        {&r->properties, "class_copyPropertyList"},
        {&r->property_name, "property_getName"},
        {&r->property_attributes, "property_getAttributes"},
        {&r->ivars, "class_copyIvarList"},
        {&r->ivar_name, "ivar_getName"},
        {&r->ivar_type, "ivar_getTypeEncoding"},
    };
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        void *found = find_symbol(fw, functions[i].name);
        if (!found)
            return ane_fail(e, ANE_ERROR_DEVICE, "classes", "the Objective-C runtime has no function %s",
                functions[i].name);
        memcpy(functions[i].slot, &found, sizeof found);
    }
    return true;
}

/* ---- one class --------------------------------------------------------------------------------------------------- */

typedef json_t *entry_of(const runtime *r, void *item);

static json_t *method(const runtime *r, void *item) {
    const char *types = r->method_types(item);
    return json_pack(
        "{s:s, s:s}", "selector", r->selector_name(r->method_name(item)), "types", types ? types : "");
}

static json_t *property(const runtime *r, void *item) {
    const char *attributes = r->property_attributes(item);
    return json_pack(
        "{s:s, s:s}", "name", r->property_name(item), "attributes", attributes ? attributes : "");
}

static json_t *ivar(const runtime *r, void *item) {
    const char *type = r->ivar_type(item);
    return json_pack("{s:s, s:s}", "name", r->ivar_name(item), "type", type ? type : "");
}

static int by_text(const void *a, const void *b) {
    const json_t *const *x = a, *const *y = b;
    const char *key = json_object_get(*x, "name") ? "name" : "selector";
    return strcmp(json_string_value(json_object_get(*x, key)), json_string_value(json_object_get(*y, key)));
}

/* The runtime gives lists in the order of its memory: sort, so that two machines can be compared. */
static json_t *sorted(json_t **items, size_t n) {
    json_t *all = json_array();
    qsort(items, n, sizeof(json_t *), by_text);
    for (size_t i = 0; i < n; i++)
        if (!all || json_array_append(all, items[i]) != 0) {
            json_decref(all);
            return NULL;
        }
    return all;
}

static void free_items(json_t **items, size_t n) {
    for (size_t i = 0; items && i < n; i++) json_decref(items[i]);
    free(items);
}

/* What copy() gave, freed here. */
static json_t *list(const runtime *r, void **found, unsigned n, entry_of *entry) {
    json_t **items = calloc((size_t)n + 1, sizeof(json_t *));
    unsigned made = 0;
    while (items && made < n && (items[made] = entry(r, found[made])) != NULL) made++;
    json_t *all = items && made == n ? sorted(items, n) : NULL;
    free_items(items, made);
    free(found);
    return all;
}

static json_t *describe(const ane_framework *fw, const runtime *r, objc_class class) {
    unsigned n[4] = {0};
    objc_class super = r->superclass(class);
    void **of_class = r->methods(fw->class_of(class), &n[0]);
    void **methods = r->methods(class, &n[1]);
    void **properties = r->properties(class, &n[2]);
    void **ivars = r->ivars(class, &n[3]);
    return json_pack("{s:s, s:s, s:o, s:o, s:o, s:o}", "name", fw->class_name(class), "superclass",
        super ? fw->class_name(super) : "", "class_methods", list(r, of_class, n[0], method), "methods",
        list(r, methods, n[1], method), "properties", list(r, properties, n[2], property), "ivars",
        list(r, ivars, n[3], ivar));
}

/* ---- all of them ------------------------------------------------------------------------------------------------- */

static bool is_of_engine(const char *name) {
    return strncmp(name, "_ANE", 4) == 0 || strncmp(name, "ANE", 3) == 0;
}

static json_t *describe_all(const ane_framework *fw, const runtime *r, objc_class *classes, int n) {
    json_t **items = calloc((size_t)n + 1, sizeof(json_t *));
    size_t made = 0;
    bool ok = items != NULL;
    for (int i = 0; ok && i < n; i++)
        if (is_of_engine(fw->class_name(classes[i]))) {
            items[made] = describe(fw, r, classes[i]);
            ok = items[made] != NULL;
            made += ok;
        }
    json_t *all = ok ? sorted(items, made) : NULL;
    free_items(items, made);
    return all;
}

json_t *engine_explore_classes(engine_device *x, ane_error *e) {
    enum { SPARE = 256 }; /* classes that another thread may register meanwhile */
    const ane_framework *fw = &x->fw;
    runtime r;
    if (!find_runtime(fw, &r, e)) return NULL;
    int room = r.class_list(NULL, 0) + SPARE;
    objc_class *classes = room > 0 ? calloc((size_t)room, sizeof(objc_class)) : NULL;
    int n = classes ? r.class_list(classes, room) : 0;
    json_t *all = describe_all(fw, &r, classes, n < room ? n : room);
    free(classes);
    if (!all) ane_fail(e, ANE_ERROR_MEMORY, "classes", "no memory for the list of classes");
    return all;
}

engine_reply engine_explore_plain(engine_device *x, const char *class) {
    const ane_framework *fw = &x->fw;
    engine_reply reply;
    ane_message m;
    void *pool = ane_pool_push(fw);
    if (engine_find_in_class(fw, class, "alloc", &m, &reply)) {
        objc_id object = ((objc_id(*)(objc_id, objc_selector))m.function)(m.receiver, m.selector);
        ane_release(fw, engine_ask(fw, object, "init", &reply)); /* init consumes what alloc gave */
    }
    ane_pool_pop(fw, pool);
    return reply;
}
