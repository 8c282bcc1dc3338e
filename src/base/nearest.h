/* nearest.h - what someone may have meant. */
#ifndef ANEMONE_BASE_NEAREST_H
#define ANEMONE_BASE_NEAREST_H

/* The nearest of `names` (ended by NULL) to what was typed; NULL when none is near. */
const char *ane_nearest(const char *typed, const char *const *names);

#endif
