/* spells.c - see spells.h. */
#include "cli/spells.h"

#include "measure/stats.h"

#include <stdlib.h>
#include <string.h>

bool spells_begin(spells *s, int threads, double bytes, int most, ane_error *e) {
    *s = (spells){.reader = ane_reader_new(threads, (int64_t)bytes), .bytes = bytes};
    s->rates = calloc((size_t)most, sizeof *s->rates);
    s->shares = calloc((size_t)most, sizeof *s->shares);
    return (s->reader && s->rates && s->shares) || ane_fail(e, ANE_ERROR_MEMORY, NULL, "out of memory");
}

void spells_end(spells *s) {
    ane_reader_free(s->reader);
    free(s->rates);
    free(s->shares);
}

static void read_all(spells *s, int from) {
    for (int i = 0; i < SPELL_READS; i++)
        for (int way = 0; way < ANE_READER_WAYS; way++)
            s->before[way][from + i] = ane_reader_pass(s->reader, way);
}

void spells_first(spells *s) {
    read_all(s, SPELL_READS);
}

static double better_way(const spells *s) {
    double best = 0;
    for (int way = 0; way < ANE_READER_WAYS; way++) {
        double rates[2 * SPELL_READS];
        memcpy(rates, s->before[way], sizeof rates);
        double median = ane_stats_of(rates, 2 * SPELL_READS).median;
        if (median > best) best = median;
    }
    return best;
}

void spells_add(spells *s, const double *ms, int n) {
    double times[SPELL_TOKENS];
    for (int way = 0; way < ANE_READER_WAYS; way++) /* what was behind is before the next */
        for (int i = 0; i < SPELL_READS; i++) s->before[way][i] = s->before[way][SPELL_READS + i];
    read_all(s, SPELL_READS);
    memcpy(times, ms, (size_t)n * sizeof *times); /* sorted there */
    double rate = better_way(s);
    s->rates[s->n] = rate;
    s->shares[s->n++] = 1e3 * s->bytes / ane_stats_of(times, n).median / rate;
}
