/* Return to a cone or its apex, lane by lane; the C twin of matnet/phases/drucker_prager.py (de Souza Neto, Peric &
   Owen, Computational Methods for Plasticity, 2008, section 8.3).

   Parameters: K, G, eta, eta_bar, xi, c0, H, Q, b. State: plastic strain, alpha. */
#ifndef MATNET_LAWS_DRUCKER_PRAGER_H
#define MATNET_LAWS_DRUCKER_PRAGER_H

#include <math.h>

#include "../law.h"
#include "../solver/lane.h"
#include "damage.h"
#include "lane_math.h"

typedef struct {
    double K, G, eta, eta_bar, xi, c0, H, Q, b;
} drucker_prager_law;

/* Multiplier, plastic volume strain, alpha; derivatives of the first two by q and volume. */
typedef struct {
    double gam, vol_p, alpha, gam_q, gam_v, vol_p_q, vol_p_v;
} drucker_prager_move;

static const double drucker_prager_tolerance = 1e-13; /* of the cohesion term; a smaller overshoot is rounding */

/* Cohesion after the hardening strain alpha, and its derivative. */
static inline double drucker_prager_cohesion(const drucker_prager_law *law, double alpha, double *slope) {
    *slope = law->H;
    if (law->Q == 0.0) return law->c0 + law->H * alpha;
    double decay = exp(-law->b * alpha);
    *slope += law->Q * law->b * decay;
    return law->c0 + law->H * alpha + law->Q * (1.0 - decay);
}

/* The x >= start with  excess = stiffness x + xi c(alpha + rate x);  negative: failed. The right side is concave and
   increasing, and too small at the start, so Newton's iterates grow towards the root and never pass it. */
static double drucker_prager_solve(const drucker_prager_law *law, double start, double excess, double stiffness,
                                   double xi, double alpha, double rate) {
    double x = start, slope;
    for (int iteration = 0; iteration < 60; iteration++) {
        double c = drucker_prager_cohesion(law, alpha + rate * x, &slope);
        double step = (excess - stiffness * x - xi * c) / (stiffness + xi * rate * slope);
        if (step > 0.0) x += step;
        if (!(step > 1e-15 * x)) return step == step ? x : -1.0;
    }
    return -1.0;
}

static drucker_prager_move drucker_prager_to_cone(const drucker_prager_law *law, double q, double p_trial,
                                                  double alpha) {
    double stiffness = law->G + law->K * law->eta * law->eta_bar, xi = law->xi, slope;
    double gam = drucker_prager_solve(law, 0.0, q + law->eta * p_trial, stiffness, xi, alpha, xi);
    if (q / law->G < gam) gam = q / law->G;
    drucker_prager_cohesion(law, alpha + xi * gam, &slope);
    double gam_q = 1.0 / (stiffness + xi * xi * slope), gam_v = gam_q * law->eta * law->K;
    drucker_prager_move out = {gam,   law->eta_bar * gam,   alpha + xi * gam,     gam_q,
                               gam_v, law->eta_bar * gam_q, law->eta_bar * gam_v};
    return out;
}

/* The multiplier is just enough to remove the deviator. */
static drucker_prager_move drucker_prager_to_apex(const drucker_prager_law *law, double q, double p_trial,
                                                  double alpha) {
    double gam = q / law->G, ratio = law->xi / law->eta, slope;
    double shear = law->xi * (1.0 - law->eta_bar / law->eta); /* hardening by gam at a fixed plastic volume strain */
    alpha += shear * gam;
    double vol_p = drucker_prager_solve(law, law->eta_bar * gam, p_trial, law->K, ratio, alpha, ratio);
    alpha += ratio * vol_p;
    drucker_prager_cohesion(law, alpha, &slope);
    double total = law->K + ratio * ratio * slope;
    drucker_prager_move out = {gam, vol_p, alpha, 1.0 / law->G, 0.0, -ratio * slope * shear / (total * law->G),
                               law->K / total};
    return out;
}

/* Where a trial stress of q = sqrt(J2) and mean p_trial goes; 0 if there is a solution. */
static int drucker_prager_return(const drucker_prager_law *law, double q, double p_trial, double alpha,
                                 drucker_prager_move *move) {
    double slope, c = drucker_prager_cohesion(law, alpha, &slope);
    drucker_prager_move none = {0.0, 0.0, alpha, 0.0, 0.0, 0.0, 0.0};
    *move = none;
    if (!(q + law->eta * p_trial - law->xi * c > drucker_prager_tolerance * law->xi * c)) return 0;
    c = drucker_prager_cohesion(law, alpha + law->xi * q / law->G, &slope);
    int cone = law->eta * (p_trial - law->K * law->eta_bar * q / law->G) <= law->xi * c;
    *move = cone ? drucker_prager_to_cone(law, q, p_trial, alpha) : drucker_prager_to_apex(law, q, p_trial, alpha);
    return move->gam < 0.0 || move->vol_p < 0.0;
}

/* Derivative of s = (q - G gam) sqrt(2) n and p = K (vol - vol_p), n = dev / norm. */
static void drucker_prager_tangent(const drucker_prager_law *law, const drucker_prager_move *move, const double *dev,
                                   double norm, double keep, int k, double *tangent) {
    double G = law->G, inverse = norm > 0.0 ? 1.0 / norm : 0.0;
    double nn = 2.0 * G * (1.0 - G * move->gam_q - keep), n_vol = -damage_root_2 * G * move->gam_v;
    double vol_n = -damage_root_2 * G * law->K * move->vol_p_q;
    double vol_vol = law->K * (1.0 - move->vol_p_v) - 2.0 * G * keep / 3.0;
    for (int i = 0; i < 6; i++) {
        for (int j = 0; j < 6; j++) {
            double value = nn * dev[i] * inverse * dev[j] * inverse;
            if (j < 3) value += n_vol * dev[i] * inverse;
            if (i < 3) value += vol_n * dev[j] * inverse;
            if (i < 3 && j < 3) value += vol_vol;
            if (i == j) value += 2.0 * G * keep;
            lane_math_put(tangent, 6 * i + j, k, value);
        }
    }
}

/* One node and lane; 0 if there is a solution. */
static int drucker_prager_lane(const drucker_prager_law *law, int k, const double *strain, const double *state_n,
                               double *stress, double *state, double *tangent, double *energy) {
    double dev[6], vol = 0.0, norm = 0.0, K = law->K, G = law->G;
    for (int i = 0; i < 6; i++) {
        dev[i] = lane_math_get(strain, i, k) - lane_math_get(state_n, i, k);
        if (i < 3) vol += dev[i];
    }
    for (int i = 0; i < 6; i++) {
        if (i < 3) dev[i] -= vol / 3.0;
        norm += dev[i] * dev[i];
    }
    norm = sqrt(norm);
    double q = damage_root_2 * G * norm, p_trial = K * vol;
    drucker_prager_move move;
    if (!(q < INFINITY && fabs(p_trial) < INFINITY)) return 1;
    if (drucker_prager_return(law, q, p_trial, lane_math_get(state_n, 6, k), &move)) return 1;
    double p = p_trial - K * move.vol_p, root_j2 = damage_largest(q - G * move.gam, 0.0);
    double keep = q > 0.0 ? root_j2 / q : 1.0; /* part of the trial deviator that stays */
    lane_math_put(energy, 0, k, 0.5 * p * p / K + 0.5 * root_j2 * root_j2 / G);
    lane_math_put(energy, 1, k, damage_largest(root_j2 * move.gam + p * move.vol_p, 0.0));
    drucker_prager_tangent(law, &move, dev, norm, keep, k, tangent);
    for (int i = 0; i < 6; i++) {
        double grown = (1.0 - keep) * dev[i] + (i < 3 ? move.vol_p / 3.0 : 0.0);
        lane_math_put(stress, i, k, 2.0 * G * keep * dev[i] + (i < 3 ? p : 0.0));
        lane_math_put(state, i, k, lane_math_get(state_n, i, k) + grown);
    }
    lane_math_put(state, 6, k, move.alpha);
    return !(fabs(move.alpha) < INFINITY);
}

static unsigned drucker_prager_kernel(int n, unsigned active, const double *strain, const double *dt,
                                      const double *temperature, const double *parameters, int n_parameters,
                                      const double *state_n, int n_state, double *stress, double *state,
                                      double *tangent, double *energy) {
    (void)dt, (void)temperature, (void)n_parameters, (void)n_state;
    drucker_prager_law law = {parameters[0], parameters[1], parameters[2], parameters[3], parameters[4],
                              parameters[5], parameters[6], parameters[7], parameters[8]};
    unsigned failed = 0;
    for (int node = 0; node < n; node++) {
        long i = (long)MATNET_LANES * node;
        for (int k = 0; k < MATNET_LANES; k++) {
            if (!((active & ~failed) >> k & 1u)) continue;
            failed |= (unsigned)drucker_prager_lane(&law, k, strain + 6 * i, state_n + 7 * i, stress + 6 * i,
                                                    state + 7 * i, tangent + 36 * i, energy + 2 * i)
                      << k;
        }
    }
    return failed;
}

static int drucker_prager_check(const double *parameters, int n_parameters, int n_state) {
    if (n_parameters != 9 || n_state != 7) return 1;
    if (!(parameters[0] > 0.0) || !(parameters[1] > 0.0) || !(parameters[4] > 0.0)) return 1;
    for (int i = 2; i < 9; i++) {
        if (!(parameters[i] >= 0.0)) return 1;
    }
    return 0;
}

static int drucker_prager_nature(const double *parameters) {
    return parameters[2] == parameters[3] ? MATNET_SYMMETRIC : 0; /* associated flow */
}

#endif
