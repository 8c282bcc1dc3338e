#include "measure/scratch.h"

#include "base/file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h> /* where macOS keeps mkdtemp */

char *ane_scratch_new(ane_error *e) {
    const char *base = getenv("TMPDIR");
    char *folder = ane_join_path(base && *base ? base : "/tmp", "anemone-XXXXXX");
    if (!folder) {
        ane_fail(e, ANE_ERROR_MEMORY, "bench", "out of memory");
        return NULL;
    }
    if (mkdtemp(folder)) return folder;
    ane_fail(e, ANE_ERROR_IO, folder, "no private folder could be made there: %s", strerror(errno));
    free(folder);
    return NULL;
}

void ane_scratch_free(char *folder) {
    if (!folder) return;
    ane_remove_tree(folder, NULL);
    free(folder);
}
