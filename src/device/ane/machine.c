/* machine.c - see machine.h. */
#include "device/ane/machine.h"

#include "base/host.h"
#include "device/ane/foundation.h"

#include <dlfcn.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const char bundle_path[] = "/System/Library/PrivateFrameworks/AppleNeuralEngine.framework";

/* ---- the emulator ------------------------------------------------------------------------------------------------ */

static void append(char *text, size_t size, const char *key, const char *value) {
    size_t n = strlen(text);
    snprintf(text + n, size - n, "%s%s:%s", n ? "," : "", key, value);
}

static void ask_emulator(const ane_framework *fw, ane_machine *m) {
    char *text = fw->describe();
    json_t *all = text ? json_loads(text, 0, NULL) : NULL, *settings = json_object_get(all, "settings");
    const char *chip = json_string_value(json_object_get(settings, "chip")), *key;
    json_t *value;
    snprintf(m->chip, sizeof m->chip, "%s", chip ? chip : "");
    m->faults = (int)json_integer_value(json_object_get(settings, "faults"));
    json_object_foreach(json_object_get(settings, "quirks"), key, value) {
        append(m->settings, sizeof m->settings, key, json_string_value(value));
    }
    json_decref(all);
    free(text);
}

/* Another build of the emulator is another framework. */
static void date_emulator(const ane_framework *fw, ane_machine *m) {
    Dl_info info;
    struct stat status;
    void *symbol;
    memcpy(&symbol, &fw->configure, sizeof symbol);
    if (dladdr(symbol, &info) && info.dli_fname && stat(info.dli_fname, &status) == 0)
        snprintf(m->framework, sizeof m->framework, "emulator of %lld, %lld bytes",
            (long long)status.st_mtime, (long long)status.st_size);
}

/* ---- Apple's ----------------------------------------------------------------------------------------------------- */

static objc_id with_text(
    const ane_framework *fw, objc_id receiver, const char *selector, const char *argument) {
    ane_message m;
    objc_id text = ane_ns_string(fw, argument, NULL);
    if (!text || !ane_message_find(fw, receiver, selector, &m, NULL)) return NULL;
    return ANE_SEND(m, objc_id, (objc_id, objc_selector, objc_id), text);
}

static void ask_bundle(const ane_framework *fw, ane_machine *m) {
    objc_id class = fw->get_class("NSBundle");
    objc_id bundle = class ? with_text(fw, class, "bundleWithPath:", bundle_path) : NULL;
    objc_id version = bundle ? with_text(fw, bundle, "objectForInfoDictionaryKey:", "CFBundleVersion") : NULL;
    snprintf(m->framework, sizeof m->framework, "AppleNeuralEngine %s", ane_ns_text(fw, version));
}

/* "Apple M4 Max" -> "M4 Max" */
static void name_chip(ane_machine *m) {
    static const char maker[] = "Apple ";
    char name[64];
    ane_host_processor(name, sizeof name);
    size_t skip = strncmp(name, maker, sizeof maker - 1) == 0 ? sizeof maker - 1 : 0;
    snprintf(m->chip, sizeof m->chip, "%s", name + skip);
}

/* ---- both -------------------------------------------------------------------------------------------------------- */

static void ask_device_info(const ane_framework *fw, ane_machine *m) {
    objc_id class = fw->get_class("_ANEDeviceInfo");
    objc_id sub_type =
        class && ane_responds(fw, class, "aneSubType") ? ane_send(fw, class, "aneSubType", NULL) : NULL;
    snprintf(m->sub_type, sizeof m->sub_type, "%s", ane_ns_text(fw, sub_type));
    ane_message has;
    if (class && ane_responds(fw, class, "hasANE") && ane_message_find(fw, class, "hasANE", &has, NULL))
        m->without_engine = !((objc_bool(*)(objc_id, objc_selector))has.function)(has.receiver, has.selector);
}

bool ane_machine_check(const ane_machine *m, ane_error *e) {
    if (!m->without_engine) return true;
    ane_fail(e, ANE_ERROR_UNSUPPORTED, "ane",
        "there is no Neural Engine here: Apple's framework says so of this machine (%s)", m->chip);
    return ane_hint(e, "Virtual machines and Intel processors have none: use --device cpu.");
}

void ane_machine_identify(const ane_framework *fw, ane_machine *m) {
    *m = (ane_machine){.emulated = fw->emulated};
    ane_host_os_build(m->os_build, sizeof m->os_build);
    void *pool = ane_pool_push(fw);
    ask_device_info(fw, m);
    if (fw->emulated) {
        ask_emulator(fw, m);
        date_emulator(fw, m);
    } else {
        name_chip(m);
        ask_bundle(fw, m);
    }
    ane_pool_pop(fw, pool);
}
