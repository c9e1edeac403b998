/* SHA-256 (FIPS 180-4). */
#ifndef MATNET_SHA256_H
#define MATNET_SHA256_H

#include <stddef.h>

/* Fills `hex` with 64 lower-case digits and a final zero. */
void matnet_sha256(const unsigned char *bytes, size_t size, char hex[65]);

#endif
