/* program_cache.h - compiled programs kept from one process to the next: what the framework left in a program's folder
 * when it had compiled it (net.plist, and data where there are constants; ane-spec 1.4) is put back before it is loaded.
 * Nothing here fails: what cannot be had is compiled, what cannot be kept is not, and both are counted. */
#ifndef ANEMONE_DEVICE_ANE_PROGRAM_CACHE_H
#define ANEMONE_DEVICE_ANE_PROGRAM_CACHE_H

#include "base/store.h"
#include "device/ane/machine.h"
#include "device/ane/program.h"

struct ane_program_cache {
    ane_store store;
    char *machine; /* programs of other machines, systems and frameworks are others */
    atomic_llong hits, misses, failures;
};

/* Where compiled programs are kept, and how large they may be together: $ANEMONE_CACHE_SIZE ("500M", "2G"), else
 * 1 GiB. Free s->folder. */
bool ane_program_store(ane_store *s, ane_error *e);

/* False: there is none. */
bool ane_program_cache_open(ane_program_cache *c, const ane_machine *m);
void ane_program_cache_close(ane_program_cache *c); /* one that is zeroed, too */

/* The digest of all that a compilation depends on: the machine, the text (before it gets a name), the weights. */
void ane_program_key(const ane_program_cache *c, const char *text, int n_files, const ane_weight_file *files,
    char key[ANE_STORE_KEY + 1]);
/* Put the files of `key` into a program's folder; false: it must be compiled. */
bool ane_program_recall(ane_program_cache *c, const char *key, const char *folder);
/* The framework did not load what was put there: away with it, in both places. */
void ane_program_forget(ane_program_cache *c, const char *key, const char *folder);
/* Keep what the compiler left in the folder. */
void ane_program_keep(ane_program_cache *c, const char *key, const char *folder);

#endif
