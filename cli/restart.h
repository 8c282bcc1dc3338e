/* restart.h - going on in a new process, when this one has used up what the system gives it. */
#ifndef ANEMONE_CLI_RESTART_H
#define ANEMONE_CLI_RESTART_H

#include "cli/options.h"

/* Become `anemone train --resume RUN` with the options of `args` that --resume does not carry itself; same process id, same
 * streams. Returns only on failure. */
bool cli_restart_train(const cli_args *args, const char *run, ane_error *e);

/* Become the same command once more, with the words and options that it was given. Returns only on failure. */
bool cli_restart_same(const cli_args *args, ane_error *e);
/* Where this program lies, whatever it was called as, and from which folder. */
bool cli_own_path(char *path, size_t size, ane_error *e);

#endif
