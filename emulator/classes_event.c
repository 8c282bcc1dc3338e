/* Buffers, chaining requests and shared events: objects that keep what they are given and give it back. Chaining itself
 * is recorded to fail for programs in MIL (Code=15), so nothing is done with them. */
#include "emulator/classes.h"

/* Objects and numbers, under the names of each class's properties. */
enum { MAX_OBJECTS = 9, MAX_NUMBERS = 6 };
typedef struct record {
    Class isa;
    id objects[MAX_OBJECTS];
    uint64_t numbers[MAX_NUMBERS];
} record;

static void record_dealloc(record *r, SEL selector) {
    (void)selector;
    for (int i = 0; i < MAX_OBJECTS; i++) em_release(r->objects[i]);
    em_super_dealloc((id)r);
}

/* alloc/init of what is shared with the GPU gives nil: it needs an event (m5result.md, M5, macOS 26.3). */
static id record_no_init(record *r, SEL selector) {
    (void)selector;
    em_release((id)r);
    return nil;
}

static id record_with(Class class, int n, const id *objects, int n_numbers, const uint64_t *numbers) {
    record *r = (record *)em_autorelease(em_alloc_only(class));
    for (int i = 0; i < n; i++) em_set(&r->objects[i], objects[i]);
    for (int i = 0; i < n_numbers; i++) r->numbers[i] = numbers[i];
    return (id)r;
}

#define OBJECT(index)                                                                                        \
    static id object_##index(record *r, SEL selector) {                                                      \
        (void)selector;                                                                                      \
        return r->objects[index];                                                                            \
    }
OBJECT(0)
OBJECT(1)
OBJECT(2)
OBJECT(3)
OBJECT(5)
OBJECT(7)
OBJECT(8)
#undef OBJECT
#define NUMBER(index)                                                                                        \
    static uint64_t number_##index(record *r, SEL selector) {                                                \
        (void)selector;                                                                                      \
        return r->numbers[index];                                                                            \
    }
NUMBER(0)
NUMBER(1)
NUMBER(2)
NUMBER(3)
#undef NUMBER

static const em_ivar record_ivars[] = {
    EM_IVAR(record, "_object0", "@", objects[0]),
    EM_IVAR(record, "_object1", "@", objects[1]),
    EM_IVAR(record, "_object2", "@", objects[2]),
    EM_IVAR(record, "_object3", "@", objects[3]),
    EM_IVAR(record, "_object4", "@", objects[4]),
    EM_IVAR(record, "_object5", "@", objects[5]),
    EM_IVAR(record, "_object6", "@", objects[6]),
    EM_IVAR(record, "_object7", "@", objects[7]),
    EM_IVAR(record, "_object8", "@", objects[8]),
    EM_IVAR(record, "_number0", "Q", numbers[0]),
    EM_IVAR(record, "_number1", "Q", numbers[1]),
    EM_IVAR(record, "_number2", "Q", numbers[2]),
    EM_IVAR(record, "_number3", "Q", numbers[3]),
    EM_IVAR(record, "_number4", "Q", numbers[4]),
    EM_IVAR(record, "_number5", "Q", numbers[5]),
    {0},
};

/* source: 0 ANE, 1 output, 2 unknown */
static id buffer_with(Class class, SEL selector, id surface, id symbol, long long source) {
    (void)selector;
    if (!em_is_kind_of(surface, "_ANEIOSurfaceObject") || !symbol) return nil;
    id objects[] = {surface, symbol};
    uint64_t numbers[] = {(uint64_t)source};
    return record_with(class, 2, objects, 1, numbers);
}

static const em_method buffer_methods[] = {
    EM_CLASS_METHOD("bufferWithIOSurfaceObject:symbolIndex:source:", buffer_with, "@@:@@q"),
    EM_METHOD("dealloc", record_dealloc, "v@:"),
    EM_METHOD("ioSurfaceObject", object_0, "@@:"),
    EM_METHOD("symbolIndex", object_1, "@@:"),
    EM_METHOD("source", number_0, "q@:"),
    {0},
};

/* The statistics' surface must be there. */
static id output_sets_with(Class class, SEL selector, id statistics, id output) {
    (void)selector;
    if (!em_is_kind_of(statistics, "IOSurface")) return nil;
    id objects[] = {statistics, output};
    return record_with(class, 2, objects, 0, NULL);
}

static const em_method output_sets_methods[] = {
    EM_CLASS_METHOD("objectWithstatsSurRef:outputBuffer:", output_sets_with, "@@:^v@"),
    EM_METHOD("dealloc", record_dealloc, "v@:"),
    EM_METHOD("statsSurRef", object_0, "^v@:"),
    EM_METHOD("outputBuffer", object_1, "@@:"),
    {0},
};

static id chaining_with(Class class, SEL selector, id inputs, id output_sets, id loop_inputs, id loop_outputs,
    id procedure, id events, id transaction, id delay, id pool) {
    (void)selector;
    id symbols[] = {loop_inputs, loop_outputs};
    for (int i = 0; i < 2; i++)
        if (em_is_kind_of(symbols[i], "NSNumber"))
            em_raise("-[NSConstantIntegerNumber count]: unrecognized selector sent to instance");
    id objects[] = {
        inputs, output_sets, loop_inputs, loop_outputs, procedure, events, transaction, delay, pool};
    return record_with(class, 9, objects, 0, NULL);
}

static BOOL chaining_validate(record *r, SEL selector) {
    (void)selector;
    return em_is_kind_of(r->objects[0], "NSArray") && em_is_kind_of(r->objects[1], "NSArray");
}

static const em_method chaining_methods[] = {
    EM_CLASS_METHOD(
        "chainingRequestWithInputs:outputSets:lbInputSymbolId:lbOutputSymbolId:procedureIndex:signalEvents:"
        "transactionHandle:fwEnqueueDelay:memoryPoolId:",
        chaining_with, "@@:@@@@@@@@@"),
    EM_METHOD("dealloc", record_dealloc, "v@:"),
    EM_METHOD("validate", chaining_validate, "C@:"),
    EM_METHOD("inputBuffer", object_0, "@@:"),
    EM_METHOD("outputSets", object_1, "@@:"),
    EM_METHOD("loopbackInputSymbolIndex", object_2, "@@:"),
    EM_METHOD("loopbackOutputSymbolIndex", object_3, "@@:"),
    EM_METHOD("fwEnqueueDelay", object_7, "@@:"),
    EM_METHOD("memoryPoolId", object_8, "@@:"),
    EM_METHOD("signalEvents", object_5, "@@:"),
    {0},
};

static id ready_with(Class class, SEL selector, unsigned procedure, id info, id free_value, uint64_t delay) {
    (void)selector;
    id objects[] = {info, free_value};
    uint64_t numbers[] = {procedure, delay};
    return record_with(class, 2, objects, 2, numbers);
}

static const em_method ready_methods[] = {
    EM_CLASS_METHOD("inputBuffersWithProcedureIndex:inputBufferInfoIndex:inputFreeValue:executionDelay:",
        ready_with, "@@:I@@Q"),
    EM_METHOD("dealloc", record_dealloc, "v@:"),
    EM_METHOD("inputBufferInfoIndex", object_0, "@@:"),
    EM_METHOD("inputFreeValue", object_1, "@@:"),
    EM_METHOD("procedureIndex", number_0, "Q@:"),
    EM_METHOD("executionDelay", number_1, "Q@:"),
    {0},
};

static id enqueue_with(Class class, SEL selector, unsigned procedure, unsigned set, uint64_t value,
    BOOL not_required, BOOL open) {
    (void)selector;
    uint64_t numbers[] = {procedure, set, value, not_required, open};
    return record_with(class, 0, NULL, 5, numbers);
}

static const em_method enqueue_methods[] = {
    EM_CLASS_METHOD("outputSetWithProcedureIndex:setIndex:signalValue:signalNotRequired:isOpenLoop:",
        enqueue_with, "@@:IIQCC"),
    EM_METHOD("dealloc", record_dealloc, "v@:"),
    EM_METHOD("procedureIndex", number_0, "Q@:"),
    EM_METHOD("setIndex", number_1, "Q@:"),
    EM_METHOD("signalValue", number_2, "Q@:"),
    {0},
};

static id signal_with(Class class, SEL selector, uint64_t value, unsigned symbol, long long type, id event) {
    (void)selector;
    uint64_t numbers[] = {value, symbol, (uint64_t)type};
    return event ? record_with(class, 1, &event, 3, numbers) : nil;
}

static const em_method signal_methods[] = {
    EM_CLASS_METHOD("signalEventWithValue:symbolIndex:eventType:sharedEvent:", signal_with, "@@:QIq@"),
    EM_METHOD("init", record_no_init, "@@:"),
    EM_METHOD("dealloc", record_dealloc, "v@:"),
    EM_METHOD("sharedEvent", object_0, "@@:"),
    EM_METHOD("value", number_0, "Q@:"),
    EM_METHOD("symbolIndex", number_1, "Q@:"),
    EM_METHOD("eventType", number_2, "Q@:"),
    EM_METHOD("agentMask", number_3, "Q@:"), /* nobody sets it */
    {0},
};

static id wait_with(Class class, SEL selector, uint64_t value, id event) {
    (void)selector;
    return event ? record_with(class, 1, &event, 1, &value) : nil;
}

/* The form that m5result.md lists. */
static id wait_with_type(Class class, SEL selector, uint64_t value, id event, long long type) {
    (void)selector;
    uint64_t numbers[] = {value, (uint64_t)type};
    return event ? record_with(class, 1, &event, 2, numbers) : nil;
}

static const em_method wait_methods[] = {
    EM_CLASS_METHOD("waitEventWithValue:sharedEvent:", wait_with, "@@:Q@"),
    EM_CLASS_METHOD("waitEventWithValue:sharedEvent:eventType:", wait_with_type, "@@:Q@q"),
    EM_METHOD("init", record_no_init, "@@:"),
    EM_METHOD("dealloc", record_dealloc, "v@:"),
    EM_METHOD("sharedEvent", object_0, "@@:"),
    EM_METHOD("value", number_0, "Q@:"),
    {0},
};

static id events_with(Class class, SEL selector, id signals, id waits) {
    (void)selector;
    id objects[] = {signals, waits};
    return record_with(class, 2, objects, 0, NULL);
}

static const em_method events_methods[] = {
    EM_CLASS_METHOD("sharedEventsWithSignalEvents:waitEvents:", events_with, "@@:@@"),
    EM_METHOD("init", record_no_init, "@@:"),
    EM_METHOD("dealloc", record_dealloc, "v@:"),
    EM_METHOD("signalEvents", object_0, "@@:"),
    EM_METHOD("waitEvents", object_1, "@@:"),
    {0},
};

/* +weightWithSymbolAndURL:weightURL: is accepted as a weightsBuffer and has no effect. */
static id weight_with(Class class, SEL selector, id symbol, id url) {
    (void)selector;
    id objects[] = {symbol, url};
    return symbol && url ? record_with(class, 2, objects, 0, NULL) : nil;
}

static const em_method weight_methods[] = {
    EM_CLASS_METHOD("weightWithSymbolAndURL:weightURL:", weight_with, "@@:@@"),
    EM_METHOD("dealloc", record_dealloc, "v@:"),
    EM_METHOD("weightSymbol", object_0, "@@:"),
    EM_METHOD("weightURL", object_1, "@@:"),
    {0},
};

const em_class_info em_event_classes[] = {
    {"_ANEBuffer", record_ivars, buffer_methods},
    {"_ANEIOSurfaceOutputSets", record_ivars, output_sets_methods},
    {"_ANEChainingRequest", record_ivars, chaining_methods},
    {"_ANEInputBuffersReady", record_ivars, ready_methods},
    {"_ANEOutputSetEnqueue", record_ivars, enqueue_methods},
    {"_ANESharedSignalEvent", record_ivars, signal_methods},
    {"_ANESharedWaitEvent", record_ivars, wait_methods},
    {"_ANESharedEvents", record_ivars, events_methods},
    {"_ANEWeight", record_ivars, weight_methods},
    {0},
};
