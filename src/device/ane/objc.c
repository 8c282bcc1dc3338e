/* objc.c - see objc.h. class_getMethodImplementation gives a forwarder for what is not implemented, and calling that
 * crashes; so class_respondsToSelector comes first, always. */
#include "device/ane/objc.h"

bool ane_message_find(
    const ane_framework *fw, objc_id receiver, const char *selector, ane_message *m, ane_error *e) {
    *m = (ane_message){.receiver = receiver};
    if (!receiver) return ane_fail(e, ANE_ERROR_DEVICE, "ane", "the message %s would go to nil", selector);
    objc_class class = fw->class_of(receiver);
    m->selector = fw->register_selector(selector);
    if (!fw->responds(class, m->selector))
        return ane_fail(
                   e, ANE_ERROR_DEVICE, "ane", "%s does not answer %s", fw->class_name(class), selector) ||
               ane_hint(e, "This system is newer or older than those known; please report its version.");
    m->function = fw->implementation(class, m->selector);
    return true;
}

objc_id ane_send(const ane_framework *fw, objc_id receiver, const char *selector, ane_error *e) {
    ane_message m;
    if (!ane_message_find(fw, receiver, selector, &m, e)) return NULL;
    return ((objc_id(*)(objc_id, objc_selector))m.function)(m.receiver, m.selector);
}

bool ane_responds(const ane_framework *fw, objc_id receiver, const char *selector) {
    return receiver && fw->responds(fw->class_of(receiver), fw->register_selector(selector));
}

objc_id ane_class(const ane_framework *fw, const char *name, ane_error *e) {
    objc_class class = fw->get_class(name);
    if (!class) ane_fail(e, ANE_ERROR_DEVICE, "ane", "Apple's framework has no class %s", name);
    return class;
}

objc_id ane_retain(const ane_framework *fw, objc_id object) {
    return object ? ane_send(fw, object, "retain", NULL) : NULL;
}

void ane_release(const ane_framework *fw, objc_id object) {
    ane_message m;
    if (object && ane_message_find(fw, object, "release", &m, NULL))
        ((void (*)(objc_id, objc_selector))m.function)(m.receiver, m.selector);
}

void *ane_pool_push(const ane_framework *fw) {
    if (fw->pool_push) return fw->pool_push();
    objc_id pool = ane_send(fw, fw->get_class("NSAutoreleasePool"), "alloc", NULL);
    return ane_send(fw, pool, "init", NULL);
}

void ane_pool_pop(const ane_framework *fw, void *pool) {
    if (fw->pool_pop)
        fw->pool_pop(pool);
    else
        ane_release(fw, pool); /* drains */
}
