/* Comparing with the numbers in expected.h. */
#ifndef CHECK_H
#define CHECK_H

#include <math.h>
#include <stdio.h>

#include "expected.h"

#define TOLERANCE 1e-8 /* matnet's own is 1e-8 of the traction jumps, which makes stresses more exact than this */

/* Largest difference over largest size. */
static double difference(const double *found, const double *expected, int n) {
    double off = 0.0, size = 1e-300;
    for (int i = 0; i < n; i++) {
        off = fmax(off, fabs(found[i] - expected[i]));
        size = fmax(size, fabs(expected[i]));
        if (!isfinite(found[i])) return INFINITY;
    }
    return off / size;
}

/* What main returns. */
static int verdict(const char *what, double stress, double tangent) {
    int good = stress <= TOLERANCE && tangent <= 10.0 * TOLERANCE;
    printf("%s: %s, largest difference to matnet over %d steps: stress %.1e, tangent %.1e\n", what,
           good ? "good" : "WRONG", N_STEPS, stress, tangent);
    return good ? 0 : 1;
}

#endif
