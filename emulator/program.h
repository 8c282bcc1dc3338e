/* program.h - a compiled program, apart from Objective-C: text and weights in, tensors out. */
#ifndef ANEMONE_EMULATOR_PROGRAM_H
#define ANEMONE_EMULATOR_PROGRAM_H

#include "anemone/device.h"
#include "emulator/settings.h"
#include "emulator/timemodel.h"

#include <pthread.h>
#include <stdatomic.h>

/* What the compiler leaves on disk: net.plist (the text, and what lies where in data) and data (the weight files one
 * behind the other, each at a multiple of 64). */
typedef struct em_image_file {
    char *path; /* as BLOBFILE names it */
    uint64_t offset, size;
} em_image_file;
typedef struct em_image {
    char *text;
    size_t text_size;
    unsigned char *data;
    size_t data_size;
    int n_files;
    em_image_file *files;
} em_image;

/* From the sources model.mil and weights/ in `folder`. */
bool em_image_from_sources(em_image *image, const char *folder, ane_error *e);
/* From net.plist and data in `folder`, and back. */
bool em_image_read(em_image *image, const char *folder, ane_error *e);
bool em_image_write(const em_image *image, const char *folder, ane_error *e);
void em_image_free(em_image *image);
/* Point every BLOBFILE constant of `p` into the image, which must outlive it; types and sizes are checked. */
bool em_image_bind(const em_image *image, mil_program *p, ane_error *e);

/* Refuse what the compiler refuses, by chip and quirks. `rule` names it in the message. */
bool em_check_program(const mil_program *p, ane_error *e);
/* Change the program so that it does what the hardware was seen to do. */
bool em_apply_behaviours(mil_function *f, ane_error *e);

/* An input or output. Rows are what lies along the innermost axis. */
typedef struct em_port {
    char *name;
    mil_type type;
    ane_buffer *buffer;
    int64_t rows, row_bytes, row_stride; /* row_stride: row_bytes rounded up */
    int64_t surface_bytes;               /* what a surface must hold */
} em_port;

typedef struct em_program {
    atomic_int references;
    pthread_mutex_t lock; /* one evaluation at a time */
    ane_kernel *kernel;
    ane_binding *binding;
    int n_inputs, n_outputs;
    em_port *inputs, *outputs; /* in the order that indices mean */
    bool tiles, fp32_ports;
    em_cost cost; /* operations and bytes, for the time model */
} em_program;

/* Compile the image; NULL on failure. ANE_ERROR_FORMAT, _SHAPE and _TYPE are the program's fault (InvalidMILProgram);
 * everything else is the compiler's. */
em_program *em_program_new(const em_image *image, ane_error *e);
em_program *em_program_retain(em_program *p);
void em_program_release(em_program *p); /* NULL is fine */

/* Memory of a surface, for an evaluation. */
typedef struct em_memory {
    unsigned char *base;
    size_t size;
} em_memory;
typedef enum em_result { EM_COMPUTED, EM_STALE, EM_ZERO, EM_NAN } em_result;
/* Run on surfaces in the order of the ports; `result` other than EM_COMPUTED spoils the outputs. Sizes must have been
 * checked by em_program_fits. */
bool em_program_run(
    em_program *p, const em_memory *inputs, const em_memory *outputs, em_result result, ane_error *e);
/* Whether the surfaces obey the rules of sizes: false is status 0x1d. */
bool em_program_fits(const em_program *p, const em_memory *inputs, const em_memory *outputs, ane_error *e);

#endif
