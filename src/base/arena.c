#include "base/arena.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK_BYTES = 64 * 1024, ALIGN = 16 };

typedef struct block {
    struct block *next;
    size_t used, capacity;
    _Alignas(ALIGN) unsigned char data[];
} block;

struct ane_arena {
    block *head;
};

ane_arena *ane_arena_new(void) {
    return calloc(1, sizeof(ane_arena));
}

void ane_arena_free(ane_arena *arena) {
    if (!arena) return;
    for (block *b = arena->head, *next; b; b = next) {
        next = b->next;
        free(b);
    }
    free(arena);
}

void *ane_arena_alloc(ane_arena *arena, size_t bytes) {
    if (bytes > SIZE_MAX - sizeof(block) - ALIGN) return NULL;
    bytes = (bytes + ALIGN - 1) / ALIGN * ALIGN;
    block *b = arena->head;
    if (!b || b->capacity - b->used < bytes) {
        size_t capacity = bytes > BLOCK_BYTES / 4 ? bytes : BLOCK_BYTES;
        block *fresh = calloc(1, sizeof(block) + capacity);
        if (!fresh) return NULL;
        fresh->capacity = capacity;
        /* A large block goes behind the current one, so that the current one's free rest stays in use. */
        if (b && capacity != BLOCK_BYTES) {
            fresh->next = b->next;
            b->next = fresh;
        } else {
            fresh->next = b;
            arena->head = fresh;
        }
        b = fresh;
    }
    void *p = b->data + b->used;
    b->used += bytes;
    return p;
}

void *ane_arena_array(ane_arena *arena, size_t count, size_t size) {
    if (size && count > SIZE_MAX / size) return NULL;
    return ane_arena_alloc(arena, count * size);
}

char *ane_arena_strndup(ane_arena *arena, const char *s, size_t n) {
    char *copy = ane_arena_alloc(arena, n + 1);
    if (copy) memcpy(copy, s, n);
    return copy;
}

char *ane_arena_strdup(ane_arena *arena, const char *s) {
    return ane_arena_strndup(arena, s, strlen(s));
}

char *ane_arena_printf(ane_arena *arena, const char *format, ...) {
    va_list args;
    va_start(args, format);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *s = n < 0 ? NULL : ane_arena_alloc(arena, (size_t)n + 1);
    if (!s) return NULL;
    va_start(args, format);
    vsnprintf(s, (size_t)n + 1, format, args);
    va_end(args);
    return s;
}
