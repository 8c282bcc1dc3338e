/* explore_impl.h - what the files of explore.h share. */
#ifndef ANEMONE_DEVICE_ANE_EXPLORE_IMPL_H
#define ANEMONE_DEVICE_ANE_EXPLORE_IMPL_H

#include "device/ane/device.h"
#include "device/ane/explore.h"

struct engine_explored {
    engine_device *x;
    objc_id model; /* _ANEInMemoryModel; NULL: none was made */
    char *folder;
    bool loaded, hung;
};

/* ---- calls that take long ---------------------------------------------------------------------------------------- */

enum { ENGINE_CALL_OBJECTS = 3 };

/* A message, and how it is sent: its arguments differ. A call that is late keeps what it uses. */
typedef struct engine_call {
    ane_timed_call base;
    ane_framework fw; /* from here on the caller's to fill, but for `fw` and `reply` */
    const char *selector;
    objc_id receiver, object[ENGINE_CALL_OBJECTS];
    unsigned qos;
    objc_bool (*send)(const struct engine_call *c, const ane_message *m, objc_id options, objc_id *error);
    engine_reply reply;
} engine_call;

engine_reply engine_call_make(engine_device *x, const engine_call *c, double seconds);

/* ---- replies ----------------------------------------------------------------------------------------------------- */

extern const engine_reply engine_no_reply; /* not reached */
/* What `why` says, as a reply of that kind. */
engine_reply engine_reply_of(engine_said said, const ane_error *why);

/* Look up before sending: false with a reply where there is none to send to (not reached) or nobody answers (absent). */
bool engine_find(
    const ane_framework *fw, objc_id receiver, const char *selector, ane_message *m, engine_reply *r);
bool engine_find_in_class(
    const ane_framework *fw, const char *class, const char *selector, ane_message *m, engine_reply *r);
/* An object that was made, or nil. Gives it back. */
objc_id engine_made(objc_id object, engine_reply *r);
/* A message without arguments that gives an object. */
objc_id engine_ask(const ane_framework *fw, objc_id receiver, const char *selector, engine_reply *r);

objc_id engine_client(const ane_framework *fw, engine_reply *r); /* +[_ANEClient sharedConnection] */
/* The _ANEModel that the client's methods are given: that of the in-memory model, where it has one. */
objc_id engine_client_model(const engine_explored *p);

/* explore_request.c */
engine_explored *engine_request_program(const engine_request *r);
/* Evaluate a request that was made elsewhere, on the standard path. */
engine_reply engine_evaluate_object(engine_explored *p, objc_id request);
objc_id engine_request_stats_object(const engine_request *r); /* NULL: there is none */

#endif
