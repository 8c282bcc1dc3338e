/* cachedir.h - where things are kept that can be made again. */
#ifndef ANEMONE_BASE_CACHEDIR_H
#define ANEMONE_BASE_CACHEDIR_H

#include "anemone/error.h"

/* ROOT/NAME (NAME NULL: ROOT) where ROOT is $ANEMONE_CACHE, else $XDG_CACHE_HOME/anemone, else ~/.cache/anemone (on
 * macOS ~/Library/Caches/anemone). Nothing is made. Caller frees; NULL with a report. */
char *ane_cache_path(const char *name, ane_error *e);

#endif
