/* restart.c - see restart.h. */
#include "cli/restart.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>
#if defined(__APPLE__)
#include <mach-o/dyld.h>
#endif

/* Whatever the program was called as, and from which folder. */
static bool own_path(char *path, size_t size, ane_error *e) {
#if defined(__APPLE__)
    uint32_t n = (uint32_t)size;
    if (_NSGetExecutablePath(path, &n) == 0) return true;
#else
    ssize_t n = readlink("/proc/self/exe", path, size - 1);
    if (n > 0) {
        path[n] = 0;
        return true;
    }
#endif
    return ane_fail(e, ANE_ERROR_IO, "restart", "cannot find out where this program lies");
}

/* What a run's config.json does not hold; the device only where --resume was given another. */
static const char *const kept[] = {"device", "stop-after", "log-every", "json", "quiet"};
enum { N_KEPT = sizeof kept / sizeof *kept };

static bool is_flag(const cli_args *args, const char *name) {
    for (const cli_option *o = args->command->options; o->name; o++)
        if (!strcmp(o->name, name)) return o->kind == CLI_FLAG;
    return false;
}

bool cli_restart_train(const cli_args *args, const char *run, ane_error *e) {
    char path[4096], names[N_KEPT][32];
    const char *words[5 + 2 * N_KEPT] = {path, "train", "--resume", run};
    size_t n = 4;
    if (!own_path(path, sizeof path, e)) return false;
    for (size_t i = 0; i < N_KEPT; i++) {
        if (!cli_given(args, kept[i]) || (i == 0 && !cli_given(args, "resume"))) continue;
        snprintf(names[i], sizeof names[i], "--%s", kept[i]);
        words[n++] = names[i];
        if (!is_flag(args, kept[i])) words[n++] = cli_string(args, kept[i]);
    }
    words[n] = NULL;
    fflush(stdout);
    fflush(stderr);
    execv(path, (char *const *)(uintptr_t)words);
    return ane_fail(e, ANE_ERROR_IO, path, "cannot start the program again: %s", strerror(errno));
}
