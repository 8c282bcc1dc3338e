/* model.c - see model.h. */
#include "device/ane/model.h"

#include "device/ane/folder.h"
#include "device/ane/foundation.h"

#include <stdlib.h>
#include <string.h>

/* ---- descriptor and model ------------------------------------------------------------------------------------ */

/* {path: {"offset": 0, "data": bytes}}; empty, never nil, without files: nil crashes. */
static objc_id weights_of(const ane_framework *fw, int n, const ane_weight_file *files, ane_error *e) {
    objc_id *keys = calloc(2 * (size_t)n + 1, sizeof *keys);
    if (!keys) {
        ane_fail(e, ANE_ERROR_MEMORY, "ane", "no memory for a dictionary");
        return NULL;
    }
    objc_id *values = keys + n;
    const objc_id names[2] = {ane_ns_string(fw, "offset", e), ane_ns_string(fw, "data", e)};
    for (int i = 0; i < n; i++) {
        const objc_id entry[2] = {ane_ns_number(fw, 0, e), ane_ns_data(fw, files[i].data, files[i].size, e)};
        keys[i] = ane_ns_string(fw, files[i].path, e);
        values[i] = ane_ns_dictionary(fw, names, entry, 2, e);
    }
    objc_id weights = ane_ns_dictionary(fw, keys, values, (unsigned long)n, e);
    free(keys);
    return weights;
}

static objc_id descriptor_of(const ane_framework *fw, const char *text, objc_id weights, ane_error *e) {
    ane_message m;
    objc_id data = ane_ns_data(fw, text, strlen(text), e);
    objc_id class = ane_class(fw, "_ANEInMemoryModelDescriptor", e);
    if (!weights || !data || !ane_message_find(fw, class, "modelWithMILText:weights:optionsPlist:", &m, e))
        return NULL;
    objc_id descriptor =
        ANE_SEND(m, objc_id, (objc_id, objc_selector, objc_id, objc_id, objc_id), data, weights, NULL);
    if (!descriptor) {
        ane_fail(e, ANE_ERROR_DEVICE, "descriptor", "the framework made no descriptor of the program");
        ane_hint(e, "Run `anemone doctor`.");
    }
    return descriptor;
}

static objc_id model_of(const ane_framework *fw, objc_id descriptor, ane_error *e) {
    ane_message m;
    objc_id class = ane_class(fw, "_ANEInMemoryModel", e);
    if (!descriptor || !ane_message_find(fw, class, "inMemoryModelWithDescriptor:", &m, e)) return NULL;
    objc_id model = ANE_SEND(m, objc_id, (objc_id, objc_selector, objc_id), descriptor);
    if (!model) ane_fail(e, ANE_ERROR_DEVICE, "model", "the framework made no model of a descriptor");
    return model;
}

objc_id ane_model_new(
    const ane_framework *fw, const char *text, int n, const ane_weight_file *files, ane_error *e) {
    /* One setup made no descriptor without weights (imperatormk): a file that the text does not name changes nothing. */
    static const ane_weight_file unused = {"@model_path/weights/unused.bin", "", 1};
    ane_error none = {0};
    objc_id descriptor = descriptor_of(fw, text, weights_of(fw, n, files, e), n ? e : &none);
    if (!descriptor && n == 0) descriptor = descriptor_of(fw, text, weights_of(fw, 1, &unused, e), e);
    return ane_retain(fw, model_of(fw, descriptor, e));
}

/* ---- files --------------------------------------------------------------------------------------------------- */

char *ane_model_folder(const ane_framework *fw, objc_id model, ane_error *e) {
    const char *hex = ane_ns_text(fw, ane_send(fw, model, "hexStringIdentifier", e));
    if (*hex && !strchr(hex, '/')) return ane_folder_path(fw, hex, e);
    ane_fail(e, ANE_ERROR_DEVICE, "model", "the model's identifier \"%s\" cannot be a folder's name", hex);
    return NULL;
}

bool ane_model_write_weights(const char *folder, int n, const ane_weight_file *files, ane_error *e) {
    static const char prefix[] = "@model_path/";
    for (int i = 0; i < n; i++)
        if (!ane_folder_write(folder, files[i].path + sizeof prefix - 1, files[i].data, files[i].size, e))
            return false;
    return true;
}

bool ane_model_write(
    const char *folder, const char *text, int n, const ane_weight_file *files, ane_error *e) {
    return ane_folder_make(folder, e) && ane_folder_write(folder, "model.mil", text, strlen(text), e) &&
           ane_model_write_weights(folder, n, files, e);
}
