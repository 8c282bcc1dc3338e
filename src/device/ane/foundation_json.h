/* foundation_json.h - Foundation's values as JSON. */
#ifndef ANEMONE_DEVICE_ANE_FOUNDATION_JSON_H
#define ANEMONE_DEVICE_ANE_FOUNDATION_JSON_H

#include "device/ane/objc.h"

#include <jansson.h>

/* Strings, numbers, arrays and dictionaries as such; data as {"bytes": n}; anything else as its description; nil as null.
 * Keys that are no strings by their descriptions. NULL when out of memory or nested too deeply. Under a pool. */
json_t *ane_ns_json(const ane_framework *fw, objc_id object);

#endif
