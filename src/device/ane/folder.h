/* folder.h - the folders below the system's temporary one in which the framework looks for programs. Each belongs to
 * one program of one process; what a process that died left is removed by the next. */
#ifndef ANEMONE_DEVICE_ANE_FOLDER_H
#define ANEMONE_DEVICE_ANE_FOLDER_H

#include "device/ane/framework.h"

/* Where the framework looks for the program `hex`; caller frees. */
char *ane_folder_path(const ane_framework *fw, const char *hex, ane_error *e);
/* Make it and its weights/, marked as this process's. */
bool ane_folder_make(const char *path, ane_error *e);
/* A file in it; `name` may hold a slash. */
bool ane_folder_write(const char *path, const char *name, const void *data, size_t size, ane_error *e);
void ane_folder_remove(const char *path); /* NULL is fine */
/* Remove those of processes that are no more. */
void ane_folder_sweep(const ane_framework *fw);

#endif
