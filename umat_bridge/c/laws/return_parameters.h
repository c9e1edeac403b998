/* What the von Mises laws find where; the C twin of matnet.phases.radial_return.pack and state_names.

   Parameters: bulk and shear modulus, kind of rate and its two numbers, number of backstresses, shape of the hardening
   and its four numbers, C and gamma of each backstress, rows of the table. State: plastic strain, accumulated plastic
   strain, backstresses. */
#ifndef MATNET_LAWS_RETURN_PARAMETERS_H
#define MATNET_LAWS_RETURN_PARAMETERS_H

#include "../law.h"
#include "hardening.h"

enum {
    RETURN_BULK,
    RETURN_SHEAR,
    RETURN_RATE,
    RETURN_RATE_A,
    RETURN_RATE_B,
    RETURN_N_BACK,
    RETURN_SHAPE,
    RETURN_NUMBERS,
    RETURN_BACK = 11
};
enum { RETURN_P = 6, RETURN_X = 7 };
enum { RETURN_INSTANT, RETURN_VISCOUS, RETURN_LOGARITHMIC };
enum { RETURN_ITERATIONS = 120, RETURN_NEWTON_ITERATIONS = 30 /* from here on, every other step halves the bracket */ };

static const double return_tolerance = 1e-14; /* of the residual over the trial stress; round-off is about 3e-16 */
static const double return_root_3_2 = 1.22474487139158904910;

/* Whether x is a whole number from low to high, so that it may become an int. */
static inline int return_is_count(double x, int low, int high) {
    return x >= low && x <= high && x == (double)(int)x;
}

/* 0 if the parameters describe a law with so many internal variables. */
static inline int return_parameters_check(const double *par, int n_parameters, int n_state) {
    if (n_parameters < RETURN_BACK) return 1;
    if (!(par[RETURN_BULK] > 0.0) || !(par[RETURN_SHEAR] > 0.0)) return 1;
    if (!return_is_count(par[RETURN_RATE], RETURN_INSTANT, RETURN_LOGARITHMIC)) return 1;
    if (!return_is_count(par[RETURN_SHAPE], HARDENING_LINEAR, HARDENING_TABLE)) return 1;
    if (!return_is_count(par[RETURN_N_BACK], 0, (n_parameters - RETURN_BACK) / 2)) return 1;
    int n_back = (int)par[RETURN_N_BACK], table = RETURN_BACK + 2 * n_back, left = n_parameters - table;
    if (n_state != RETURN_X + 6 * n_back) return 1;
    if (par[RETURN_RATE] != RETURN_INSTANT && !(par[RETURN_RATE_B] > 0.0)) return 1;
    if (par[RETURN_RATE] == RETURN_VISCOUS && !(par[RETURN_RATE_A] > 0.0)) return 1;
    for (int i = 0; i < n_back; i++) {
        const double *moduli = par + RETURN_BACK + 2 * i;
        if (!(moduli[0] > 0.0) || !(moduli[1] >= 0.0)) return 1;
    }
    if (par[RETURN_SHAPE] != HARDENING_TABLE) return left != 0;
    if (left < 2 || left % 2 != 0 || par[RETURN_NUMBERS] != left / 2) return 1;
    for (int k = 1; k < left / 2; k++) {
        if (!(par[table + k] > par[table + k - 1])) return 1;
    }
    return 0;
}

#endif
