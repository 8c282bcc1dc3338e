/* arena.h - memory that is freed all at once. */
#ifndef ANEMONE_BASE_ARENA_H
#define ANEMONE_BASE_ARENA_H

#include "anemone/error.h"

#include <stddef.h>

typedef struct ane_arena ane_arena;

ane_arena *ane_arena_new(void); /* NULL when out of memory */
void ane_arena_free(ane_arena *arena);

/* `bytes` zeroed bytes aligned to 16; NULL when out of memory. They live as long as the arena. */
void *ane_arena_alloc(ane_arena *arena, size_t bytes);
/* `count * size` with overflow checked. */
void *ane_arena_array(ane_arena *arena, size_t count, size_t size);
char *ane_arena_strdup(ane_arena *arena, const char *s);
char *ane_arena_strndup(ane_arena *arena, const char *s, size_t n);
char *ane_arena_printf(ane_arena *arena, const char *format, ...) ANE_PRINTF(2, 3);

#endif
