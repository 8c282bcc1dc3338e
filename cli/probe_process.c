/* probe_process.c - see probe_process.h. */
#include "cli/probe_process.h"

#include "cli/restart.h"
#include "measure/results.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* Run it, silently, and wait. */
static bool run(const char *const *words, ane_error *e) {
    posix_spawn_file_actions_t silent;
    pid_t child;
    int status = 0;
    if (posix_spawn_file_actions_init(&silent) != 0)
        return ane_fail(e, ANE_ERROR_MEMORY, "probe", "no memory to start a process");
    posix_spawn_file_actions_addopen(&silent, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addopen(&silent, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    int failed = posix_spawn(&child, words[0], &silent, NULL, (char *const *)(uintptr_t)words, environ);
    posix_spawn_file_actions_destroy(&silent);
    if (failed) return ane_fail(e, ANE_ERROR_IO, words[0], "cannot be started: %s", strerror(failed));
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            return ane_fail(e, ANE_ERROR_IO, words[0], "cannot be waited for: %s", strerror(errno));
    return true;
}

json_t *cli_probe_elsewhere(const char *name, const char *device, ane_error *e) {
    char path[4096], file[256];
    const char *folder = getenv("TMPDIR");
    if (!cli_own_path(path, sizeof path, e)) return NULL;
    snprintf(file, sizeof file, "%s/anemone-probe-XXXXXX", folder && *folder ? folder : "/tmp");
    int fd = mkstemp(file);
    if (fd < 0) {
        ane_fail(e, ANE_ERROR_IO, file, "cannot make a file: %s", strerror(errno));
        return NULL;
    }
    close(fd);
    const char *const words[] = {path, "probe", name, "--device", device, "--output", file, NULL};
    json_t *results = run(words, e) ? ane_results_read(file, e) : NULL;
    unlink(file);
    json_t *entry = json_incref(json_array_get(json_object_get(results, "probes"), 0));
    json_decref(results);
    if (!entry) ane_fail(e, ANE_ERROR_IO, name, "a new process gave no answer");
    return entry;
}
