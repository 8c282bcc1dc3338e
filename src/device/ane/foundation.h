/* foundation.h - Foundation's values from and to C. Objects are autoreleased: use them under a pool. NULL and a report
 * on failure. */
#ifndef ANEMONE_DEVICE_ANE_FOUNDATION_H
#define ANEMONE_DEVICE_ANE_FOUNDATION_H

#include "device/ane/objc.h"

objc_id ane_ns_string(const ane_framework *fw, const char *text, ane_error *e);
/* Lives as long as the pool; "" for nil. */
const char *ane_ns_text(const ane_framework *fw, objc_id string);
objc_id ane_ns_number(const ane_framework *fw, uint64_t value, ane_error *e);
objc_id ane_ns_data(const ane_framework *fw, const void *bytes, size_t size, ane_error *e); /* a copy */
objc_id ane_ns_array(const ane_framework *fw, const objc_id *objects, unsigned long n, ane_error *e);
objc_id ane_ns_dictionary(
    const ane_framework *fw, const objc_id *keys, const objc_id *values, unsigned long n, ane_error *e);
/* Report an NSError (nil: none was given) of a stage: "compile", "load", "evaluate", ... Returns false. */
bool ane_ns_report(const ane_framework *fw, const char *stage, objc_id error, ane_error *e);

#endif
