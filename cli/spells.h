/* spells.h - what is bound by reading memory, in turns with reading alone: memory's speed changes within seconds. */
#ifndef ANEMONE_CLI_SPELLS_H
#define ANEMONE_CLI_SPELLS_H

#include "anemone/error.h"
#include "base/peak.h"

enum { SPELL_TOKENS = 8, SPELL_READS = 3 };

/* Before and behind every spell of tokens an array as large as what a token reads is read, every way that ane_reader knows
 * in turns. What was read beside a spell is the median of the better way; the spell's share is that over the median
 * of its tokens. */
typedef struct spells {
    ane_reader *reader;
    double bytes;                                    /* that a token must read */
    double before[ANE_READER_WAYS][2 * SPELL_READS]; /* and behind: bytes a second around the spell at hand */
    int n;
    double *rates, *shares, *plain_shares; /* of every spell so far; of the plain way alone */
} spells;

bool spells_begin(spells *s, int threads, double bytes, int most, ane_error *e);
void spells_end(spells *s);
/* Read before the first spell of a sequence. */
void spells_first(spells *s);
/* Read behind a spell of n tokens, whose times are kept; both count. */
void spells_add(spells *s, const double *ms, int n);

#endif
