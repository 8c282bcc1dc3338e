/* sha256.h - the digest that identifies programs (FIPS 180-4). */
#ifndef ANEMONE_BASE_SHA256_H
#define ANEMONE_BASE_SHA256_H

#include <stddef.h>
#include <stdint.h>

typedef struct ane_sha256 {
    uint32_t state[8];
    uint64_t bytes;
    unsigned char block[64];
} ane_sha256;

void ane_sha256_start(ane_sha256 *h);
void ane_sha256_add(ane_sha256 *h, const void *data, size_t size);
/* 64 hexadecimal digits and a NUL. */
void ane_sha256_end(ane_sha256 *h, char text[65]);

#endif
