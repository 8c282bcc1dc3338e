/* The atomic writer of file.h, and removing a tree. */
#include "base/decimal.h"
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <libgen.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TRIES = 1000 };

struct ane_writer {
    FILE *file;
    char *path, *temporary; /* temporary: NULL where the path is no file, and is written itself */
    bool nameless;          /* temporary is what the file will be called: it has no name yet */
    uint64_t offset;
    int error; /* errno of the first failed write */
};

static void writer_free(ane_writer *w) {
    free(w->path);
    free(w->temporary);
    free(w);
}

/* The file that a link leads to: renaming would replace the link. */
static char *behind_links(const char *path) {
    struct stat st;
    bool link = lstat(path, &st) == 0 && S_ISLNK(st.st_mode);
    char *real = link ? realpath(path, NULL) : NULL;
    return real ? real : strdup(path);
}

/* The i-th name beside the path that no other process of this host has. */
static bool name_temporary(ane_writer *w, int i) {
    size_t bytes = strlen(w->path) + 48;
    if (!w->temporary) w->temporary = malloc(bytes);
    if (w->temporary) snprintf(w->temporary, bytes, "%s.tmp-%ld-%d", w->path, (long)getpid(), i);
    return w->temporary != NULL;
}

#ifdef O_TMPFILE
static void own_descriptor(int fd, char text[64]) {
    snprintf(text, 64, "/proc/self/fd/%d", fd);
}

/* A file without a name, in the path's folder: whatever kills this process, nothing of it stays. -1 where the file system
 * has none of these, or /proc is missing, by which it would get its name. */
static int make_nameless(ane_writer *w, mode_t mode) {
    char *copy = strdup(w->path), own[64];
    int fd = copy ? open(dirname(copy), O_TMPFILE | O_WRONLY | O_CLOEXEC, mode) : -1;
    free(copy);
    if (fd < 0) return -1;
    own_descriptor(fd, own);
    w->nameless = access(own, F_OK) == 0 && name_temporary(w, 0);
    if (w->nameless) return fd;
    close(fd);
    return -1;
}

/* A link cannot replace a file, a rename can: the name is a temporary one. */
static bool give_name(ane_writer *w) {
    char own[64];
    own_descriptor(fileno(w->file), own);
    for (int i = 0; w->nameless && i < TRIES && name_temporary(w, i); i++) {
        w->nameless = linkat(AT_FDCWD, own, AT_FDCWD, w->temporary, AT_SYMLINK_FOLLOW) != 0;
        if (w->nameless && errno != EEXIST) break;
    }
    return !w->nameless;
}
#else
static int make_nameless(ane_writer *w, mode_t mode) {
    (void)w, (void)mode;
    return -1;
}

static bool give_name(ane_writer *w) {
    return !w->nameless;
}
#endif

/* A file beside the path: without a name where that can be, else with one that no other thread, process or host has. */
static int make_temporary(ane_writer *w, mode_t mode) {
    int fd = make_nameless(w, mode);
    for (int i = 0; i < TRIES && fd < 0 && name_temporary(w, i); i++) {
        fd = open(w->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
        if (fd < 0 && errno != EEXIST) break;
    }
    return fd;
}

static void remove_temporary(const ane_writer *w) {
    if (w->temporary && !w->nameless) unlink(w->temporary);
}

/* A new file, or one that replaces what is there and gets its permissions; devices and pipes are written as they are. */
static bool open_file(ane_writer *w) {
    struct stat st;
    bool there = stat(w->path, &st) == 0, in_place = there && !S_ISREG(st.st_mode);
    if (there && access(w->path, W_OK) != 0) return false;
    mode_t mode = there ? st.st_mode & 0777 : 0666;
    int fd = in_place ? open(w->path, O_WRONLY | O_CLOEXEC) : make_temporary(w, mode); /* a folder: EISDIR */
    if (fd < 0) return false;
    if (there && !in_place) (void)fchmod(fd, mode); /* what umask took */
    if ((w->file = fdopen(fd, "wb"))) return true;
    close(fd);
    remove_temporary(w);
    return false;
}

ane_writer *ane_writer_open(const char *path, ane_error *e) {
    ane_writer *w = calloc(1, sizeof *w);
    if (w && (w->path = behind_links(path)) && open_file(w)) return w;
    ane_fail(e, ANE_ERROR_IO, path, "cannot create the file: %s", strerror(errno));
    ane_hint(e, "choose a folder that exists and that you may write to");
    if (w) writer_free(w);
    return NULL;
}

void ane_writer_put(ane_writer *w, const void *data, size_t size) {
    if (!w->error && size && fwrite(data, 1, size, w->file) != size) w->error = errno ? errno : EIO;
    w->offset += size;
}

void ane_writer_printf(ane_writer *w, const char *format, ...) {
    va_list args;
    va_start(args, format);
    int n = ane_print_file(w->file, format, args);
    va_end(args);
    if (n < 0 && !w->error) w->error = errno ? errno : EIO;
    if (n > 0) w->offset += (uint64_t)n;
}

uint64_t ane_writer_offset(const ane_writer *w) {
    return w->offset;
}

bool ane_writer_failed(const ane_writer *w) {
    return w->error != 0;
}

void ane_writer_patch(ane_writer *w, uint64_t offset, const void *data, size_t size) {
    bool ok = w->error || (fseeko(w->file, (off_t)offset, SEEK_SET) == 0 &&
                              fwrite(data, 1, size, w->file) == size && fseeko(w->file, 0, SEEK_END) == 0);
    if (!ok) w->error = errno ? errno : EIO;
}

void ane_writer_abort(ane_writer *w) {
    if (!w) return;
    fclose(w->file);
    remove_temporary(w);
    writer_free(w);
}

/* The rename itself must reach the disk too. A folder that cannot be opened for reading is no reason to fail:
 * the file is in place. */
static void sync_parent(const char *path) {
    char *copy = strdup(path);
    if (copy) ane_fsync_folder(dirname(copy), NULL);
    free(copy);
}

/* Devices and pipes cannot be synced, and say so in several ways. */
static bool sync_file(const ane_writer *w) {
    return !w->temporary || fsync(fileno(w->file)) == 0 || errno == EINVAL;
}

bool ane_writer_commit(ane_writer *w, ane_error *e) {
    if (!w->error && fflush(w->file) != 0) w->error = errno;
    if (!w->error && !sync_file(w)) w->error = errno;
    if (!w->error && !give_name(w)) w->error = errno;
    if (fclose(w->file) != 0 && !w->error) w->error = errno;
    if (!w->error && w->temporary && rename(w->temporary, w->path) != 0) w->error = errno;
    bool ok = !w->error;
    if (ok && w->temporary) sync_parent(w->path);
    if (!ok) ane_fail(e, ANE_ERROR_IO, w->path, "cannot write the file: %s", strerror(w->error));
    if (!ok) remove_temporary(w);
    if (!ok && w->temporary)
        ane_hint(
            e, "what stood there before is intact; free some space or choose another place, then run again");
    writer_free(w);
    return ok;
}

bool ane_write_file(const char *path, const void *data, size_t size, ane_error *e) {
    ane_writer *w = ane_writer_open(path, e);
    if (!w) return false;
    ane_writer_put(w, data, size);
    return ane_writer_commit(w, e);
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *level) {
    (void)st, (void)type, (void)level;
    return remove(path);
}

bool ane_remove_tree(const char *path, ane_error *e) {
    struct stat st;
    if (lstat(path, &st) != 0 && errno == ENOENT) return true;
    if (nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS) == 0) return true;
    return ane_fail(e, ANE_ERROR_IO, path, "cannot remove it: %s", strerror(errno));
}
