/* explore_describe.c - what the framework says of a program and of an evaluation, as JSON. */
#include "device/ane/explore_impl.h"
#include "device/ane/foundation.h"
#include "device/ane/foundation_json.h"

/* ---- fields ------------------------------------------------------------------------------------------------------ */

typedef enum field_kind { OBJECT, BITS_64, BITS_32, CHARACTER, YES_NO, N_KINDS } field_kind;

typedef struct field {
    const char *selector;
    field_kind kind;
} field;

/* null where the receiver has no such field. */
static json_t *read_field(const ane_framework *fw, objc_id receiver, const field *f) {
    ane_message m;
    if (!ane_message_find(fw, receiver, f->selector, &m, NULL)) return json_null();
    switch (f->kind) {
    case BITS_64:
        return json_integer(
            (json_int_t)((uint64_t(*)(objc_id, objc_selector))m.function)(m.receiver, m.selector));
    case BITS_32:
        return json_integer(((uint32_t(*)(objc_id, objc_selector))m.function)(m.receiver, m.selector));
    case CHARACTER:
        return json_integer(((signed char (*)(objc_id, objc_selector))m.function)(m.receiver, m.selector));
    case YES_NO:
        return json_boolean(((objc_bool(*)(objc_id, objc_selector))m.function)(m.receiver, m.selector));
    default: return ane_ns_json(fw, ((objc_id(*)(objc_id, objc_selector))m.function)(m.receiver, m.selector));
    }
}

static json_t *read_fields(const ane_framework *fw, objc_id receiver, const field *fields) {
    json_t *all = json_object();
    for (; all && fields->selector; fields++)
        if (json_object_set_new(all, fields->selector, read_field(fw, receiver, fields)) != 0) {
            json_decref(all);
            return NULL;
        }
    return all;
}

/* ---- programs ---------------------------------------------------------------------------------------------------- */

static bool is_there(const engine_explored *p, ane_error *e) {
    if (p && p->model && !p->hung) return true;
    return ane_fail(e, ANE_ERROR_DEVICE, "model", "there is no program, or one that did not come back");
}

static bool has_all(const json_t *json, ane_error *e) {
    return json ||
           ane_fail(e, ANE_ERROR_MEMORY, "model", "no memory for what the framework says of a program");
}

json_t *engine_explored_attributes(engine_explored *p, ane_error *e) {
    if (!is_there(p, e)) return NULL;
    const ane_framework *fw = &p->x->fw;
    void *pool = ane_pool_push(fw);
    json_t *all = NULL;
    objc_id attributes = ane_send(fw, p->model, "modelAttributes", e);
    if (attributes)
        (void)has_all(all = ane_ns_json(fw, attributes), e);
    else
        ane_fail(e, ANE_ERROR_DEVICE, "model", "the program has no attributes");
    ane_pool_pop(fw, pool);
    return all;
}

static objc_id disk_model(const engine_explored *p) {
    const ane_framework *fw = &p->x->fw;
    ane_message m;
    engine_reply r;
    objc_id hex = ane_send(fw, p->model, "hexStringIdentifier", NULL);
    objc_id path = ane_ns_string(fw, p->folder, NULL);
    if (!hex || !path || !engine_find_in_class(fw, "NSURL", "fileURLWithPath:", &m, &r)) return NULL;
    objc_id url = ANE_SEND(m, objc_id, (objc_id, objc_selector, objc_id), path);
    if (!engine_find_in_class(fw, "_ANEModel", "modelAtURL:key:", &m, &r)) return NULL;
    return ANE_SEND(m, objc_id, (objc_id, objc_selector, objc_id, objc_id), url, hex);
}

static json_t *symbols(const ane_framework *fw, objc_id model, const char *selector) {
    ane_message m;
    if (!ane_message_find(fw, model, selector, &m, NULL)) return json_null();
    return ane_ns_json(fw, ANE_SEND(m, objc_id, (objc_id, objc_selector, unsigned), 0));
}

static json_t *describe_disk_model(const engine_explored *p) {
    static const field fields[] = {{"getUUID", OBJECT}, {0}};
    const ane_framework *fw = &p->x->fw;
    objc_id model = disk_model(p);
    json_t *all = model ? read_fields(fw, model, fields) : json_null();
    if (!model || !all) return all;
    json_object_set_new(all, "inputs", symbols(fw, model, "inputSymbolIndicesForProcedureIndex:"));
    json_object_set_new(all, "outputs", symbols(fw, model, "outputSymbolIndicesForProcedureIndex:"));
    return all;
}

json_t *engine_explored_handles(engine_explored *p, ane_error *e) {
    static const field model_fields[] = {{"hexStringIdentifier", OBJECT}, {"state", BITS_64},
        {"programHandle", BITS_64}, {"intermediateBufferHandle", BITS_64}, {"queueDepth", CHARACTER},
        {"perfStatsMask", BITS_32}, {"isMILModel", YES_NO}, {0}};
    static const field program_fields[] = {{"programHandle", BITS_64}, {"queueDepth", CHARACTER}, {0}};
    if (!is_there(p, e) || !p->folder) return NULL;
    const ane_framework *fw = &p->x->fw;
    void *pool = ane_pool_push(fw);
    engine_reply r;
    json_t *all = read_fields(fw, p->model, model_fields);
    objc_id program = engine_ask(fw, p->model, "program", &r);
    if (all) {
        json_object_set_new(all, "program", program ? read_fields(fw, program, program_fields) : json_null());
        json_object_set_new(all, "disk_model", describe_disk_model(p));
    }
    ane_pool_pop(fw, pool);
    (void)has_all(all, e);
    return all;
}

/* ---- evaluations ------------------------------------------------------------------------------------------------- */

json_t *engine_request_stats(engine_request *r) {
    static const field stats_fields[] = {
        {"hwExecutionTime", BITS_64}, {"perfCounterData", OBJECT}, {"pStatsRawData", OBJECT}, {0}};
    static const field model_fields[] = {{"performanceCounters", OBJECT}, {0}};
    if (!r) return NULL;
    const engine_explored *p = engine_request_program(r);
    const ane_framework *fw = &p->x->fw;
    void *pool = ane_pool_push(fw);
    objc_id stats = engine_request_stats_object(r);
    json_t *all = read_fields(fw, stats, stats_fields), *model = read_fields(fw, p->model, model_fields);
    if (all && model) json_object_update(all, model);
    if (all)
        json_object_set_new(
            all, "object", stats ? json_string(fw->class_name(fw->class_of(stats))) : json_null());
    json_decref(model);
    ane_pool_pop(fw, pool);
    return all;
}
