/* objc.h - Foundation from C: the few messages that the emulator sends. Objects that are returned are autoreleased
 * unless a name says "new". */
#ifndef ANEMONE_EMULATOR_OBJC_H
#define ANEMONE_EMULATOR_OBJC_H

#include <objc/objc.h>
#include <objc/runtime.h>

#include "emulator/emulator.h"

typedef void (*em_function)(void);

Class em_class(const char *name);
Class em_class_of(id object); /* Nil for nil */
bool em_is_kind_of(id object, const char *class_name);
bool em_responds(id object, const char *selector);

id em_retain(id object);
void em_release(id object); /* nil is fine */
id em_autorelease(id object);
void em_set(id *place, id object); /* retain the new, release the old */
id em_alloc_only(Class class);     /* alloc without init: the caller's */
id em_alloc(Class class);          /* alloc and init: the caller's */
id em_new(Class class);            /* the same, autoreleased */
void em_super_dealloc(id object);  /* NSObject's */

id em_pool_new(void); /* an NSAutoreleasePool: em_release() drains it */

id em_string(const char *text);
id em_string_new(const char *text);
const char *em_text(id string); /* lives as long as the string's autorelease pool */
id em_number(long long value);
unsigned long long em_number_value(id number);
id em_bool(bool value);
id em_data(const void *bytes, size_t size);
const void *em_data_bytes(id data, size_t *size);
id em_array(unsigned n, const id *objects);
unsigned long em_count(id collection);
id em_at(id array, unsigned long index);
id em_get(id dictionary, const char *key);
id em_get_object(id dictionary, id key);
id em_keys(id dictionary);
id em_dictionary(unsigned n, const id *keys, const id *values);
id em_mutable_dictionary(void);
void em_put(id dictionary, const char *key, id value);
/* NSTemporaryDirectory() without a slash at its end, into `path`. */
bool em_temporary_folder(char *path, size_t size);
/* A dictionary as the data of a property list, and back; nil on failure. */
id em_plist_data(id dictionary);
id em_plist_of(id data);
id em_path_of_url(id url);
id em_url(const char *path);
id em_uuid(void);
/* Fill *error (when the caller wants one). */
void em_error(id *error, const char *domain, long code, const char *text);
/* Raise NSInvalidArgumentException: what Apple's framework does where this is called. */
void em_raise(const char *text) __attribute__((noreturn));

#endif
