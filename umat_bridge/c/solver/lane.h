/* Arithmetic on MATNET_LANES points at once. With gcc and clang a lane is one of their vectors, so that + - * / work on
   all points in registers of any width; with one lane it is a plain double. Where scalar code branches, lanes choose. */
#ifndef MATNET_LANE_H
#define MATNET_LANE_H

#include <math.h>

#include "../law.h"

#if MATNET_LANES == 1

typedef double lane;
typedef int mask;

static inline lane lane_of(double x) { return x; }
static inline lane choose(mask m, lane a, lane b) { return m ? a : b; }
static inline unsigned bits_of(mask m) { return m != 0; }
static inline mask mask_of(unsigned bits) { return (int)(bits & 1u); }
static inline mask opposite(mask m) { return !m; }
static inline lane size_of(lane a) { return fabs(a); }

#else

/* All functions that pass lanes are static: how they are passed on machines without such registers is of no concern. */
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wpsabi"
#endif

typedef double lane __attribute__((vector_size(8 * MATNET_LANES)));
typedef long long mask __attribute__((vector_size(8 * MATNET_LANES)));

static inline lane lane_of(double x) { return x - (lane){0.0}; }
static inline mask opposite(mask m) { return ~m; }

static inline lane choose(mask m, lane a, lane b) { return (lane)(((mask)a & m) | ((mask)b & ~m)); }

static inline unsigned bits_of(mask m) {
    unsigned bits = 0;
    for (int k = 0; k < MATNET_LANES; k++) bits |= (unsigned)(m[k] & 1) << k;
    return bits;
}

static inline mask mask_of(unsigned bits) {
    mask m = {0};
    for (int k = 0; k < MATNET_LANES; k++) m[k] = -(long long)(bits >> k & 1u);
    return m;
}

static inline lane size_of(lane a) { return choose((mask)(a < 0.0), -a, a); }

#endif

/* Comparisons; false where a number is NaN. */
static inline mask less(lane a, lane b) { return (mask)(a < b); }
static inline mask at_most(lane a, lane b) { return (mask)(a <= b); }

/* Row `row` of an array whose last axis is the lanes. */
static inline lane load(const double *array, int row) { return *(const lane *)(array + (long)MATNET_LANES * row); }
static inline void store(double *array, int row, lane a) { *(lane *)(array + (long)MATNET_LANES * row) = a; }

static inline lane dot6(const lane *a, const lane *b) {
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2] + a[3] * b[3] + a[4] * b[4] + a[5] * b[5];
}

static inline lane dot3(const lane *a, const lane *b) { return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]; }

static inline void load3(const double *array, int row, lane *a) {
    for (int c = 0; c < 3; c++) a[c] = load(array, row + c);
}

static inline void load6(const double *array, int row, lane *a) {
    for (int c = 0; c < 6; c++) a[c] = load(array, row + c);
}

static inline void store3(double *array, int row, const lane *a) {
    for (int c = 0; c < 3; c++) store(array, row + c, a[c]);
}

static inline void store6(double *array, int row, const lane *a) {
    for (int c = 0; c < 6; c++) store(array, row + c, a[c]);
}

#endif
