/* restart.c - see restart.h. */
#include "cli/restart.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#if defined(__APPLE__)
#include <mach-o/dyld.h>
#endif

bool cli_own_path(char *path, size_t size, ane_error *e) {
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

/* Returns only on failure. */
static bool become(const char *path, const char *const *words, ane_error *e) {
    fflush(stdout);
    fflush(stderr);
    execv(path, (char *const *)(uintptr_t)words);
    return ane_fail(e, ANE_ERROR_IO, path, "cannot start the program again: %s", strerror(errno));
}

bool cli_restart_train(const cli_args *args, const char *run, ane_error *e) {
    char path[4096], names[N_KEPT][32];
    const char *words[5 + 2 * N_KEPT] = {path, "train", "--resume", run};
    size_t n = 4;
    if (!cli_own_path(path, sizeof path, e)) return false;
    for (size_t i = 0; i < N_KEPT; i++) {
        if (!cli_given(args, kept[i]) || (i == 0 && !cli_given(args, "resume"))) continue;
        snprintf(names[i], sizeof names[i], "--%s", kept[i]);
        words[n++] = names[i];
        if (!is_flag(args, kept[i])) words[n++] = cli_string(args, kept[i]);
    }
    words[n] = NULL;
    return become(path, words, e);
}

/* ---- the same again ---------------------------------------------------------------------------------------------- */

enum { NAME_WORDS = 2, LONGEST_NAME = 40 };

/* "bench train" as two words; `room` holds them. */
static size_t put_name(const char **words, const char *name, char room[NAME_WORDS][LONGEST_NAME]) {
    const char *space = strchr(name, ' ');
    snprintf(room[0], LONGEST_NAME, "%.*s", (int)(space ? space - name : (long)strlen(name)), name);
    words[0] = room[0];
    if (!space) return 1;
    snprintf(room[1], LONGEST_NAME, "%s", space + 1);
    words[1] = room[1];
    return 2;
}

bool cli_restart_same(const cli_args *args, ane_error *e) {
    char path[4096], name[NAME_WORDS][LONGEST_NAME];
    size_t options = 0, n = 1;
    for (const cli_option *o = args->command->options; o->name; o++) options++;
    const char **words = calloc(1 + NAME_WORDS + (size_t)args->n_words + 2 * options + 1, sizeof *words);
    char(*names)[LONGEST_NAME] = calloc(options + 1, sizeof *names);
    bool ok = (words && names) || ane_fail(e, ANE_ERROR_MEMORY, "restart", "out of memory");
    ok = ok && cli_own_path(path, sizeof path, e);
    if (ok) {
        words[0] = path;
        n += put_name(words + n, args->command->name, name);
        for (int i = 0; i < args->n_words; i++) words[n++] = args->words[i];
        for (size_t i = 0; i < options; i++) {
            const cli_option *o = &args->command->options[i];
            if (o->kind == CLI_HEADING || !cli_given(args, o->name)) continue;
            snprintf(names[i], LONGEST_NAME, "--%s", o->name);
            words[n++] = names[i];
            if (o->kind != CLI_FLAG) words[n++] = cli_string(args, o->name);
        }
        ok = become(path, words, e);
    }
    free(names);
    free(words);
    return ok;
}
