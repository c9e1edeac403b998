/* Von Mises plasticity with isotropic hardening alone; the C twin of matnet/phases/radial_return_lanes.py.

   With backward Euler and the deviatoric trial stress B, q = sqrt(3/2) |B|, the increment dp of the accumulated plastic
   strain solves q - 3 G dp = yield stress(p_n + dp) (Simo & Hughes, Computational Inelasticity, 1998, boxes 3.1 and
   3.2). */
#ifndef MATNET_LAWS_RADIAL_RETURN_H
#define MATNET_LAWS_RADIAL_RETURN_H

#include "../law.h"
#include "../solver/lane.h"
#include "hardening.h"
#include "lane_math.h"
#include "return_parameters.h"

/* dp, the yield stress and its slope there, from their values at p_n; the lanes where no dp was found. */
static inline mask radial_return_increment(const double *par, lane q, lane p_n, mask plastic, lane *dp_out, lane *y_out,
                                           lane *h_out) {
    int shape = (int)par[RETURN_SHAPE];
    double stiff = 3.0 * par[RETURN_SHEAR];
    lane zero = lane_of(0.0), low = zero, high = q / stiff, y = *y_out, h = *h_out;
    lane dp = (q - y) / (stiff + h);
    if (shape == HARDENING_LINEAR) {
        *dp_out = dp = choose(plastic, dp, zero);
        *y_out = y + h * dp;
        return mask_of(0u);
    }
    dp = choose(plastic, choose(less(dp, high), dp, 0.5 * high), zero);
    mask left = plastic;
    for (int iteration = 0; iteration < RETURN_ITERATIONS; iteration++) {
        hardening_yield(shape, par, RETURN_NUMBERS, RETURN_BACK, p_n + dp, &y, &h);
        lane r = q - stiff * dp - y;
        left = plastic & less(return_tolerance * q, size_of(r));
        if (!lane_math_any(left)) break;
        mask is_short = less(zero, r);
        low = choose(is_short, dp, low);
        high = choose(is_short, high, dp);
        lane middle = 0.5 * (low + high), next = dp + r / (stiff + h);
        next = choose(less(low, next) & less(next, high), next, middle);
        if (iteration > RETURN_NEWTON_ITERATIONS && iteration % 2 == 0) next = middle;
        dp = choose(left, next, dp);
    }
    *dp_out = dp;
    *y_out = y;
    *h_out = h;
    return left;
}

/* Upper triangle of  side 1x1 + diagonal I + mm m x m. */
static inline void radial_return_tangent(double *tangent, int row, lane side, lane diagonal, lane mm, const lane *m) {
    lane k = mm * m[0];
    store(tangent, row, side + diagonal + k * m[0]);
    store(tangent, row + 1, side + k * m[1]);
    store(tangent, row + 2, side + k * m[2]);
    store(tangent, row + 3, k * m[3]);
    store(tangent, row + 4, k * m[4]);
    store(tangent, row + 5, k * m[5]);
    k = mm * m[1];
    store(tangent, row + 7, side + diagonal + k * m[1]);
    store(tangent, row + 8, side + k * m[2]);
    store(tangent, row + 9, k * m[3]);
    store(tangent, row + 10, k * m[4]);
    store(tangent, row + 11, k * m[5]);
    k = mm * m[2];
    store(tangent, row + 14, side + diagonal + k * m[2]);
    store(tangent, row + 15, k * m[3]);
    store(tangent, row + 16, k * m[4]);
    store(tangent, row + 17, k * m[5]);
    k = mm * m[3];
    store(tangent, row + 21, diagonal + k * m[3]);
    store(tangent, row + 22, k * m[4]);
    store(tangent, row + 23, k * m[5]);
    k = mm * m[4];
    store(tangent, row + 28, diagonal + k * m[4]);
    store(tangent, row + 29, k * m[5]);
    store(tangent, row + 35, diagonal + mm * m[5] * m[5]);
}

/* The trial deviator b; returns its q. */
static inline lane radial_return_trial(double shear2, const lane *eps, const lane *plastic, lane mean, lane *b) {
    b[0] = shear2 * (eps[0] - mean - plastic[0]);
    b[1] = shear2 * (eps[1] - mean - plastic[1]);
    b[2] = shear2 * (eps[2] - mean - plastic[2]);
    b[3] = shear2 * (eps[3] - plastic[3]);
    b[4] = shear2 * (eps[4] - plastic[4]);
    b[5] = shear2 * (eps[5] - plastic[5]);
    return return_root_3_2 * lane_math_sqrt(dot6(b, b));
}

/* One node: e, s, c, u are its first rows in strain and stress, state, tangent, energy. Returns the failed lanes. */
static inline mask radial_return_node(const double *par, mask running, const double *strain, const double *state_n,
                                      double *stress, double *state, double *tangent, double *energy, int e, int s,
                                      int c, int u) {
    double bulk = par[RETURN_BULK], shear = par[RETURN_SHEAR], shear2 = 2.0 * shear, stiff = 3.0 * shear;
    lane eps[6], plastic_n[6], b[6], zero = lane_of(0.0);
    load6(strain, e, eps);
    load6(state_n, s, plastic_n);
    lane p_n = load(state_n, s + RETURN_P), y, h, dp = zero;
    lane v = eps[0] + eps[1] + eps[2], pressure = bulk * v;
    lane q = radial_return_trial(shear2, eps, plastic_n, 1.0 / 3.0 * v, b);
    hardening_yield((int)par[RETURN_SHAPE], par, RETURN_NUMBERS, RETURN_BACK, p_n, &y, &h);
    mask failed = opposite(less(size_of(v) + q + p_n, lane_of(INFINITY)));
    mask plastic = less(y, q) & running;
    if (!lane_math_any(plastic)) {
        for (int k = 0; k < 6; k++) {
            store(stress, e + k, k < 3 ? b[k] + pressure : b[k]);
            store(state, s + k, plastic_n[k]);
            b[k] = zero;
        }
        store(state, s + RETURN_P, p_n);
        radial_return_tangent(tangent, c, lane_of(bulk - 1.0 / 3.0 * shear2), lane_of(shear2), zero, b);
        store(energy, u, 0.5 * v * pressure + q * q / (6.0 * shear));
        store(energy, u + 1, zero);
        return failed;
    }
    failed = failed | radial_return_increment(par, q, p_n, plastic, &dp, &y, &h);
    failed = failed | opposite(less(size_of(dp) + y, lane_of(INFINITY)));
    lane scale = choose(plastic, return_root_3_2 / q, zero), step = return_root_3_2 * dp;
    for (int k = 0; k < 6; k++) {
        lane m = scale * b[k], grown = step * m, sig = b[k] - shear2 * grown;
        store(state, s + k, plastic_n[k] + grown);
        store(stress, e + k, k < 3 ? sig + pressure : sig);
        b[k] = m;
    }
    store(state, s + RETURN_P, p_n + dp);
    lane q_end = q - stiff * dp;
    store(energy, u, 0.5 * v * pressure + q_end * q_end / (6.0 * shear));
    store(energy, u + 1, y * dp);
    lane drop = choose(plastic, shear2 * (stiff * dp / q), zero);
    lane mm = choose(plastic, drop - 2.0 * stiff * shear / (stiff + h), zero);
    lane diagonal = shear2 - drop;
    radial_return_tangent(tangent, c, bulk - 1.0 / 3.0 * diagonal, diagonal, mm, b);
    return failed;
}

static unsigned radial_return_kernel(int n, unsigned active, const double *strain, const double *dt,
                                     const double *temperature, const double *parameters, int n_parameters,
                                     const double *state_n, int n_state, double *stress, double *state, double *tangent,
                                     double *energy) {
    (void)dt, (void)temperature, (void)n_parameters;
    mask running = mask_of(active), failed = mask_of(0u);
    for (int node = 0; node < n; node++) {
        failed = failed | radial_return_node(parameters, running, strain, state_n, stress, state, tangent, energy,
                                             6 * node, n_state * node, 36 * node, 2 * node);
    }
    return bits_of(failed) & active;
}

static int radial_return_check(const double *parameters, int n_parameters, int n_state) {
    if (return_parameters_check(parameters, n_parameters, n_state)) return 1;
    return parameters[RETURN_RATE] != RETURN_INSTANT || parameters[RETURN_N_BACK] != 0.0;
}

static int radial_return_nature(const double *parameters) {
    (void)parameters;
    return MATNET_SYMMETRIC;
}

#endif
