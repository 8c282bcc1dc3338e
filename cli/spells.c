/* spells.c - see spells.h. */
#include "cli/spells.h"

#include "measure/stats.h"

#include <stdlib.h>
#include <string.h>

bool spells_begin(spells *s, int threads, double bytes, int most, ane_error *e) {
    *s = (spells){.reader = ane_reader_new(threads, (int64_t)bytes), .bytes = bytes};
    s->rates = calloc((size_t)most, sizeof *s->rates);
    s->shares = calloc((size_t)most, sizeof *s->shares);
    s->plain_shares = calloc((size_t)most, sizeof *s->plain_shares);
    return (s->reader && s->rates && s->shares && s->plain_shares) ||
           ane_fail(e, ANE_ERROR_MEMORY, NULL, "out of memory");
}

void spells_end(spells *s) {
    ane_reader_free(s->reader);
    free(s->rates);
    free(s->shares);
    free(s->plain_shares);
}

static void read_all(spells *s, int from) {
    for (int i = 0; i < SPELL_READS; i++)
        for (int way = 0; way < ANE_READER_WAYS; way++)
            s->before[way][from + i] = ane_reader_pass(s->reader, (ane_reader_way)way);
}

void spells_first(spells *s) {
    read_all(s, SPELL_READS);
}

static double rate_of(const spells *s, int way) {
    double rates[2 * SPELL_READS];
    memcpy(rates, s->before[way], sizeof rates); /* sorted there */
    return ane_stats_of(rates, 2 * SPELL_READS).median;
}

static double better_rate(const spells *s) {
    double best = 0;
    for (int way = 0; way < ANE_READER_WAYS; way++) {
        double rate = rate_of(s, way);
        if (rate > best) best = rate;
    }
    return best;
}

void spells_add(spells *s, const double *ms, int n) {
    double times[SPELL_TOKENS];
    for (int way = 0; way < ANE_READER_WAYS; way++) /* what was behind is before the next */
        for (int i = 0; i < SPELL_READS; i++) s->before[way][i] = s->before[way][SPELL_READS + i];
    read_all(s, SPELL_READS);
    memcpy(times, ms, (size_t)n * sizeof *times); /* sorted there */
    double rate = 1e3 * s->bytes / ane_stats_of(times, n).median;
    s->rates[s->n] = better_rate(s);
    s->shares[s->n] = rate / s->rates[s->n];
    s->plain_shares[s->n++] = rate / rate_of(s, ANE_READ_PLAINLY);
}
