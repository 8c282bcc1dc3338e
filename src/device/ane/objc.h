/* objc.h - messages to Objective-C objects, checked: a receiver that is nil or does not answer is reported, never
 * messaged. */
#ifndef ANEMONE_DEVICE_ANE_OBJC_H
#define ANEMONE_DEVICE_ANE_OBJC_H

#include "device/ane/framework.h"

/* A message that is known to be answered. */
typedef struct ane_message {
    objc_id receiver;
    objc_selector selector;
    objc_function function; /* NULL: it is not */
} ane_message;

/* Look `selector` up; ANE_ERROR_DEVICE when nobody answers. */
bool ane_message_find(
    const ane_framework *fw, objc_id receiver, const char *selector, ane_message *m, ane_error *e);
/* Send a message found before: ANE_SEND(m, objc_id, (objc_id, objc_selector, int), 5). Evaluates `m` three times. */
#define ANE_SEND(m, result, types, ...)                                                                      \
    (((result(*) types)(m).function)((m).receiver, (m).selector, __VA_ARGS__))
/* The same for messages without arguments. */
objc_id ane_send(const ane_framework *fw, objc_id receiver, const char *selector, ane_error *e);
bool ane_responds(const ane_framework *fw, objc_id receiver, const char *selector);

objc_id ane_class(
    const ane_framework *fw, const char *name, ane_error *e); /* NULL and a report when there is none */
objc_id ane_retain(const ane_framework *fw, objc_id object);  /* nil gives nil */
void ane_release(const ane_framework *fw, objc_id object);    /* nil is fine */

/* What is autoreleased between the two is freed at pop. */
void *ane_pool_push(const ane_framework *fw);
void ane_pool_pop(const ane_framework *fw, void *pool);

#endif
