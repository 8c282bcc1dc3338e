/* folder.c - see folder.h. */
#include "device/ane/folder.h"

#include "base/file.h"
#include "device/ane/foundation.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char OWNER[] = "anemone.owner"; /* holds the process's number */
enum { HEX_NAME = 3 * 64 + 2 };              /* three digests joined by _ */

/* NSTemporaryDirectory() in C's memory. */
static char *temporary(const ane_framework *fw, ane_error *e) {
    void *pool = ane_pool_push(fw);
    char *path = strdup(ane_ns_text(fw, fw->temporary_folder()));
    ane_pool_pop(fw, pool);
    if (path && *path) return path;
    free(path);
    ane_fail(e, ANE_ERROR_DEVICE, "ane", "the system names no temporary folder");
    return NULL;
}

char *ane_folder_path(const ane_framework *fw, const char *hex, ane_error *e) {
    char *base = temporary(fw, e);
    char *path = base ? ane_join_path(base, hex) : NULL;
    free(base);
    if (!path) ane_fail(e, ANE_ERROR_MEMORY, "ane", "no memory for a path");
    return path;
}

/* Not ane_write_file: these need not outlive a crash, and are too many to be synced. */
bool ane_folder_write(const char *path, const char *name, const void *data, size_t size, ane_error *e) {
    char *whole = ane_join_path(path, name);
    if (!whole) return ane_fail(e, ANE_ERROR_MEMORY, name, "no memory for a path");
    FILE *file = fopen(whole, "wb");
    bool ok = file && fwrite(data, 1, size, file) == size;
    if (file && fclose(file) != 0) ok = false;
    if (!ok) ane_fail(e, ANE_ERROR_IO, whole, "the file cannot be written: %s", strerror(errno));
    free(whole);
    return ok;
}

bool ane_folder_make(const char *path, ane_error *e) {
    char *weights = ane_join_path(path, "weights"), owner[32];
    bool ok =
        weights ? ane_make_folders(weights, e) : ane_fail(e, ANE_ERROR_MEMORY, path, "no memory for a path");
    free(weights);
    int n = snprintf(owner, sizeof owner, "%ld\n", (long)getpid());
    return ok && ane_folder_write(path, OWNER, owner, (size_t)n, e);
}

void ane_folder_remove(const char *path) {
    if (path) ane_remove_tree(path, NULL); /* what stays is swept at the next start */
}

static bool is_orphan(const char *path) {
    char *file = ane_join_path(path, OWNER);
    char *text = file ? ane_read_text(file, 32, NULL, NULL) : NULL;
    long owner = text ? strtol(text, NULL, 10) : 0;
    free(text);
    free(file);
    return owner > 0 && kill((pid_t)owner, 0) != 0 && errno == ESRCH;
}

void ane_folder_sweep(const ane_framework *fw) {
    char *base = temporary(fw, NULL);
    DIR *folder = base ? opendir(base) : NULL;
    for (const struct dirent *entry; folder && (entry = readdir(folder)) != NULL;) {
        if (strlen(entry->d_name) != HEX_NAME) continue;
        char *path = ane_join_path(base, entry->d_name);
        if (path && is_orphan(path)) ane_folder_remove(path);
        free(path);
    }
    if (folder) closedir(folder);
    free(base);
}
