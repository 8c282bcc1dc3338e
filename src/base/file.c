#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

static bool io_error(ane_error *e, const char *path, const char *what) {
    ane_fail(e, ANE_ERROR_IO, path, "cannot %s: %s", what, strerror(errno));
    if (errno == ENOENT) ane_hint(e, "check the spelling; paths are relative to the current folder");
    if (errno == ENOSPC) ane_hint(e, "free some disk space and run again; what was saved before is intact");
    if (errno == EACCES || errno == EROFS)
        ane_hint(e, "choose a place that you may write to, or fix its permissions");
    return false;
}

bool ane_map_file(ane_mapping *m, const char *path, ane_error *e) {
    *m = (ane_mapping){(const unsigned char *)"", 0};
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return io_error(e, path, "open the file");
    struct stat st;
    bool ok = fstat(fd, &st) == 0 || io_error(e, path, "look at the file");
    if (ok && !S_ISREG(st.st_mode))
        ok = ane_fail(e, ANE_ERROR_IO, path, "expected a file, found %s",
            S_ISDIR(st.st_mode) ? "a folder" : "a device or a pipe");
    if (ok && st.st_size > 0) {
        void *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (p == MAP_FAILED)
            ok = io_error(e, path, "map the file");
        else
            *m = (ane_mapping){p, (size_t)st.st_size};
    }
    close(fd);
    return ok;
}

void ane_unmap_file(ane_mapping *m) {
    if (m->size) munmap((void *)(uintptr_t)m->data, m->size);
    *m = (ane_mapping){(const unsigned char *)"", 0};
}

char *ane_read_text(const char *path, size_t limit, size_t *size, ane_error *e) {
    ane_mapping m;
    if (!ane_map_file(&m, path, e)) return NULL;
    char *text = NULL;
    if (m.size > limit) {
        ane_fail(e, ANE_ERROR_FORMAT, path, "expected at most %zu bytes, found %zu", limit, m.size);
    } else if (!(text = malloc(m.size + 1))) {
        ane_fail(e, ANE_ERROR_MEMORY, path, "no memory for %zu bytes", m.size);
    } else {
        memcpy(text, m.data, m.size);
        text[m.size] = 0;
        if (size) *size = m.size;
    }
    ane_unmap_file(&m);
    return text;
}

bool ane_path_exists(const char *path) {
    struct stat st;
    return stat(path, &st) == 0;
}

bool ane_is_folder(const char *path) {
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

char *ane_join_path(const char *folder, const char *name) {
    size_t n = strlen(folder), bytes = n + strlen(name) + 2;
    char *path = malloc(bytes);
    if (path) snprintf(path, bytes, "%s%s%s", folder, n && folder[n - 1] == '/' ? "" : "/", name);
    return path;
}

bool ane_make_folders(const char *path, ane_error *e) {
    char *copy = strdup(path);
    if (!copy) return ane_fail(e, ANE_ERROR_MEMORY, path, "no memory for a path");
    bool ok = true;
    for (char *p = copy + 1; ok; p++) {
        char c = *p;
        if (c != '/' && c != 0) continue;
        *p = 0;
        if (mkdir(copy, 0777) != 0 && errno != EEXIST) ok = io_error(e, path, "make the folder");
        *p = c;
        if (!c) break;
    }
    free(copy);
    if (ok && !ane_is_folder(path)) return ane_fail(e, ANE_ERROR_IO, path, "expected a folder, found a file");
    return ok;
}

bool ane_fsync_folder(const char *path, ane_error *e) {
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return io_error(e, path, "open the folder");
    /* Some file systems cannot sync a folder and say EINVAL: there is nothing to lose by that. */
    bool ok = fsync(fd) == 0 || errno == EINVAL || io_error(e, path, "sync the folder");
    close(fd);
    return ok;
}

uint32_t ane_crc32(uint32_t crc, const void *data, size_t size) {
    return (uint32_t)crc32_z(crc, data, size);
}
