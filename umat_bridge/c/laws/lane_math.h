/* Square root, exponential and logarithm of lanes; the C twin of matnet/simd_math.py. One lane is left to the C
   library, more have polynomials with errors below 2 units in the last place, which need no call per lane. */
#ifndef MATNET_LAWS_LANE_MATH_H
#define MATNET_LAWS_LANE_MATH_H

#include <math.h>

#include "../law.h"
#include "../solver/lane.h"

#if MATNET_LANES == 1

static inline int lane_math_any(mask m) { return m; }
static inline lane lane_math_sqrt(lane x) { return sqrt(x); }
static inline lane lane_math_exp(lane x) { return exp(x); }
static inline lane lane_math_log(lane x) { return log(x); }

#else

typedef unsigned long long lane_math_word __attribute__((vector_size(8 * MATNET_LANES)));

#define WORD(number) ((lane_math_word){0} + (unsigned long long)(number))

static const double lane_math_round = 6755399441055744.0; /* 1.5 * 2^52: added to a number, it leaves its integer in
                                                             the low bits */
static const double lane_math_log2_e = 1.4426950408889634074;
/* its last 32 bits are zero: k times it is exact */
static const double lane_math_ln2_high = 6.93147180369123816490e-01;
static const double lane_math_ln2_low = 1.90821492927058770002e-10;

static inline int lane_math_any(mask m) {
    long long some = 0;
    for (int k = 0; k < MATNET_LANES; k++) some |= m[k];
    return some != 0;
}

static inline lane lane_math_sqrt(lane x) {
    lane root = x;
    for (int k = 0; k < MATNET_LANES; k++) root[k] = sqrt(x[k]);
    return root;
}

/* 0 below -708 and infinity above 709. With k the integer nearest to x / ln 2, exp(x) = 2^k exp(x - k ln 2), the second
   factor by its Taylor polynomial of degree 13 (remainder 4e-18), summed in pairs to be quick. */
static inline lane lane_math_exp(lane x) {
    lane shifted = x * lane_math_log2_e + lane_math_round;
    lane k = shifted - lane_math_round;
    lane r = (x - k * lane_math_ln2_high) - k * lane_math_ln2_low;
    lane r2 = r * r, r4 = r2 * r2;
    lane low = (1.0 + r) + r2 * (1.0 / 2.0 + 1.0 / 6.0 * r);
    lane middle = (1.0 / 24.0 + 1.0 / 120.0 * r) + r2 * (1.0 / 720.0 + 1.0 / 5040.0 * r);
    lane high = (1.0 / 40320.0 + 1.0 / 362880.0 * r) + r2 * (1.0 / 3628800.0 + 1.0 / 39916800.0 * r) +
                r4 * (1.0 / 479001600.0 + 1.0 / 6227020800.0 * r);
    lane power = (lane)(((lane_math_word)shifted << 52) + WORD(1023ULL << 52));
    lane value = power * (low + r4 * (middle + r4 * high));
    value = choose(less(x, lane_of(-708.0)), lane_of(0.0), value);
    return choose(less(lane_of(709.0), x), lane_of(INFINITY), value);
}

/* Of normal numbers > 0; anything for others. log(2^k (1 + f)) = k ln 2 + log(1 + f) with 1 + f from sqrt(1/2) to
   sqrt(2), the second term by the polynomial in s = f / (2 + f) of FreeBSD's msun, e_log.c. */
static inline lane lane_math_log(lane x) {
    lane_math_word bits = (lane_math_word)x;
    lane_math_word above = bits - WORD(0x3FE6A09E667F3BCDULL); /* sqrt(1/2) */
    /* k + 1024 >= 0 in the low bits of a number between 2^52 and 2^53 */
    lane_math_word shifted = ((above + WORD(1ULL << 62)) >> 52) | WORD(0x4330000000000000ULL);
    lane k = (lane)shifted - (4503599627370496.0 + 1024.0);
    lane f = (lane)(bits - (above & WORD(0xFFFULL << 52))) - 1.0;
    lane s = f / (2.0 + f), z = s * s, w = z * z;
    lane even = w * (3.999999999940941908e-01 + w * (2.222219843214978396e-01 + w * 1.531383769920937332e-01));
    lane odd = z * (6.666666666666735130e-01 +
                    w * (2.857142874366239149e-01 + w * (1.818357216161805012e-01 + w * 1.479819860511658591e-01)));
    lane half = 0.5 * f * f;
    return k * lane_math_ln2_high - ((half - (s * (half + (even + odd)) + k * lane_math_ln2_low)) - f);
}

#undef WORD

#endif

/* x^n for x > 0. */
static inline lane lane_math_power(lane x, double n) { return lane_math_exp(n * lane_math_log(x)); }

static inline lane lane_math_least(lane a, lane b) { return choose(less(a, b), a, b); }

/* One of the lanes, and storing into it. */
static inline double lane_math_get(const double *array, int row, int lane_number) {
    return array[(long)MATNET_LANES * row + lane_number];
}

static inline void lane_math_put(double *array, int row, int lane_number, double x) {
    array[(long)MATNET_LANES * row + lane_number] = x;
}

#endif
