/* Registering everything when the library is loaded. */
#include "emulator/classes.h"
#include "emulator/state.h"

#include <stdio.h>
#include <stdlib.h>

void em_surface_start(void); /* surface.c: the constants */

/* object_getClass is an inline function in GNU's header; users of dlsym() want one. */
EM_EXPORT Class em_object_get_class(id object) __asm__("object_getClass");
Class em_object_get_class(id object) {
    return em_class_of(object);
}

static void add_class(const em_class_info *info) {
    Class class = objc_allocateClassPair(em_class("NSObject"), info->name, 0);
    if (!class) return; /* somebody has registered one of this name: leave it alone */
    for (const em_ivar *ivar = info->ivars; ivar && ivar->name; ivar++)
        class_addIvar(class, ivar->name, ivar->size, (uint8_t)__builtin_ctzl(ivar->size), ivar->type);
    for (const em_method *m = info->methods; m && m->selector; m++)
        class_addMethod(m->of_class ? em_class_of((id)(void *)class) : class, sel_registerName(m->selector),
            (IMP)m->function, m->types);
    objc_registerClassPair(class);
    /* A struct whose fields lie elsewhere than its instance variables would corrupt memory: a mistake in a table. */
    for (const em_ivar *ivar = info->ivars; ivar && ivar->name; ivar++)
        if ((size_t)ivar_getOffset(class_getInstanceVariable(class, ivar->name)) != ivar->offset) {
            fprintf(stderr, "anemone emulator: %s %s is misplaced\n", info->name, ivar->name);
            abort();
        }
}

/* Messaging each class once puts the memory that Foundation takes once and for all under this frame, where one
 * suppression of the leak checker finds it (leak:em_boot). */
static void warm_up(void) {
    static const char *const names[] = {"NSString", "NSMutableString", "NSData", "NSMutableData", "NSNumber",
        "NSArray", "NSMutableArray", "NSDictionary", "NSMutableDictionary", "NSError", "NSFileManager",
        "NSProcessInfo", "NSUUID", "NSURL", "NSThread", "NSException"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        (void)em_responds((id)(void *)em_class(names[i]), "alloc");
    id list = em_mutable_dictionary();
    em_put(list, "number", em_number(1));
    (void)em_plist_of(em_plist_data(list));
}

void em_boot(void) __attribute__((constructor, noinline));
void em_boot(void) {
    static const em_class_info *const tables[] = {em_surface_classes, em_model_classes, em_disk_model_classes,
        em_request_classes, em_client_classes, em_event_classes, em_other_classes};
    id pool = em_pool_new();
    warm_up();
    em_surface_start();
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
        for (const em_class_info *info = tables[i]; info->name; info++) add_class(info);
    em_state_start();
    em_release(pool);
}
