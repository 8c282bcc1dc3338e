/* progress.h - what `anemone train` shows while it works. */
#ifndef ANEMONE_CLI_PROGRESS_H
#define ANEMONE_CLI_PROGRESS_H

#include "anemone/train.h"

typedef enum cli_progress_style {
    CLI_PROGRESS_LINES, /* a line now and then: for files and pipes */
    CLI_PROGRESS_BAR,   /* one line, drawn again and again: for terminals */
    CLI_PROGRESS_JSON,  /* one object per event */
    CLI_PROGRESS_QUIET, /* warnings alone */
} cli_progress_style;

typedef struct cli_progress {
    cli_progress_style style;
    const char *run; /* the run's folder, for what is said at the end */
    int64_t log_every;
    bool bar_is_drawn; /* the cursor stands behind an unfinished line */
} cli_progress;

/* An ane_train_listener; the context is a cli_progress. */
void cli_progress_event(void *context, const ane_train_event *event);
/* End the bar's line, so that other text can follow. */
void cli_progress_break(cli_progress *p);

#endif
