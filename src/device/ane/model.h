/* model.h - a program as the framework wants it: a model object, and the files that its compiler reads. */
#ifndef ANEMONE_DEVICE_ANE_MODEL_H
#define ANEMONE_DEVICE_ANE_MODEL_H

#include "device/ane/objc.h"

/* A whole blob file. */
typedef struct ane_weight_file {
    const char *path; /* "@model_path/weights/w0.bin" */
    const void *data;
    size_t size;
} ane_weight_file;

/* The _ANEInMemoryModel of a text and its files, retained. NULL on failure. */
objc_id ane_model_new(
    const ane_framework *fw, const char *text, int n, const ane_weight_file *files, ane_error *e);
/* The folder in which the framework looks for its files; caller frees. */
char *ane_model_folder(const ane_framework *fw, objc_id model, ane_error *e);
/* Make the folder, the text and weights in it: the compiler reads files, though it was given the same bytes. */
bool ane_model_write(const char *folder, const char *text, int n, const ane_weight_file *files, ane_error *e);
bool ane_model_write_weights(const char *folder, int n, const ane_weight_file *files, ane_error *e);

#endif
