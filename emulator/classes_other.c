/* _ANEDeviceInfo, _ANEQoSMapper, and the framework's other classes: there by name, so that enumerating finds them. */
#include "emulator/classes.h"
#include "emulator/state.h"

static id info_sub_type(Class class, SEL selector) {
    (void)class, (void)selector;
    return em_string(em_state_settings()->chip->sub_type);
}

static BOOL info_has_ane(Class class, SEL selector) {
    (void)class, (void)selector;
    return YES;
}

static BOOL info_no(Class class, SEL selector) {
    (void)class, (void)selector;
    return NO;
}

static unsigned info_one(Class class, SEL selector) {
    (void)class, (void)selector;
    return 1;
}

static unsigned info_cores(Class class, SEL selector) {
    (void)class, (void)selector;
    return (unsigned)em_state_settings()->chip->cores;
}

static id info_product(Class class, SEL selector) {
    (void)class, (void)selector;
    return em_string("macOS");
}

static id info_build(Class class, SEL selector) {
    (void)class, (void)selector;
    return em_string("25D125");
}

static const em_method info_methods[] = {
    EM_CLASS_METHOD("aneSubType", info_sub_type, "@@:"),
    EM_CLASS_METHOD("aneArchitectureType", info_sub_type, "@@:"),
    EM_CLASS_METHOD("aneSubTypeProductVariant", info_sub_type, "@@:"),
    EM_CLASS_METHOD("hasANE", info_has_ane, "C@:"),
    EM_CLASS_METHOD("numANEs", info_one, "I@:"),
    EM_CLASS_METHOD("numANECores", info_cores, "I@:"),
    EM_CLASS_METHOD("isVirtualMachine", info_no, "C@:"),
    EM_CLASS_METHOD("isInternalBuild", info_no, "C@:"),
    EM_CLASS_METHOD("productName", info_product, "@@:"),
    EM_CLASS_METHOD("buildVersion", info_build, "@@:"),
    {0},
};

/* QoS class -> program priority, as recorded: 0 -> 2, 33 -> 3, 25 -> 4, 17 and 21 -> 5, 9 -> 6. */
static const struct {
    unsigned qos;
    int priority;
} priorities[] = {{0, 2}, {9, 6}, {17, 5}, {21, 5}, {25, 4}, {33, 3}};

static int qos_priority(Class class, SEL selector, unsigned qos) {
    (void)class, (void)selector;
    for (size_t i = 0; i < sizeof priorities / sizeof *priorities; i++)
        if (priorities[i].qos == qos) return priorities[i].priority;
    return 5;
}

static unsigned long long qos_queue(Class class, SEL selector, unsigned qos) {
    return (unsigned long long)qos_priority(class, selector, qos);
}

static unsigned qos_of_priority(Class class, SEL selector, int priority) {
    (void)class, (void)selector;
    for (size_t i = sizeof priorities / sizeof *priorities; i > 0; i--)
        if (priorities[i - 1].priority == priority) return priorities[i - 1].qos;
    return 21;
}

static int qos_real_time(Class class, SEL selector) {
    (void)class, (void)selector;
    return 0;
}

static const em_method qos_methods[] = {
    EM_CLASS_METHOD("programPriorityForQoS:", qos_priority, "i@:I"),
    EM_CLASS_METHOD("queueIndexForQoS:", qos_queue, "Q@:I"),
    EM_CLASS_METHOD("qosForProgramPriority:", qos_of_priority, "I@:i"),
    EM_CLASS_METHOD("realTimeProgramPriority", qos_real_time, "i@:"),
    EM_CLASS_METHOD("realTimeQueueIndex", qos_real_time, "i@:"),
    {0},
};

static id strings_domain(Class class, SEL selector) {
    (void)class, (void)selector;
    return em_string(EM_DOMAIN);
}

static id strings_domain_compiler(Class class, SEL selector) {
    (void)class, (void)selector;
    return em_string(EM_DOMAIN_COMPILER);
}

static const em_method strings_methods[] = {
    EM_CLASS_METHOD("errorDomainGeneric", strings_domain, "@@:"),
    EM_CLASS_METHOD("errorDomainCompiler", strings_domain_compiler, "@@:"),
    {0},
};

/* Names that public inventories of the framework list; 67 in all were counted on macOS 26.3; 34 are the framework's own; the names of 24 are not published. */
const em_class_info em_other_classes[] = {
    {"_ANEDeviceInfo", NULL, info_methods},
    {"_ANEQoSMapper", NULL, qos_methods},
    {"_ANEStrings", NULL, strings_methods},
    {"_ANEAnalyticsGroup", NULL, NULL},
    {"_ANEAnalyticsLayer", NULL, NULL},
    {"_ANEAnalyticsProcedure", NULL, NULL},
    {"_ANEAnalyticsTask", NULL, NULL},
    {"_ANECloneHelper", NULL, NULL},
    {"_ANECompilerAnalytics", NULL, NULL},
    {"_ANEDaemonConnection", NULL, NULL},
    {"_ANEDataReporter", NULL, NULL},
    {"_ANEDeviceController", NULL, NULL},
    {"_ANEErrors", NULL, NULL},
    {"_ANEHashEncoding", NULL, NULL},
    {"_ANELog", NULL, NULL},
    {"_ANEModelInstanceParameters", NULL, NULL},
    {"_ANEModelToken", NULL, NULL},
    {"_ANEPerformanceStatsIOSurface", NULL, NULL},
    {"_ANEProcedureData", NULL, NULL},
    {"_ANEProgramIOSurfacesMapper", NULL, NULL},
    {"_ANESandboxingHelper", NULL, NULL},
    {"_ANEVirtualClient", NULL, NULL},
    {"_ANEVirtualModel", NULL, NULL},
    {"_ANEVirtualPlatformClient", NULL, NULL},
    {"_ANEXPCServiceHelper", NULL, NULL},
    {"ANEServicesLog", NULL, NULL},
    {0},
};
