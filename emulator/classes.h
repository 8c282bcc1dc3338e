/* classes.h - Apple's classes as tables. An object is a C struct that begins with its class; its instance variables are
 * registered at the struct's own offsets, so that code which looks for them by name finds them. */
#ifndef ANEMONE_EMULATOR_CLASSES_H
#define ANEMONE_EMULATOR_CLASSES_H

#include "emulator/objc.h"
#include "emulator/program.h"

typedef struct em_ivar {
    const char *name, *type;
    size_t offset, size;
} em_ivar;
typedef struct em_method {
    bool of_class;
    const char *selector;
    em_function function;
    const char *types;
} em_method;
typedef struct em_class_info {
    const char *name;
    const em_ivar *ivars;     /* ends with name NULL; NULL: none */
    const em_method *methods; /* ends with selector NULL; NULL: none */
} em_class_info;

#define EM_IVAR(type, name, encoding, field)                                                                 \
    { name, encoding, offsetof(type, field), sizeof(((type *)0)->field) }
#define EM_METHOD(selector, function, types)                                                                 \
    { false, selector, (em_function)(function), types }
#define EM_CLASS_METHOD(selector, function, types)                                                           \
    { true, selector, (em_function)(function), types }

/* Ends with name NULL. */
extern const em_class_info em_model_classes[], em_disk_model_classes[], em_request_classes[],
    em_client_classes[], em_event_classes[], em_surface_classes[], em_other_classes[];

/* The framework's error domains and codes, as recorded. */
#define EM_DOMAIN "com.apple.appleneuralengine"
#define EM_DOMAIN_COMPILER "com.apple.appleneuralengine.compiler"
enum { EM_CODE_COMPILER = 1, EM_CODE_LOAD = 5, EM_CODE_INFERENCE = 8, EM_CODE_CHAINING = 15 };
enum { EM_STATUS_INDEX = 0x2, EM_STATUS_INFERENCE = 0x1d };

/* _ANEModel: where a program is, and the program once it is loaded. */
typedef struct em_model {
    Class isa;
    id url, key, attributes, program_object, uuid;
    uint64_t handle, state;
    uint32_t perf_mask;
    char queue_depth;
    em_program *program; /* NULL: not loaded. Guarded: em_model_program() */
} em_model;
enum {
    EM_STATE_NEW = 1,
    EM_STATE_COMPILED = 2,
    EM_STATE_LOADED = 3,
    EM_STATE_UNLOADED = 4,
    EM_STATE_FAILED = 5
};

em_model *em_model_new(const char *folder, id key); /* autoreleased */
/* Put a loaded program in (or NULL to unload); the caller's reference goes to the model. */
void em_model_set_program(em_model *m, em_program *program);
em_program *em_model_program(em_model *m); /* retained; NULL when not loaded */
/* The _ANEModel of either kind of model; nil for anything else. */
em_model *em_model_of(id model);
/* What a compiled program says of itself, as recorded from the hardware. */
id em_attributes(const em_program *program);
id em_program_object(em_model *m); /* _ANEProgramForEvaluation */
id em_shared_client(void);         /* the one _ANEClient */

/* Evaluate a request on a model: every way in ends here. */
BOOL em_evaluate(id model, id request, id *error);
void em_inference_error(id *error, int status, const char *detail);

/* An IOSurface's memory, through its wrapper or itself. */
bool em_surface_memory(id wrapper, em_memory *memory);
id em_surface_of_wrapper(id wrapper);

/* _ANEPerformanceStats, or an array of them. */
void em_stats_report(id stats, uint64_t nanoseconds);

#endif
