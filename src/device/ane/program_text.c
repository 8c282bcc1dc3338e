/* program_text.c - a program's text made its own: what the framework derives its folder's name from. */
#include "base/clock.h"
#include "device/ane/program.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LONGEST_NAME = 96 };
static const char here[] = ANE_PROGRAM_IDENTITY;
enum { HERE = sizeof here - 1 };

/* Process numbers repeat where containers share a folder; addresses and times do not, too. */
static void name_program(ane_budget *b, char name[LONGEST_NAME]) {
    pthread_mutex_lock(&b->lock);
    int64_t number = b->named++;
    pthread_mutex_unlock(&b->lock);
    snprintf(name, LONGEST_NAME, "anemone_%ld_%" PRIx64 "_%" PRIx64 "_%" PRId64, (long)getpid(),
        (uint64_t)(uintptr_t)b, b->begun, number);
}

char *ane_program_text(ane_budget *b, const char *text, ane_error *e) {
    char name[LONGEST_NAME];
    size_t places = 0;
    name_program(b, name);
    for (const char *at = text; (at = strstr(at, here)) != NULL; at += HERE) places++;
    char *own = malloc(strlen(text) + places * strlen(name) + 1), *end = own;
    if (!own) {
        ane_fail(e, ANE_ERROR_MEMORY, "ane", "no memory for a program's text");
        return NULL;
    }
    for (const char *at; (at = strstr(text, here)) != NULL; text = at + HERE) {
        memcpy(end, text, (size_t)(at - text));
        end += at - text;
        end = stpcpy(end, name);
    }
    strcpy(end, text);
    return own;
}
