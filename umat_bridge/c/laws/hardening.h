/* Yield stress over accumulated plastic strain; the C twin of matnet/phases/hardening.py.

   LINEAR a + H p, EXPONENTIAL a + H p + Q (1 - exp(-b p)), POWER a + K (e0 + p)^n, TABLE straight lines. The four
   numbers of the shape are in par[start ..]; for a table the first is the number of rows, whose p and stresses are in
   par[table ..]. */
#ifndef MATNET_LAWS_HARDENING_H
#define MATNET_LAWS_HARDENING_H

#include "../law.h"
#include "../solver/lane.h"
#include "lane_math.h"

enum { HARDENING_LINEAR, HARDENING_EXPONENTIAL, HARDENING_POWER, HARDENING_TABLE };

/* The slope at one p, as where a state is at hand lane by lane. */
static inline double hardening_slope(int shape, const double *par, int start, int table, double p) {
    double h = par[start + 1];
    if (shape == HARDENING_LINEAR) return h;
    if (shape == HARDENING_EXPONENTIAL) return h + par[start + 3] * (par[start + 2] * exp(-par[start + 3] * p));
    if (shape == HARDENING_POWER) {
        double base = par[start + 2] + p, n = par[start + 3];
        return n * (h * exp(n * log(base))) / base;
    }
    int rows = (int)par[start], at = 0;
    const double *x = par + table, *y = x + rows;
    if (!(p < x[rows - 1])) return 0.0; /* flat beyond the last row */
    while (at < rows - 2 && p >= x[at + 1]) at++;
    return (y[at + 1] - y[at]) / (x[at + 1] - x[at]);
}

/* Row by row: later rows overwrite where p lies beyond them; flat after the last. */
static inline void hardening_table(const double *par, int rows, lane p, lane *y, lane *h) {
    const double *x = par, *stress = par + rows;
    *y = lane_of(stress[0]);
    *h = lane_of(0.0);
    for (int k = 0; k < rows; k++) {
        double slope = k + 1 < rows ? (stress[k + 1] - stress[k]) / (x[k + 1] - x[k]) : 0.0;
        mask beyond = at_most(lane_of(x[k]), p);
        *y = choose(beyond, stress[k] + slope * (p - x[k]), *y);
        *h = choose(beyond, lane_of(slope), *h);
    }
}

/* Yield stress y and slope h at p. */
static inline void hardening_yield(int shape, const double *par, int start, int table, lane p, lane *y, lane *h) {
    double a = par[start], modulus = par[start + 1];
    if (shape == HARDENING_LINEAR) {
        *y = a + modulus * p;
        *h = lane_of(modulus);
    } else if (shape == HARDENING_EXPONENTIAL) {
        double q = par[start + 2], b = par[start + 3];
        lane rest = q * lane_math_exp(-b * p);
        *y = a + modulus * p + q - rest;
        *h = modulus + b * rest;
    } else if (shape == HARDENING_POWER) {
        double e0 = par[start + 2], n = par[start + 3];
        lane power = modulus * lane_math_power(e0 + p, n);
        *y = a + power;
        *h = n * power / (e0 + p);
    } else {
        hardening_table(par + table, (int)a, p, y, h);
    }
}

#endif
