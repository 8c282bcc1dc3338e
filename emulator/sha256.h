/* sha256.h - the digest that identifies a program (FIPS 180-4). */
#ifndef ANEMONE_EMULATOR_SHA256_H
#define ANEMONE_EMULATOR_SHA256_H

#include <stddef.h>
#include <stdint.h>

typedef struct em_sha256 {
    uint32_t state[8];
    uint64_t bytes;
    unsigned char block[64];
} em_sha256;

void em_sha256_start(em_sha256 *h);
void em_sha256_add(em_sha256 *h, const void *data, size_t size);
/* 64 hexadecimal digits and a NUL. */
void em_sha256_end(em_sha256 *h, char text[65]);

#endif
